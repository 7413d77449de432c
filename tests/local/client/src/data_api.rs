//! Client of the Data API stand-in's administration, `/_standin/…`.

use anyhow::Result;
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::http::JsonPaths;

/// Statements and settings of the stand-in of one stack.
#[derive(Clone, Debug)]
pub struct DataApiAdmin {
    paths: JsonPaths,
}

/// A statement that the stand-in remembers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Statement {
    /// Statement id.
    pub id: String,
    /// Statement name, where one was given.
    pub name: Option<String>,
    /// Status in the service's words.
    pub status: String,
    /// Error, of a statement that failed or was aborted.
    pub error: Option<String>,
    /// When it was submitted, in milliseconds since 1970.
    #[serde(rename = "created")]
    pub created_millis: i64,
    /// Its SQL statements in order.
    pub parts: Vec<StatementPart>,
}

/// One SQL statement of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StatementPart {
    /// Text as submitted.
    pub sql: String,
    /// Status in the service's words.
    pub status: String,
}

impl Statement {
    /// Whether its name or its SQL contains this text.
    pub fn mentions(&self, text: &str) -> bool {
        self.name.as_ref().is_some_and(|name| name.contains(text))
            || self.parts.iter().any(|part| part.sql.contains(text))
    }
}

impl DataApiAdmin {
    /// Of the stack with this endpoint for users, or of a stand-in on its own.
    pub fn new(endpoint: &str) -> Self {
        Self { paths: JsonPaths::new(format!("{endpoint}/_standin")) }
    }

    /// All remembered statements, newest first.
    pub async fn statements(&self) -> Result<Vec<Statement>> {
        self.paths.ask(Method::GET, "statements").await
    }

    /// Changes settings; the members are described in the module `admin` of `local-data-api`.
    pub async fn change(&self, settings: &Value) -> Result<()> {
        let _in_force: Value = self.paths.tell("settings", settings).await?;
        Ok(())
    }
}
