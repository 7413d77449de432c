//! One SQL statement through the Data API: submitted, polled until it ends, and its rows read.

use std::time::Duration;

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::{Field, StatusString, SubStatementData};
use loader_core::config::LoadConfig;
use loader_reconcile::ports::PortResult;
use tokio::time::{Instant, sleep};

use crate::errors;

/// Adds the warehouse, database and credentials to a request (Data API, "Authorizing access").
macro_rules! addressed {
    ($request:expr, $config:expr) => {{
        use loader_core::config::Login;
        use loader_core::ids::RedshiftTarget;

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
pub(crate) use addressed;

/// Rows of a result. Each value is text; NULL is `None`.
pub type Rows = Vec<Vec<Option<String>>>;

/// How often and how long to poll a statement. The pause doubles up to a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    /// Pause before the first status request, in milliseconds.
    pub first_millis: u64,
    /// Longest pause, in milliseconds.
    pub longest_millis: u64,
    /// Time after which a statement that has not ended counts as lost, in milliseconds.
    pub limit_millis: u64,
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It finished with these rows; none if it has no result.
    Finished(Rows),
    /// It failed or was aborted, with this error text.
    Failed(String),
}

/// Runs one statement to its end, in the configured database and with the configured credentials.
///
/// An error means that the service refused a call or did not respond. If the statement itself fails, the result is [`Ended::Failed`].
pub async fn run(client: &Client, config: &LoadConfig, sql: &str, polling: Polling) -> PortResult<Ended> {
    const OPERATION: &str = "redshift-data:ExecuteStatement";
    let submitted = addressed!(client.execute_statement(), config).sql(sql).send().await;
    let submitted = submitted.map_err(|error| errors::sort(OPERATION, &error))?;
    let id = submitted.id.ok_or_else(|| errors::lost(OPERATION, "an answer without a statement id"))?;
    let deadline = Instant::now() + Duration::from_millis(polling.limit_millis);
    let mut pause_millis = polling.first_millis;
    loop {
        sleep(Duration::from_millis(pause_millis)).await;
        let described = client.describe_statement().id(&id).send().await;
        let described = described.map_err(|error| errors::sort("redshift-data:DescribeStatement", &error))?;
        match described.status() {
            Some(StatusString::Finished) if described.has_result_set() == Some(false) => {
                return Ok(Ended::Finished(Rows::new()));
            }
            Some(StatusString::Finished) => return rows(client, &id).await.map(Ended::Finished),
            Some(StatusString::Failed | StatusString::Aborted) => return Ok(Ended::Failed(error_text(&described))),
            _ if Instant::now() >= deadline => {
                let waited = polling.limit_millis;
                return Err(errors::lost(OPERATION, format!("`{sql}` did not end within {waited} ms")));
            }
            _ => pause_millis = (pause_millis * 2).min(polling.longest_millis),
        }
    }
}

async fn rows(client: &Client, id: &str) -> PortResult<Rows> {
    let mut rows = Rows::new();
    let mut next = None;
    loop {
        let page = client.get_statement_result().id(id).set_next_token(next).send().await;
        let page = page.map_err(|error| errors::sort("redshift-data:GetStatementResult", &error))?;
        rows.extend(page.records().iter().map(|row| row.iter().map(text).collect()));
        next = page.next_token().map(ToOwned::to_owned);
        if next.is_none() {
            return Ok(rows);
        }
    }
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

/// The error text of a failed statement: that of the batch and those of its sub-statements, without duplicates.
pub(crate) fn error_text(described: &DescribeStatementOutput) -> String {
    let own = described.error().map(ToOwned::to_owned);
    let subs = described.sub_statements().iter().filter_map(SubStatementData::error).map(ToOwned::to_owned);
    let mut texts: Vec<String> = Vec::new();
    for text in own.into_iter().chain(subs) {
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    }
    if texts.is_empty() { "the service gave no error text".to_owned() } else { texts.join("; ") }
}
