//! Whether a warehouse may assume the role that a COPY names: only a role that is attached to it.

use super::command::CopyCommand;
use crate::errors::{NodeError, SqlError};
use crate::statement::Connection;

/// Whose account and Region, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Assuming<'a> {
    pub region: &'a str,
    pub account: &'a str,
    pub connection: &'a Connection,
}

impl Assuming<'_> {
    /// `attached`: the roles of the warehouse; `None` when nobody said which, then it has every role.
    pub fn check(self, command: &CopyCommand, attached: Option<&[String]>, query: i64) -> Result<(), SqlError> {
        let (Some(role), Some(attached)) = (&command.options.role, attached) else { return Ok(()) };
        // Of a chain, the warehouse assumes the first; that one assumes the next.
        let first = role.split(',').next().unwrap_or(role).trim();
        let may = if first == "default" { !attached.is_empty() } else { attached.iter().any(|known| known == first) };
        if may { Ok(()) } else { Err(self.refused(first, query)) }
    }

    fn refused(self, role: &str, query: i64) -> SqlError {
        let Self { region, account, connection } = self;
        let error = if role == "default" {
            // *own*: no real text is known.
            "No default IAM role is set for this warehouse".to_owned()
        } else if connection.cluster.is_some() {
            let user = connection.db_user.as_deref().unwrap_or("awsuser");
            let user = format!("arn:aws:redshift:{region}:{account}:dbuser:{}/{user}", connection.warehouse());
            format!("User {user} is not authorized to assume IAM Role {role}")
        } else {
            format!("Not authorized to get credentials of role {role}")
        };
        let context = format!("IAM Role={role}");
        let location = "xen_aws_credentials_mgr.cpp:402";
        SqlError::node(&error, NodeError { error: &error, code: 8001, context: &context, query, location })
    }
}
