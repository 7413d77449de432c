//! The Redshift Data API: submit, ask, find by name, and short queries.

use aws_config::retry::RetryConfig;
use aws_sdk_redshiftdata::operation::describe_statement::{DescribeStatementError, DescribeStatementOutput};
use aws_sdk_redshiftdata::types::{Field, StatusString, SubStatementData};
use loader_core::config::{LoadConfig, Login};
use loader_core::ids::{RedshiftTarget, StatementName};
use loader_core::outcome::{FailureClass, classify};
use loader_core::sql::literal;
use loader_core::tracker::settle::StatementStatus;
use loader_reconcile::ports::{DataApi, PortError, PortResult, Surroundings};

use crate::{Aws, errors};

/// How long a short query may take, and how often it is asked for.
const QUERY_MILLIS_MAX: i64 = 30_000;
const QUERY_POLL_MILLIS: u64 = 200;

/// The parts of a request that say which warehouse, which database and who (Data API, "Authorizing access").
macro_rules! addressed {
    ($request:expr, $config:expr) => {{
        let request = $request.database(&$config.target.database);
        let request = match &$config.target.warehouse {
            RedshiftTarget::Cluster(identifier) => request.cluster_identifier(identifier),
            RedshiftTarget::Workgroup(name) => request.workgroup_name(name),
        };
        match &$config.login {
            Login::DbUser(user) => request.db_user(user),
            Login::Secret(arn) => request.secret_arn(arn),
            Login::Identity => request,
        }
    }};
}

impl DataApi for Aws {
    async fn submit(&self, config: &LoadConfig, name: &StatementName, sql: &[String]) -> PortResult<String> {
        const OPERATION: &str = "redshift-data:BatchExecuteStatement";
        let request = addressed!(self.redshift_data.batch_execute_statement(), config);
        let request = request
            .statement_name(name.to_string())
            .client_token(name.client_token())
            .with_event(true)
            .set_sqls(Some(sql.to_vec()));
        // Repeated by the tracker only: where the SDK repeats, a refusal of its last try would hide that an earlier one was lost.
        let once = aws_sdk_redshiftdata::config::Builder::new().retry_config(RetryConfig::disabled());
        let answer =
            request.customize().config_override(once).send().await.map_err(|error| errors::sort(OPERATION, &error))?;
        answer.id.ok_or_else(|| errors::lost(OPERATION, "an answer without a statement id"))
    }

    async fn status(&self, config: &LoadConfig, statement_id: &str) -> PortResult<StatementStatus> {
        const OPERATION: &str = "redshift-data:DescribeStatement";
        let answer = match self.redshift_data.describe_statement().id(statement_id).send().await {
            Ok(answer) => answer,
            Err(error)
                if error.as_service_error().is_some_and(DescribeStatementError::is_resource_not_found_exception) =>
            {
                return Ok(StatementStatus::Forgotten);
            }
            Err(error) => return Err(errors::sort(OPERATION, &error)),
        };
        Ok(match answer.status() {
            Some(StatusString::Finished) => StatementStatus::Finished { rows: copied_rows(&answer) },
            Some(StatusString::Aborted) => StatementStatus::Aborted { error: error_text(&answer) },
            Some(StatusString::Failed) => {
                let mut error = error_text(&answer);
                if let Some(detail) = self.load_errors(config, &answer, &error).await {
                    error = format!("{error}; {detail}");
                }
                StatementStatus::Failed { error }
            }
            _ => StatementStatus::Running,
        })
    }

    async fn find(&self, _config: &LoadConfig, name: &StatementName) -> PortResult<Option<String>> {
        const OPERATION: &str = "redshift-data:ListStatements";
        let (name, mut next) = (name.to_string(), None);
        loop {
            let page = self
                .redshift_data
                .list_statements()
                .statement_name(&name)
                .status(StatusString::All)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| errors::sort(OPERATION, &error))?;
            // The filter is a prefix: attempt 1 would find attempt 10.
            if let Some(found) = page.statements().iter().find(|statement| statement.statement_name() == Some(&name)) {
                return Ok(Some(found.id().to_owned()));
            }
            next = page.next_token().map(ToOwned::to_owned);
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    async fn query(&self, config: &LoadConfig, sql: &str) -> PortResult<Vec<Vec<Option<String>>>> {
        const OPERATION: &str = "redshift-data:ExecuteStatement";
        let request = addressed!(self.redshift_data.execute_statement(), config).sql(sql);
        let answer = request.send().await.map_err(|error| errors::sort(OPERATION, &error))?;
        let id = answer.id.ok_or_else(|| errors::lost(OPERATION, "an answer without a statement id"))?;
        let deadline = self.now() + QUERY_MILLIS_MAX;
        loop {
            let answer = self.redshift_data.describe_statement().id(&id).send().await;
            let answer = answer.map_err(|error| errors::sort("redshift-data:DescribeStatement", &error))?;
            match answer.status() {
                Some(StatusString::Finished) => return self.rows(&id).await,
                Some(StatusString::Failed | StatusString::Aborted) => {
                    let message = error_text(&answer);
                    let class = classify(&message);
                    return Err(PortError { operation: OPERATION, unknown: false, class, message });
                }
                _ if self.now() >= deadline => {
                    return Err(errors::lost(OPERATION, format!("`{sql}` did not end within {QUERY_MILLIS_MAX} ms")));
                }
                _ => self.sleep(QUERY_POLL_MILLIS).await,
            }
        }
    }
}

impl Aws {
    async fn rows(&self, id: &str) -> PortResult<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        let mut next = None;
        loop {
            let page = self.redshift_data.get_statement_result().id(id).set_next_token(next).send().await;
            let page = page.map_err(|error| errors::sort("redshift-data:GetStatementResult", &error))?;
            rows.extend(page.records().iter().map(|row| row.iter().map(text).collect()));
            next = page.next_token().map(ToOwned::to_owned);
            if next.is_none() {
                return Ok(rows);
            }
        }
    }

    /// What the warehouse's error table says about a failed COPY: which files, lines and columns. Best effort: without it
    /// the load is halved.
    async fn load_errors(&self, config: &LoadConfig, answer: &DescribeStatementOutput, error: &str) -> Option<String> {
        if classify(error) != FailureClass::BadInput || !error.to_lowercase().contains("load_error") {
            return None;
        }
        let failed = answer.sub_statements().iter().find(|sub| sub.error().is_some())?;
        let sql = format!(
            "SELECT DISTINCT TRIM(file_name), line_number, TRIM(column_name), TRIM(error_message) FROM sys_load_error_detail WHERE query_id = {} LIMIT 20",
            failed.redshift_query_id()
        );
        let rows = self.query(config, &sql).await.ok()?;
        let word = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let line = |row: &Vec<Option<String>>| {
            format!("file '{}' line {} column {}: {}", word(row, 0), word(row, 1), literal(&word(row, 2)), word(row, 3))
        };
        (!rows.is_empty()).then(|| rows.iter().map(line).collect::<Vec<_>>().join("; "))
    }
}

fn error_text(answer: &DescribeStatementOutput) -> String {
    let own = answer.error().map(ToOwned::to_owned);
    let subs = answer.sub_statements().iter().filter_map(SubStatementData::error).map(ToOwned::to_owned);
    let mut texts: Vec<String> = Vec::new();
    for text in own.into_iter().chain(subs) {
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    }
    if texts.is_empty() { "the service gave no error text".to_owned() } else { texts.join("; ") }
}

/// Rows of the COPY statement, where the service counts them.
fn copied_rows(answer: &DescribeStatementOutput) -> Option<i64> {
    let is_copy = |sub: &&SubStatementData| sub.query_string().is_some_and(|sql| sql.trim_start().starts_with("COPY "));
    let copy = answer.sub_statements().iter().find(is_copy)?;
    Some(copy.result_rows()).filter(|rows| *rows >= 0)
}

fn text(field: &Field) -> Option<String> {
    match field {
        Field::StringValue(text) => Some(text.clone()),
        Field::LongValue(number) => Some(number.to_string()),
        Field::DoubleValue(number) => Some(number.to_string()),
        Field::BooleanValue(value) => Some(value.to_string()),
        _ => None,
    }
}
