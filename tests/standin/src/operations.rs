//! The operations of the Data API: check the request, do it, shape the answer.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::clock::Millis;
use crate::errors::ServiceError;
use crate::execute;
use crate::plan::{Parameter, uses_parameter};
use crate::store::{Connection, Mode, Part, ResultSet, Statement, Status, Submission};

mod metadata;

/// SQL statements in a batch.
const SQLS_MAX: usize = 40;
/// Bytes of one SQL statement.
const SQL_BYTES_MAX: usize = 100 * 1024;
const CLIENT_TOKEN_CHARS_MAX: usize = 64;
const STATEMENT_NAME_CHARS_MAX: usize = 2048;
const LIST_PAGE_MAX: usize = 100;
/// Rows of a page of `GetStatementResult`; the service counts bytes.
const RESULT_PAGE_ROWS: usize = 1000;

/// Who calls, as far as the signature's credential tells.
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
        "GetStatementResult" => get_statement_result(app, &parse(body)?),
        "ListStatements" => list_statements(app, &parse(body)?),
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

/// How the model's constraints are reported.
fn constraint(member: &str, rule: &str) -> ServiceError {
    ServiceError::validation(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: {rule}"
    ))
}

/// The members that name a database, common to most requests.
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
    /// The combinations of cluster or workgroup with user or secret that the service takes.
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

/// The members that both kinds of submission share.
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

/// A statement, or with `:N` its N-th part.
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetResult {
    id: String,
    next_token: Option<String>,
}

fn get_statement_result(app: &App, request: &GetResult) -> Result<Value, ServiceError> {
    let (statement, part) = find(app, &request.id)?;
    let result = match part {
        None if statement.is_batch() => None,
        part => statement.parts[part.unwrap_or_default()].result.clone(),
    };
    let Some(result) = result.filter(|_| statement.status == Status::Finished) else {
        return Err(ServiceError::ResourceNotFound {
            message: "Query does not have result. Please check query status with DescribeStatement.".to_owned(),
            resource: request.id.clone(),
        });
    };
    let start = offset(request.next_token.as_deref())?;
    let page: Vec<Value> =
        result.rows.iter().skip(start).take(RESULT_PAGE_ROWS).map(|row| fields(&result, row)).collect();
    let end = start + page.len();
    let mut answer = json!({
        "Records": page,
        "ColumnMetadata": result.columns.iter().map(|column| json!({
            "name": column.name, "label": column.name, "typeName": column.type_name, "length": 0, "nullable": 1,
            "precision": 0, "scale": 0, "schemaName": "", "tableName": "", "isCaseSensitive": false,
            "isCurrency": false, "isSigned": false,
        })).collect::<Vec<_>>(),
        "TotalNumRows": result.rows.len(),
    });
    if end < result.rows.len() {
        answer["NextToken"] = json!(end.to_string());
    }
    Ok(answer)
}

fn offset(token: Option<&str>) -> Result<usize, ServiceError> {
    token.map_or(Ok(0), |token| token.parse().map_err(|_| ServiceError::validation("NextToken is not valid.")))
}

fn fields(result: &ResultSet, row: &[Option<String>]) -> Value {
    let field = |(index, value): (usize, &Option<String>)| {
        let Some(text) = value else { return json!({"isNull": true}) };
        match result.columns.get(index).map_or("", |column| column.type_name.as_str()) {
            "int2" | "int4" | "int8" | "oid" => json!({"longValue": text.parse::<i64>().unwrap_or_default()}),
            "float4" | "float8" => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => json!({"doubleValue": number}),
                _ => json!({"doubleValue": text}),
            },
            "bool" => json!({"booleanValue": text == "t"}),
            _ => json!({"stringValue": text}),
        }
    };
    row.iter().enumerate().map(field).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ListStatements {
    statement_name: Option<String>,
    status: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
    cluster_identifier: Option<String>,
    workgroup_name: Option<String>,
    database: Option<String>,
}

impl ListStatements {
    /// By default only finished statements are listed.
    fn selects(&self, statement: &Statement) -> bool {
        let submission = &statement.submission;
        let status = self.status.as_deref().unwrap_or("FINISHED");
        let warehouse = self.cluster_identifier.as_ref().or(self.workgroup_name.as_ref());
        (status == "ALL" || status == statement.status.name())
            && self
                .statement_name
                .as_ref()
                .is_none_or(|prefix| submission.name.as_deref().unwrap_or_default().starts_with(prefix))
            && warehouse.is_none_or(|warehouse| warehouse.ends_with(submission.connection.warehouse()))
            && self.database.as_ref().is_none_or(|database| *database == submission.connection.database)
    }
}

fn list_statements(app: &App, request: &ListStatements) -> Result<Value, ServiceError> {
    const STATUSES: [&str; 7] = ["SUBMITTED", "PICKED", "STARTED", "FINISHED", "ABORTED", "FAILED", "ALL"];
    if request.status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(constraint("status", &format!("Member must satisfy enum value set: [{}]", STATUSES.join(", "))));
    }
    if request.cluster_identifier.is_some() && request.workgroup_name.is_some() {
        return Err(ServiceError::validation("ClusterIdentifier and WorkgroupName cannot be provided together."));
    }
    let size = request.max_results.filter(|size| *size > 0).unwrap_or(LIST_PAGE_MAX);
    if size > LIST_PAGE_MAX {
        return Err(constraint("maxResults", "Member must have value less than or equal to 100"));
    }
    let all = app.store.all(app.clock.now());
    // The token is the last statement of the page before: what is submitted meanwhile moves nothing.
    let start = match request.next_token.as_deref().filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            1 + all
                .iter()
                .position(|statement| statement.id == token)
                .ok_or_else(|| ServiceError::validation("NextToken is not valid."))?
        }
    };
    let mut selected = all[start..].iter().filter(|statement| request.selects(statement));
    let page: Vec<&Statement> = selected.by_ref().take(size).collect();
    let mut answer = json!({"Statements": page.iter().map(|statement| listed(statement)).collect::<Vec<_>>()});
    if let (Some(last), Some(_)) = (page.last(), selected.next()) {
        answer["NextToken"] = json!(last.id);
    }
    Ok(answer)
}

fn listed(statement: &Statement) -> Value {
    let submission = &statement.submission;
    let mut shown = Map::from_iter([
        ("Id".to_owned(), json!(statement.id)),
        ("Status".to_owned(), json!(statement.status.name())),
        ("CreatedAt".to_owned(), json!(seconds(statement.created))),
        ("UpdatedAt".to_owned(), json!(seconds(statement.updated))),
        ("IsBatchStatement".to_owned(), json!(statement.is_batch())),
        ("ResultFormat".to_owned(), json!("JSON")),
    ]);
    if let Some(name) = &submission.name {
        shown.insert("StatementName".to_owned(), json!(name));
    }
    if let Some(arn) = &submission.connection.secret_arn {
        shown.insert("SecretArn".to_owned(), json!(arn));
    }
    if statement.is_batch() {
        shown.insert("QueryStrings".to_owned(), json!(submission.sqls));
    } else {
        shown.insert("QueryString".to_owned(), json!(submission.sqls[0]));
    }
    Value::Object(shown)
}

/// Epoch seconds with a fraction, as AWS JSON writes a timestamp.
#[expect(clippy::cast_precision_loss, reason = "milliseconds fit a double for 285,000 years")]
fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1000.0
}
