//! The service's error texts.
//!
//! A [`SqlError`] ends a SQL statement and becomes the statement's `Error`; a [`ServiceError`] refuses a request. Texts marked *own* are the
//! stand-in's, because the real ones are not known.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokio_postgres::error::SqlState;

/// The error of a SQL statement. Its text always begins with `ERROR: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    pub text: String,
    /// The statement was cancelled, so its status is ABORTED, not FAILED.
    pub cancelled: bool,
}

/// The block of lines that Redshift appends when a compute node reports an error.
#[derive(Clone, Copy, Debug)]
pub struct NodeError<'a> {
    pub error: &'a str,
    pub code: u32,
    pub context: &'a str,
    pub query: i64,
    pub location: &'a str,
}

impl SqlError {
    pub fn new(message: impl AsRef<str>) -> Self {
        Self { text: format!("ERROR: {}", message.as_ref()), cancelled: false }
    }

    pub fn syntax(near: &str, position: usize) -> Self {
        if near.is_empty() {
            return Self::new(format!("syntax error at end of input\n  Position: {position}"));
        }
        Self::new(format!("syntax error at or near \"{near}\"\n  Position: {position}"))
    }

    /// *Own*: something that Redshift can do and the stand-in cannot.
    pub fn beyond_stand_in(what: &str) -> Self {
        Self::new(format!("stand-in limit: {what} (Redshift itself may accept this)"))
    }

    pub fn node(headline: &str, detail: NodeError<'_>) -> Self {
        let NodeError { error, code, context, query, location } = detail;
        let rule = "-".repeat(47);
        Self::new(format!(
            "{headline}\n  Detail: \n  {rule}\n  error:  {error}\n  code:      {code}\n  context:   {context}\n  \
             query:     {query}\n  location:  {location}\n  process:   padbmaster [pid=8431]\n  {rule}"
        ))
    }

    pub fn load_failed(table: &str) -> Self {
        Self::new(format!("Load into table '{table}' failed.  Check 'sys_load_error_detail' system table for details."))
    }

    /// `transactions` are the two that form the cycle, beginning with the refused one.
    pub fn serializable_violation(table_id: u32, transactions: [u64; 2]) -> Self {
        let [own, other] = transactions;
        Self::new(format!(
            "1023 DETAIL: Serializable isolation violation on table - {table_id}, transactions forming the cycle are: \
             {own}, {other} (pid:8431)"
        ))
    }

    /// `tables` are the relations in the statement, which Redshift lists if a column is unknown.
    pub fn from_postgres(error: &tokio_postgres::Error, tables: &[String], query: i64) -> Self {
        let Some(db) = error.as_db_error() else {
            return Self::new(format!("connection to the warehouse was lost: {error}"));
        };
        let code = db.code();
        if *code == SqlState::QUERY_CANCELED {
            return Self { cancelled: true, ..Self::new("Query (0) cancelled on user's request") };
        }
        from_state(code, db.message(), db.column(), tables, query)
    }
}

fn from_state(code: &SqlState, message: &str, column: Option<&str>, tables: &[String], query: i64) -> SqlError {
    let node = |error: &str, number, context: &str| {
        let detail = NodeError { error, code: number, context, query, location: "query_execution.cpp:91" };
        SqlError::node(error, detail)
    };
    if *code == SqlState::T_R_SERIALIZATION_FAILURE {
        return SqlError::serializable_violation(0, [query.unsigned_abs(), query.unsigned_abs() + 1]);
    }
    if *code == SqlState::STRING_DATA_RIGHT_TRUNCATION {
        return node("Value too long for character type", 8001, &capitalized(message));
    }
    if *code == SqlState::NOT_NULL_VIOLATION {
        let error = format!("Cannot insert a NULL value into column {}", column.unwrap_or_default());
        return node(&error, 8007, "query execution");
    }
    if *code == SqlState::CARDINALITY_VIOLATION && message.starts_with("MERGE") {
        return SqlError::new("Found multiple matches to update the same tuple.");
    }
    if *code == SqlState::UNDEFINED_COLUMN && !tables.is_empty() && !message.contains(" of relation ") {
        return SqlError::new(format!("{message} in {}", tables.join(", ")));
    }
    if *code == SqlState::DUPLICATE_TABLE {
        return SqlError::new(capitalized(message));
    }
    SqlError::new(
        message
            .replace("permission denied for table", "permission denied for relation")
            .replace("invalid input syntax for type ", "invalid input syntax for "),
    )
}

fn capitalized(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The exception for a refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceError {
    Validation(String),
    ResourceNotFound {
        message: String,
        resource: String,
    },
    ActiveStatementsExceeded(String),
    /// The warehouse could not be reached for a request that needs it.
    DatabaseConnection(String),
    UnknownOperation(String),
    Serialization(String),
}

impl ServiceError {
    pub fn validation(message: impl Into<String>) -> Self {
        Self::Validation(message.into())
    }

    pub fn unknown_statement(id: &str) -> Self {
        Self::ResourceNotFound { message: "Query does not exist.".to_owned(), resource: id.to_owned() }
    }

    fn parts(&self) -> (StatusCode, &'static str, &str) {
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Self::Validation(message) => (bad, "ValidationException", message),
            Self::ResourceNotFound { message, .. } => (bad, "ResourceNotFoundException", message),
            Self::ActiveStatementsExceeded(message) => (bad, "ActiveStatementsExceededException", message),
            Self::UnknownOperation(message) => (bad, "UnknownOperationException", message),
            Self::Serialization(message) => (bad, "SerializationException", message),
            Self::DatabaseConnection(message) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "DatabaseConnectionException", message)
            }
        }
    }
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let (status, kind, message) = self.parts();
        let mut body = Map::from_iter([
            ("__type".to_owned(), json!(kind)),
            ("message".to_owned(), json!(message)),
            ("Message".to_owned(), json!(message)),
        ]);
        if let Self::ResourceNotFound { resource, .. } = &self {
            body.insert("ResourceId".to_owned(), json!(resource));
        }
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amzn-errortype", kind)];
        (status, headers, Value::Object(body).to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_column_error_lists_the_relations() {
        let error = from_state(&SqlState::UNDEFINED_COLUMN, "column \"c\" does not exist", None, &["t".to_owned()], 7);
        assert_eq!(error.text, "ERROR: column \"c\" does not exist in t");
    }

    #[test]
    fn a_null_in_a_required_column_names_the_column() {
        let error = from_state(&SqlState::NOT_NULL_VIOLATION, "null value", Some("id"), &[], 7);
        assert!(error.text.starts_with("ERROR: Cannot insert a NULL value into column id\n"), "{}", error.text);
    }

    #[test]
    fn the_error_for_a_value_that_is_too_long_contains_the_type() {
        let message = "value too long for type character varying(5)";
        let error = from_state(&SqlState::STRING_DATA_RIGHT_TRUNCATION, message, None, &[], 7);
        assert!(error.text.starts_with("ERROR: Value too long for character type\n"), "{}", error.text);
        assert!(error.text.contains("context:   Value too long for type character varying(5)\n"));
    }

    #[test]
    fn a_serialization_failure_is_error_1023() {
        let error = from_state(&SqlState::T_R_SERIALIZATION_FAILURE, "could not serialize", None, &[], 7);
        assert!(error.text.starts_with("ERROR: 1023 DETAIL: Serializable isolation violation on table - "));
    }

    #[test]
    fn a_permission_error_says_relation() {
        let error = from_state(&SqlState::INSUFFICIENT_PRIVILEGE, "permission denied for table x", None, &[], 7);
        assert_eq!(error.text, "ERROR: permission denied for relation x");
    }
}
