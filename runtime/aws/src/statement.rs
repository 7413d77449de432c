//! One SQL statement through the Data API: addressed, submitted, polled until it ends, its rows read.

use std::time::Duration;

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::{Field, StatusString, SubStatementData};
use loader_core::config::LoadConfig;
use loader_reconcile::ports::PortResult;
use tokio::time::{Instant, sleep};

use crate::errors;

/// The parts of a request that say which warehouse, which database and who (Data API, "Authorizing access").
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

/// Rows of a result; each value as text, `None` for NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// How often a statement is polled, and for how long. The pause doubles until it is the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    /// Before the first question, in milliseconds.
    pub first_millis: u64,
    /// The longest pause, in milliseconds.
    pub longest_millis: u64,
    /// A statement that has not ended by then counts as lost, in milliseconds.
    pub limit_millis: u64,
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With these rows; a statement without a result has none.
    Finished(Rows),
    /// It failed or was aborted; these are the warehouse's words.
    Failed(String),
}

/// Runs one statement to its end, in the database and as the user that the configuration names.
///
/// An error means that the service refused a call or did not answer; a statement that failed is an [`Ended::Failed`].
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

/// What the service says about a failed statement: its own words and those of its parts, each once.
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
