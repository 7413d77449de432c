//! Checks that the role of a COPY is attached to the warehouse, which may assume no other.

use super::command::CopyCommand;
use crate::errors::{NodeError, SqlError};
use crate::statement::Connection;

/// The warehouse that assumes the role, with its account and Region.
#[derive(Clone, Copy, Debug)]
pub struct Assuming<'a> {
    pub region: &'a str,
    pub account: &'a str,
    pub connection: &'a Connection,
}

impl Assuming<'_> {
    /// `attached` are the roles of the warehouse; `None` stands for all roles.
    pub fn check(self, command: &CopyCommand, attached: Option<&[String]>, query: i64) -> Result<(), SqlError> {
        let (Some(role), Some(attached)) = (&command.options.role, attached) else { return Ok(()) };
        // In a chain of roles, the warehouse assumes only the first.
        let first = role.split(',').next().unwrap_or(role).trim();
        let may = if first == "default" { !attached.is_empty() } else { attached.iter().any(|known| known == first) };
        if may { Ok(()) } else { Err(self.refused(first, query)) }
    }

    fn refused(self, role: &str, query: i64) -> SqlError {
        let Self { region, account, connection } = self;
        let error = if role == "default" {
            // *Own*: the real text is not known.
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
