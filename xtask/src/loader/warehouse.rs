//! SQL in the warehouse, through the Redshift Data API with the functions' code. The same calls work with the local stack and with AWS.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_redshiftdata::Client;
use loader_aws::statement::{self, Ended, Polling, Rows};
use loader_core::config::LoadConfig;
use loader_core::ids::RedshiftTarget;
use synth::QueueFile;

use crate::ground::aws::Aws;

/// For a person who waits: short pauses at first, and a long limit.
const POLLING: Polling = Polling { first_millis: 20, longest_millis: 1_000, limit_millis: 300_000 };

/// A database, with the credentials of a load configuration.
#[derive(Clone, Debug)]
pub struct Warehouse<'a> {
    client: Client,
    config: &'a LoadConfig,
}

impl<'a> Warehouse<'a> {
    /// The database that a load configuration uses.
    pub fn new(aws: &Aws, config: &'a LoadConfig) -> Self {
        Self { client: aws.redshift_data(), config }
    }

    /// Runs one SQL statement and returns its rows.
    pub async fn run(&self, sql: &str) -> Result<Rows> {
        match self.end_of(sql).await? {
            Ended::Finished(rows) => Ok(rows),
            Ended::Failed(error) => bail!("the warehouse says: {error}"),
        }
    }

    /// Runs one SQL statement and returns its error text if it fails.
    pub async fn complaint(&self, sql: &str) -> Result<Option<String>> {
        match self.end_of(sql).await? {
            Ended::Finished(_) => Ok(None),
            Ended::Failed(error) => Ok(Some(error)),
        }
    }

    /// Runs an SQL statement whose result is one number; NULL counts as 0.
    pub async fn number(&self, sql: &str) -> Result<i64> {
        let rows = self.run(sql).await?;
        let cell = rows.first().and_then(|row| row.first()).with_context(|| format!("`{sql}` returned no row"))?;
        cell.as_deref().unwrap_or("0").parse().with_context(|| format!("the result of `{sql}` is not a number"))
    }

    async fn end_of(&self, sql: &str) -> Result<Ended> {
        let ended = statement::run(&self.client, self.config, sql, POLLING).await;
        ended.map_err(|error| anyhow!("cannot reach the warehouse: {}", error.message))
    }
}

/// Makes the local warehouse create the databases of these queues; it creates each one when it is first used.
pub async fn make_local_databases(aws: &Aws, queues: &[QueueFile]) -> Result<()> {
    let mut made = BTreeSet::new();
    for queue in queues {
        if made.insert(local_databases(std::slice::from_ref(queue))) {
            Warehouse::new(aws, &queue.config).run("SELECT 1").await?;
        }
    }
    Ok(())
}

/// The distinct databases of these queues, as the local warehouse names them.
pub fn local_databases(queues: &[QueueFile]) -> BTreeSet<String> {
    let database = |queue: &QueueFile| {
        let target = &queue.config.target;
        let warehouse = match &target.warehouse {
            RedshiftTarget::Cluster(name) => name,
            // The last part of an ARN.
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

    #[test]
    fn each_database_of_each_warehouse_is_named_once() {
        let queue = |warehouse: &str| {
            let cluster = format!(r#"{{{warehouse}, "db_name": "dev"}}"#);
            let text = format!(r#"{{"copy": {{"role_arn": "default", "table_name": "t"}}, "cluster": {cluster}}}"#);
            synth::queues::parse(Path::new("queues/a.json"), text).unwrap()
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
