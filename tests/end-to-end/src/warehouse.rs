//! The warehouse from outside: SQL through the Data API, as a user would, and rows straight from the database.

use anyhow::{Context, Result, bail};
use aws_sdk_redshiftdata::types::StatusString;
use loader_core::ids::RedshiftTarget;
use local_stack::StackInfo;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::clients::Clients;
use crate::files::Row;
use crate::wait;

/// A database of a warehouse.
#[derive(Debug, Clone)]
pub struct Database {
    /// Cluster or workgroup.
    pub warehouse: RedshiftTarget,
    /// Database name.
    pub name: String,
}

impl Database {
    /// Runs SQL that answers no rows.
    pub async fn execute(&self, clients: &Clients, sql: &str) -> Result<()> {
        let request = clients.redshift_data.execute_statement().database(&self.name).sql(sql);
        let request = match &self.warehouse {
            RedshiftTarget::Cluster(name) => request.cluster_identifier(name).db_user("owner"),
            RedshiftTarget::Workgroup(name) => request.workgroup_name(name),
        };
        let id = request.send().await.context("submit")?.id.context("no statement id")?;
        let ended = wait::until(async || {
            let described = clients.redshift_data.describe_statement().id(&id).send().await.ok()?;
            let ended = [StatusString::Finished, StatusString::Failed, StatusString::Aborted];
            described.status.clone().filter(|status| ended.contains(status)).map(|status| (status, described.error))
        });
        match ended.await.with_context(|| format!("`{sql}` does not end"))? {
            (StatusString::Finished, _) => Ok(()),
            (status, error) => bail!("`{sql}` ended as {status}: {}", error.unwrap_or_default()),
        }
    }

    /// All rows of a table (named as in SQL), sorted.
    pub async fn rows(&self, info: &StackInfo, table: &str) -> Result<Vec<Row>> {
        let (RedshiftTarget::Cluster(name) | RedshiftTarget::Workgroup(name)) = &self.warehouse;
        let mut config = tokio_postgres::Config::new();
        let (host, port, user) = (&info.warehouse.host, info.warehouse.port, &info.warehouse.user);
        config.host(host).port(port).user(user).dbname(format!("{name}.{}", self.name));
        let (client, connection) = config.connect(NoTls).await.context("the warehouse does not answer")?;
        let connection = tokio::spawn(connection);
        let answer = client.simple_query(&format!("SELECT * FROM {table}")).await;
        drop(client);
        connection.await?.ok();
        let mut rows: Vec<Row> = Vec::new();
        for message in answer.with_context(|| format!("cannot read {table}"))? {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
            }
        }
        rows.sort();
        Ok(rows)
    }
}
