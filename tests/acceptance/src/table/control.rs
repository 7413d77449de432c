//! Control of a table under test: its columns, notifications and statements.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::types::NotificationConfiguration;
use loader_core::config::LoadConfig;
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::ids::{ObjectVersion, Version, WaitingObject};
use loader_core::tracker::item::{ConfigSource, Item, SortKey};
use loader_core::tracker::{enqueue, wire};
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

    /// Writes pending loads of as many files with the longest keys, which need not exist, as the queue's own. Returns their item keys.
    pub async fn wait(&self, numbers: Range<usize>) -> Result<Vec<SortKey>> {
        let config = LoadConfig::from_value(&self.config).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let (table, source) = (config.db_table(), ConfigSource { queue: Some(self.name.clone()), recorded: config });
        let object = |number: usize| WaitingObject {
            object: ObjectVersion {
                bucket: self.bucket(),
                key: format!("{number:05}/{}", "long/".repeat(200)),
                version: Version::ETag("e".to_owned()),
            },
            size_bytes: 1,
        };
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let mut keys = Vec::new();
        for pending in enqueue::pendings(numbers.map(object).collect(), &source, now) {
            keys.push(pending.key.clone());
            let item = serde_dynamo::to_item(wire::encode(&table, &Item::Pending(pending)))?;
            self.world.dynamodb.put_item().table_name(&self.world.tracker).set_item(Some(item)).send().await?;
        }
        Ok(keys)
    }

    /// Removes these items from the tracker.
    pub async fn forget(&self, keys: &[SortKey]) -> Result<()> {
        for key in keys {
            let delete = self.world.dynamodb.delete_item().table_name(&self.world.tracker);
            let delete = delete.key(TRACKER_PARTITION_KEY, AttributeValue::S(self.db_table()?));
            delete.key(TRACKER_SORT_KEY, AttributeValue::S(key.0.clone())).send().await?;
        }
        Ok(())
    }
}
