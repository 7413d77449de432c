//! Client of the Data API stand-in's administration under `/_standin/`.

use anyhow::Result;
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::http::JsonPaths;

/// Reads statements of a stand-in and changes its settings.
#[derive(Clone, Debug)]
pub struct DataApiAdmin {
    paths: JsonPaths,
}

/// A statement that the stand-in remembers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Statement {
    /// Statement id.
    pub id: String,
    /// Statement name, if one was given.
    pub name: Option<String>,
    /// Status in the service's words.
    pub status: String,
    /// Error of a statement that failed or was aborted.
    pub error: Option<String>,
    /// Time of the submit, in milliseconds since 1970.
    #[serde(rename = "created")]
    pub created_millis: i64,
    /// The SQL statements in order.
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
    /// Whether the name or the SQL contains this text.
    pub fn mentions(&self, text: &str) -> bool {
        self.name.as_ref().is_some_and(|name| name.contains(text))
            || self.parts.iter().any(|part| part.sql.contains(text))
    }
}

impl DataApiAdmin {
    /// The stand-in behind a stack's endpoint for users, or at its own URL.
    pub fn new(endpoint: &str) -> Self {
        Self { paths: JsonPaths::new(format!("{endpoint}/_standin")) }
    }

    /// All remembered statements, newest first.
    pub async fn statements(&self) -> Result<Vec<Statement>> {
        self.paths.request(Method::GET, "statements").await
    }

    /// Changes settings. The module `admin` of `local-data-api` describes them.
    pub async fn change(&self, settings: &Value) -> Result<()> {
        let _settings: Value = self.paths.post("settings", settings).await?;
        Ok(())
    }
}
