//! The operations of the Data API: each checks its request, performs it and returns the response.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Millis;
use crate::errors::ServiceError;
use crate::execute;
use crate::plan::uses_parameter;
use crate::statement::{Connection, Mode, Parameter, Part, Statement, Status, Submission};

mod list;
mod metadata;
mod result;

/// Maximum SQL statements in a batch.
const SQLS_MAX: usize = 40;
/// Maximum bytes of a SQL statement.
const SQL_BYTES_MAX: usize = 100 * 1024;
const CLIENT_TOKEN_CHARS_MAX: usize = 64;
const STATEMENT_NAME_CHARS_MAX: usize = 2048;

/// The caller, derived from the access key of the signature.
pub struct Caller {
    principal: String,
}

impl Caller {
    pub fn from_authorization(header: &str, account: &str) -> Self {
        let credential = header.split_once("Credential=").map_or("", |(_, rest)| rest);
        let key = credential.split('/').next().filter(|key| !key.is_empty()).unwrap_or("anonymous");
        Self { principal: format!("arn:aws:iam::{account}:user/{key}") }
    }
}

pub async fn dispatch(app: &Arc<App>, operation: &str, body: &[u8], caller: &Caller) -> Result<Value, ServiceError> {
    match operation {
        "BatchExecuteStatement" => batch_execute_statement(app, parse(body)?, caller),
        "ExecuteStatement" => execute_statement(app, parse(body)?, caller),
        "DescribeStatement" => describe_statement(app, &parse::<ById>(body)?.id),
        "CancelStatement" => cancel_statement(app, &parse::<ById>(body)?.id),
        "GetStatementResult" => result::get_statement_result(app, &parse(body)?),
        "ListStatements" => list::list_statements(app, &parse(body)?),
        "DescribeTable" => metadata::describe_table(app, parse(body)?).await,
        "ListTables" => metadata::list_tables(app, parse(body)?).await,
        "ListSchemas" => metadata::list_schemas(app, parse(body)?).await,
        "ListDatabases" => metadata::list_databases(app, parse(body)?).await,
        other => Err(ServiceError::UnknownOperation(format!("the stand-in does not know the operation `{other}`"))),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(body).map_err(|error| ServiceError::Serialization(error.to_string()))
}

/// The error for a request that violates the API model's constraints.
fn constraint(member: &str, rule: &str) -> ServiceError {
    ServiceError::validation(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: {rule}"
    ))
}

/// The members that identify a database, which most requests have.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Address {
    cluster_identifier: Option<String>,
    workgroup_name: Option<String>,
    database: Option<String>,
    db_user: Option<String>,
    secret_arn: Option<String>,
    session_id: Option<String>,
}

impl Address {
    /// Checks that the members are a combination that the service accepts.
    fn connection(self) -> Result<Connection, ServiceError> {
        let refuse = |text: &str| Err(ServiceError::validation(text));
        if self.session_id.is_some() {
            return refuse("stand-in limit: sessions (SessionId) are not supported");
        }
        match (&self.cluster_identifier, &self.workgroup_name) {
            (None, None) => return refuse("Either ClusterIdentifier or WorkgroupName must be provided."),
            (Some(_), Some(_)) => return refuse("ClusterIdentifier and WorkgroupName cannot be provided together."),
            (None, Some(_)) if self.db_user.is_some() => {
                return refuse("DbUser cannot be provided with WorkgroupName.");
            }
            _ => {}
        }
        if self.db_user.is_some() && self.secret_arn.is_some() {
            return refuse("DbUser and SecretArn cannot be provided together.");
        }
        if self.secret_arn.as_deref().is_some_and(|arn| !arn.starts_with("arn:")) {
            return refuse("SecretArn is not a valid ARN.");
        }
        let names = [&self.cluster_identifier, &self.workgroup_name, &self.database];
        if names.into_iter().flatten().any(String::is_empty) {
            return refuse("ClusterIdentifier, WorkgroupName and Database must not be empty.");
        }
        let Some(database) = self.database else { return refuse("Database must be provided.") };
        Ok(Connection {
            cluster: self.cluster_identifier,
            workgroup: self.workgroup_name,
            database,
            db_user: self.db_user,
            secret_arn: self.secret_arn,
        })
    }
}

/// The members that both kinds of submit have.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Submit {
    #[serde(flatten)]
    address: Address,
    statement_name: Option<String>,
    with_event: Option<bool>,
    client_token: Option<String>,
    parameters: Option<Vec<Parameter>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    #[serde(flatten)]
    submit: Submit,
    sqls: Option<Vec<String>>,
    execution_mode: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Execute {
    #[serde(flatten)]
    submit: Submit,
    sql: Option<String>,
}

fn batch_execute_statement(app: &Arc<App>, request: Batch, caller: &Caller) -> Result<Value, ServiceError> {
    let sqls = request.sqls.ok_or_else(|| constraint("sqls", "Member must not be null"))?;
    match sqls.len() {
        0 => return Err(constraint("sqls", "Member must have length greater than or equal to 1")),
        1..=SQLS_MAX => {}
        _ => return Err(constraint("sqls", "Member must have length less than or equal to 40")),
    }
    let mode = match request.execution_mode.as_deref() {
        None | Some("TRANSACTION") => Mode::Transaction,
        Some("AUTO_COMMIT") => Mode::AutoCommit,
        Some(_) => {
            return Err(constraint("executionMode", "Member must satisfy enum value set: [TRANSACTION, AUTO_COMMIT]"));
        }
    };
    submit(app, request.submit, (mode, sqls), caller)
}

fn execute_statement(app: &Arc<App>, request: Execute, caller: &Caller) -> Result<Value, ServiceError> {
    let sql = request.sql.ok_or_else(|| constraint("sql", "Member must not be null"))?;
    submit(app, request.submit, (Mode::Single, vec![sql]), caller)
}

fn submit(
    app: &Arc<App>,
    request: Submit,
    (mode, sqls): (Mode, Vec<String>),
    caller: &Caller,
) -> Result<Value, ServiceError> {
    check_submit(&request, &sqls)?;
    let submission = Submission {
        connection: request.address.connection()?,
        sqls,
        parameters: request.parameters.unwrap_or_default(),
        name: request.statement_name,
        with_event: request.with_event.unwrap_or_default(),
        mode,
        principal: caller.principal.clone(),
    };
    let now = app.clock.now();
    let (statement, new) = app.store.submit(submission, request.client_token, now, app.controls.active_limit())?;
    if new {
        tokio::spawn(execute::run(Arc::clone(app), statement.clone()));
    }
    let connection = &statement.submission.connection;
    let mut answer = json!({"Id": statement.id, "CreatedAt": seconds(statement.created), "DbGroups": []});
    insert_connection(&mut answer, connection);
    Ok(answer)
}

fn check_submit(request: &Submit, sqls: &[String]) -> Result<(), ServiceError> {
    if sqls.iter().any(|sql| sql.trim().is_empty()) {
        return Err(ServiceError::validation("SQL statement must not be empty."));
    }
    if let Some(sql) = sqls.iter().find(|sql| sql.len() > SQL_BYTES_MAX) {
        let text = format!("SQL statement of {} bytes exceeds the maximum of {SQL_BYTES_MAX} bytes.", sql.len());
        return Err(ServiceError::validation(text));
    }
    if request.statement_name.as_ref().is_some_and(|name| name.chars().count() > STATEMENT_NAME_CHARS_MAX) {
        return Err(constraint("statementName", "Member must have length less than or equal to 2048"));
    }
    match request.client_token.as_ref().map(|token| token.chars().count()) {
        Some(0) => return Err(constraint("clientToken", "Member must have length greater than or equal to 1")),
        Some(length) if length > CLIENT_TOKEN_CHARS_MAX => {
            return Err(constraint("clientToken", "Member must have length less than or equal to 64"));
        }
        _ => {}
    }
    check_parameters(request.parameters.as_deref(), sqls)
}

fn check_parameters(parameters: Option<&[Parameter]>, sqls: &[String]) -> Result<(), ServiceError> {
    let Some(parameters) = parameters else { return Ok(()) };
    if parameters.is_empty() {
        return Err(constraint("parameters", "Member must have length greater than or equal to 1"));
    }
    for Parameter { name, value } in parameters {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(constraint("parameters", "Member must satisfy regular expression pattern: [0-9a-zA-Z_]+"));
        }
        if value.is_empty() {
            return Err(constraint("parameters", "Member must have length greater than or equal to 1"));
        }
        if !sqls.iter().any(|sql| uses_parameter(sql, name)) {
            return Err(ServiceError::validation(format!("Parameter {name} is not used in the SQL statement.")));
        }
    }
    Ok(())
}

fn insert_connection(answer: &mut Value, connection: &Connection) {
    let members = [
        ("ClusterIdentifier", &connection.cluster),
        ("WorkgroupName", &connection.workgroup),
        ("DbUser", &connection.db_user),
        ("SecretArn", &connection.secret_arn),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            answer[name] = json!(value);
        }
    }
    answer["Database"] = json!(connection.database);
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ById {
    id: String,
}

/// Finds a statement, or its N-th SQL statement for an id with `:N`.
fn find(app: &App, id: &str) -> Result<(Statement, Option<usize>), ServiceError> {
    let (parent, part) = id.split_once(':').map_or((id, None), |(parent, part)| (parent, Some(part)));
    let valid = parent.len() == 36
        && parent.char_indices().all(|(index, letter)| match index {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_lowercase() || letter.is_ascii_digit(),
        })
        && part.is_none_or(|part| part.len() <= 2 && part.bytes().all(|digit| digit.is_ascii_digit()));
    if !valid {
        let rule = "Member must satisfy regular expression pattern: \
                    ^[a-z0-9]{8}(-[a-z0-9]{4}){3}-[a-z0-9]{12}(:\\d{0,2})?$";
        return Err(constraint("id", rule));
    }
    let statement = app.store.get(parent, app.clock.now()).ok_or_else(|| ServiceError::unknown_statement(id))?;
    match part.filter(|part| !part.is_empty()) {
        None => Ok((statement, None)),
        Some(part) => {
            let index = part.parse::<usize>().unwrap_or_default();
            if !statement.is_batch() || index == 0 || index > statement.parts.len() {
                return Err(ServiceError::unknown_statement(id));
            }
            Ok((statement, Some(index - 1)))
        }
    }
}

fn describe_statement(app: &App, id: &str) -> Result<Value, ServiceError> {
    let (statement, part) = find(app, id)?;
    if let Some(index) = part {
        let mut answer = describe_part(&statement, index);
        insert_connection(&mut answer, &statement.submission.connection);
        return Ok(answer);
    }
    let mut answer = json!({
        "Id": statement.id,
        "Status": statement.status.name(),
        "Duration": statement.duration_nanos,
        "CreatedAt": seconds(statement.created),
        "UpdatedAt": seconds(statement.updated),
        "RedshiftPid": if statement.status == Status::Submitted { 0 } else { 1_073_815_778 },
        "ResultFormat": "JSON",
    });
    if let Some(error) = &statement.error {
        answer["Error"] = json!(error);
    }
    insert_connection(&mut answer, &statement.submission.connection);
    if !statement.submission.parameters.is_empty() {
        answer["QueryParameters"] = json!(statement.submission.parameters);
    }
    if statement.is_batch() {
        answer["HasResultSet"] = json!(statement.parts.iter().any(|part| part.result.is_some()));
        answer["ResultRows"] = json!(-1);
        answer["ResultSize"] = json!(-1);
        answer["RedshiftQueryId"] = json!(0);
        let parts = (0..statement.parts.len()).map(|index| describe_part(&statement, index));
        answer["SubStatements"] = parts.collect();
    } else {
        let part = &statement.parts[0];
        answer["QueryString"] = json!(statement.submission.sqls[0]);
        insert_result(&mut answer, part);
    }
    Ok(answer)
}

fn describe_part(statement: &Statement, index: usize) -> Value {
    let part = &statement.parts[index];
    let mut answer = json!({
        "Id": format!("{}:{}", statement.id, index + 1),
        "Status": part.status.name(),
        "Duration": part.duration_nanos,
        "CreatedAt": seconds(part.created),
        "UpdatedAt": seconds(part.updated),
        "QueryString": statement.submission.sqls[index],
    });
    if let Some(error) = &part.error {
        answer["Error"] = json!(error);
    }
    insert_result(&mut answer, part);
    answer
}

fn insert_result(answer: &mut Value, part: &Part) {
    answer["HasResultSet"] = json!(part.result.is_some());
    answer["ResultRows"] = json!(part.rows);
    answer["ResultSize"] = json!(part.size);
    let ran = !matches!(part.status, Status::Submitted | Status::Picked);
    answer["RedshiftQueryId"] = json!(if ran { part.query_id } else { 0 });
}

fn cancel_statement(app: &App, id: &str) -> Result<Value, ServiceError> {
    let (statement, part) = find(app, id)?;
    if part.is_some() {
        return Err(ServiceError::validation("Cancelling a sub-statement of a batch is not supported."));
    }
    if statement.status.is_terminal() || !statement.cancellation.cancel() {
        let status = if statement.status.is_terminal() { statement.status } else { Status::Finished };
        let text = format!("Could not cancel a query that is already in {} state with ID: {id}", status.name());
        return Err(ServiceError::validation(text));
    }
    Ok(json!({"Status": true}))
}

/// Epoch seconds with a fraction, the format of timestamps in AWS JSON.
#[expect(clippy::cast_precision_loss, reason = "milliseconds fit a double for 285,000 years")]
fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1000.0
}
