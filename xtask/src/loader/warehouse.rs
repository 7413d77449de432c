//! SQL in the warehouse, through the Redshift Data API: the same calls for the local stack and for AWS.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::types::{Field, StatusString};
use loader_core::config::{LoadConfig, Login};
use loader_core::ids::RedshiftTarget;

use crate::ground::aws::{Aws, failed};
use crate::loader::queues::QueueFile;

const POLL_MILLIS_FIRST: u64 = 20;
const POLL_MILLIS_MAX: u64 = 1_000;
const STATEMENT_SECONDS_MAX: u64 = 300;

/// How a statement ended.
#[derive(Debug)]
enum End {
    Rows,
    NoRows,
    Failed(String),
}

/// A database, signed in to as a load configuration says.
#[derive(Clone, Debug)]
pub struct Warehouse<'a> {
    client: Client,
    config: &'a LoadConfig,
}

impl<'a> Warehouse<'a> {
    /// The database that a load configuration loads into.
    pub fn new(aws: &Aws, config: &'a LoadConfig) -> Self {
        Self { client: aws.redshift_data(), config }
    }

    /// Runs one statement to its end; the answer is its rows as text, `None` for NULL.
    pub async fn run(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let id = self.submit(sql).await?;
        match self.wait(&id).await? {
            End::Rows => self.rows(&id).await,
            End::NoRows => Ok(Vec::new()),
            End::Failed(words) => bail!("the warehouse says: {words}"),
        }
    }

    /// Runs one statement that may fail; the answer is what the warehouse says then.
    pub async fn complaint(&self, sql: &str) -> Result<Option<String>> {
        let id = self.submit(sql).await?;
        Ok(match self.wait(&id).await? {
            End::Rows | End::NoRows => None,
            End::Failed(words) => Some(words),
        })
    }

    /// Runs a statement that answers one number.
    pub async fn number(&self, sql: &str) -> Result<i64> {
        let rows = self.run(sql).await?;
        let cell = rows.first().and_then(|row| row.first()).context("the statement answers no row")?;
        cell.as_deref().unwrap_or("0").parse().with_context(|| format!("`{sql}` does not answer a number"))
    }

    async fn submit(&self, sql: &str) -> Result<String> {
        let target = &self.config.target;
        let mut request = self.client.execute_statement().database(&target.database).sql(sql);
        request = match &target.warehouse {
            RedshiftTarget::Cluster(identifier) => request.cluster_identifier(identifier),
            RedshiftTarget::Workgroup(workgroup) => request.workgroup_name(workgroup),
        };
        request = match &self.config.login {
            Login::DbUser(user) => request.db_user(user),
            Login::Secret(arn) => request.secret_arn(arn),
            Login::Identity => request,
        };
        let answer = request.send().await.map_err(failed("reach the warehouse"))?;
        Ok(answer.id().context("the statement has no id")?.to_owned())
    }

    async fn wait(&self, id: &str) -> Result<End> {
        let mut pause = POLL_MILLIS_FIRST;
        let mut waited = 0;
        while waited < STATEMENT_SECONDS_MAX * 1_000 {
            let described =
                self.client.describe_statement().id(id).send().await.map_err(failed("ask for a statement"))?;
            match described.status() {
                Some(StatusString::Finished) if described.has_result_set() == Some(true) => return Ok(End::Rows),
                Some(StatusString::Finished) => return Ok(End::NoRows),
                Some(StatusString::Failed | StatusString::Aborted) => {
                    return Ok(End::Failed(described.error().unwrap_or("no reason given").to_owned()));
                }
                _ => tokio::time::sleep(Duration::from_millis(pause)).await,
            }
            waited += pause;
            pause = (pause * 2).min(POLL_MILLIS_MAX);
        }
        bail!("the statement did not end within {STATEMENT_SECONDS_MAX} s")
    }

    async fn rows(&self, id: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut pages = self.client.get_statement_result().id(id).into_paginator().send();
        let mut rows = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("fetch a statement's rows"))?;
            rows.extend(page.records().iter().map(|row| row.iter().map(text).collect()));
        }
        Ok(rows)
    }
}

fn text(field: &Field) -> Option<String> {
    match field {
        Field::BooleanValue(value) => Some(value.to_string()),
        Field::DoubleValue(value) => Some(value.to_string()),
        Field::LongValue(value) => Some(value.to_string()),
        Field::StringValue(value) => Some(value.clone()),
        _ => None,
    }
}

/// The databases that these queues load, each once, as the local warehouse names them.
pub fn local_databases(queues: &[QueueFile]) -> BTreeSet<String> {
    let database = |queue: &QueueFile| {
        let target = &queue.config.target;
        let warehouse = match &target.warehouse {
            RedshiftTarget::Cluster(name) => name,
            // Of an ARN the last part.
            RedshiftTarget::Workgroup(name) => name.rsplit(['/', ':']).next().unwrap_or(name),
        };
        format!("{warehouse}.{}", target.database)
    };
    queues.iter().map(database).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::loader::queues;

    #[test]
    fn each_database_of_each_warehouse_is_named_once() {
        let queue = |warehouse: &str| {
            let cluster = format!(r#"{{{warehouse}, "db_name": "dev"}}"#);
            let text = format!(r#"{{"copy": {{"role_arn": "default", "table_name": "t"}}, "cluster": {cluster}}}"#);
            queues::parse(Path::new("queues/a.json"), text).unwrap()
        };
        let arn = "arn:aws:redshift-serverless:eu-central-1:123456789012:workgroup/8a7b";
        let queues = [
            queue(r#""identifier": "analytics""#),
            queue(r#""identifier": "analytics""#),
            queue(r#""workgroup": "wg""#),
            queue(&format!(r#""workgroup": "{arn}""#)),
        ];
        let found: Vec<String> = local_databases(&queues).into_iter().collect();
        assert_eq!(found, ["8a7b.dev", "analytics.dev", "wg.dev"]);
    }
}
