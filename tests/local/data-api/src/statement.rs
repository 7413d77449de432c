//! A statement of the Data API: what was submitted, and its progress.

use std::sync::Arc;

use serde::Serialize;

use crate::cancellation::Cancellation;
use crate::clock::Millis;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Submitted,
    Picked,
    Started,
    Finished,
    Failed,
    Aborted,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Picked => "PICKED",
            Self::Started => "STARTED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Aborted)
    }
}

/// The database and the login of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    pub cluster: Option<String>,
    /// A name or an ARN, as given.
    pub workgroup: Option<String>,
    pub database: String,
    pub db_user: Option<String>,
    pub secret_arn: Option<String>,
}

impl Connection {
    /// Name of the cluster or workgroup.
    pub fn warehouse(&self) -> &str {
        match (&self.cluster, &self.workgroup) {
            (Some(cluster), _) => cluster,
            (None, Some(workgroup)) => workgroup.rsplit(['/', ':']).next().unwrap_or(workgroup),
            (None, None) => "",
        }
    }

    /// The name of the PostgreSQL database.
    pub fn postgres_database(&self) -> String {
        format!("{}.{}", self.warehouse(), self.database)
    }
}

/// A named value of the request, which replaces `:name` in the SQL.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Parameter {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// One statement (`ExecuteStatement`).
    Single,
    /// A batch in one transaction.
    Transaction,
    /// A batch with one transaction per SQL statement.
    AutoCommit,
}

/// What was submitted. Two requests with the same client token must be equal in all of it.
#[derive(Clone, Debug, Serialize)]
pub struct Submission {
    pub connection: Connection,
    pub sqls: Vec<String>,
    pub parameters: Vec<Parameter>,
    pub name: Option<String>,
    pub with_event: bool,
    pub mode: Mode,
    /// The caller; requests with the same client token may differ in it.
    #[serde(skip)]
    pub principal: String,
}

#[derive(Clone, Debug)]
pub struct ResultColumn {
    pub name: String,
    pub type_name: String,
}

#[derive(Clone, Debug, Default)]
pub struct ResultSet {
    pub columns: Vec<ResultColumn>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// A SQL statement of a submission.
#[derive(Clone, Debug)]
pub struct Part {
    pub query_id: i64,
    pub status: Status,
    pub error: Option<String>,
    /// -1 until the number is known.
    pub rows: i64,
    pub size: i64,
    pub duration_nanos: i64,
    pub created: Millis,
    pub updated: Millis,
    pub result: Option<Arc<ResultSet>>,
}

#[derive(Clone, Debug)]
pub struct Statement {
    pub id: String,
    pub submission: Arc<Submission>,
    pub status: Status,
    pub error: Option<String>,
    pub duration_nanos: i64,
    pub created: Millis,
    pub updated: Millis,
    pub parts: Vec<Part>,
    pub cancellation: Arc<Cancellation>,
}

impl Statement {
    pub fn is_batch(&self) -> bool {
        self.submission.mode != Mode::Single
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_can_be_given_by_its_arn() {
        let connection = Connection {
            cluster: None,
            workgroup: Some("arn:aws:redshift-serverless:us-east-1:123456789012:workgroup/wg".into()),
            database: "dev".into(),
            db_user: None,
            secret_arn: None,
        };
        assert_eq!(connection.postgres_database(), "wg.dev");
    }
}
