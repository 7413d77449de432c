//! The Redshift Data API: submit, status, cancel, find by name, and short queries.

use aws_sdk_redshiftdata::operation::describe_statement::{DescribeStatementError, DescribeStatementOutput};
use aws_sdk_redshiftdata::types::{StatusString, SubStatementData};
use aws_smithy_types::retry::RetryConfig;
use loader_core::config::LoadConfig;
use loader_core::ids::StatementName;
use loader_core::outcome::{FailureClass, classify};
use loader_core::sql::literal;
use loader_core::tracker::change::Committed;
use loader_core::tracker::settle::StatementStatus;
use loader_reconcile::ports::{DataApi, PortError, PortResult};

use crate::statement::{self, Ended, Polling, addressed, error_text};
use crate::{Aws, errors};

/// How long to poll a short query.
const QUERY: Polling = Polling { first_millis: 50, longest_millis: 800, limit_millis: 30_000 };

impl DataApi for Aws {
    async fn submit(&self, config: &LoadConfig, name: &StatementName, sql: &[String]) -> PortResult<String> {
        const OPERATION: &str = "redshift-data:BatchExecuteStatement";
        let request = addressed!(self.redshift_data.batch_execute_statement(), config);
        let request = request
            .statement_name(name.to_string())
            .client_token(name.client_token())
            .with_event(true)
            .set_sqls(Some(sql.to_vec()));
        // Only the tracker repeats a submit. If the SDK did, a refusal of its last attempt would hide that the answer to an earlier one was
        // lost.
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
            Some(StatusString::Finished) => StatementStatus::Finished(committed(&answer)),
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

    async fn cancel(&self, statement_id: &str) -> PortResult<()> {
        const OPERATION: &str = "redshift-data:CancelStatement";
        let answer = self.redshift_data.cancel_statement().id(statement_id).send().await;
        answer.map(|_| ()).map_err(|error| errors::sort(OPERATION, &error))
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
            // The filter is a prefix: the name of attempt 1 also finds attempt 10.
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
        match statement::run(&self.redshift_data, config, sql, QUERY).await? {
            Ended::Finished(rows) => Ok(rows),
            Ended::Failed(message) => Err(PortError {
                operation: "redshift-data:ExecuteStatement",
                unknown: false,
                class: classify(&message),
                message,
            }),
        }
    }
}

const NANOS_IN_MILLI: i64 = 1_000_000;

impl Aws {
    /// What the warehouse's error table says about a failed COPY: files, lines and columns. Best effort: without it, the load is halved.
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

/// Rows of the COPY statement, if the service reports them, and how long it and the other statements ran.
fn committed(answer: &DescribeStatementOutput) -> Committed {
    let is_copy = |sub: &&SubStatementData| sub.query_string().is_some_and(|sql| sql.trim_start().starts_with("COPY "));
    let subs = answer.sub_statements();
    let Some(copy) = subs.iter().find(is_copy) else { return Committed::default() };
    let nanos: i64 = subs.iter().map(SubStatementData::duration).sum();
    Committed {
        rows: Some(copy.result_rows()).filter(|rows| *rows >= 0),
        copy_millis: Some(copy.duration() / NANOS_IN_MILLI),
        merge_millis: Some((nanos - copy.duration()) / NANOS_IN_MILLI),
    }
}
