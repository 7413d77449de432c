//! Control of a table under test: its columns, notifications and statements.

use anyhow::{Context, Result, ensure};
use aws_sdk_s3::types::NotificationConfiguration;
use serde_json::{Value, json};

use super::Table;

impl Table {
    /// Drops the target table and creates it with these columns.
    pub async fn recreate(&self, columns: &str) -> Result<()> {
        let target = self.config["copy"]["table_name"].as_str().context("no table")?;
        self.sql(&format!("DROP TABLE {target}")).await?;
        self.sql(&format!("CREATE TABLE {target} ({columns})")).await
    }

    /// Stops S3's notifications.
    pub async fn silence(&self) -> Result<()> {
        let put = self.world.s3.put_bucket_notification_configuration().bucket(self.bucket());
        put.notification_configuration(NotificationConfiguration::builder().build()).send().await?;
        Ok(())
    }

    /// One notification of these objects, as S3 sends it.
    pub async fn notification(&self, keys: &[&str]) -> Result<String> {
        let mut records = Vec::new();
        for key in keys {
            records.push(self.record(key).await?);
        }
        Ok(json!({"Records": records}).to_string())
    }

    /// Sends one notification of these objects to the queue.
    pub async fn notify_of(&self, keys: &[&str]) -> Result<()> {
        self.send(self.notification(keys).await?).await
    }

    /// A bulk request for a folder.
    pub fn bulk_request(&self, folder: &str) -> Value {
        let copy = &self.config["copy"];
        json!({
            "paths": [{"s3_path": format!("s3://{}/{folder}", self.bucket()), "table": copy["table_name"]}],
            "copy": {"role_arn": copy["role_arn"], "options": copy["options"]},
            "cluster": self.config["cluster"]
        })
    }

    /// A part of the name of each of the table's statements, by which the stand-in selects them.
    pub fn statement_name_part(&self) -> Result<String> {
        Ok(format!("/{}/", self.db_table()?))
    }

    /// Holds the table's statements at `SUBMITTED` or `COMMIT`, until [`Self::release`].
    pub async fn hold(&self, at: &str) -> Result<()> {
        self.world.standin(&json!({"hold": {"name": self.statement_name_part()?, "at": at}})).await
    }

    /// Releases the table's statements.
    pub async fn release(&self) -> Result<()> {
        self.world.standin(&json!({"release": self.statement_name_part()?})).await
    }

    /// Fails unless all statements of the table have finished.
    pub async fn ensure_no_statement_failed(&self) -> Result<()> {
        for statement in self.statements().await? {
            ensure!(statement.status == "FINISHED", "a statement failed: {statement:?}");
        }
        Ok(())
    }
}
