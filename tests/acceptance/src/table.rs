//! A table under test, with its queue, bucket, files and rows.

mod control;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::QueueAttributeName;
use loader_core::tracker::invariant::violations;
use loader_core::tracker::item::{History, Item, Quarantined, SortKey};
use loader_core::tracker::wire;
use loader_core::tracker::write::Items;
use local_client::Statement;
use serde_json::{Value, json};

use crate::world::World;

/// How long a table may take until its rows are as expected.
const REST_SECONDS_MAX: u64 = 90;

/// A table under test.
#[derive(Debug)]
pub struct Table {
    world: &'static World,
    /// Name of the table and of its queue. Its bucket is `e2e-<name>`.
    pub name: String,
    /// Configuration.
    pub config: Value,
    /// URL of the queue.
    pub queue_url: String,
    /// URL of the dead-letter queue.
    pub dead_letters_url: String,
}

/// A configuration that appends CSV files with the columns id, at, val.
pub fn append(table: &str) -> Value {
    json!({
        "copy": {"table_name": table, "role_arn": "default", "options": "CSV TIMEFORMAT 'auto'"},
        "cluster": {"identifier": "analytics", "db_name": "dev"}
    })
}

/// A configuration that merges such files by id and at.
pub fn merge(table: &str, replace: bool) -> Value {
    let mut config = append(table);
    config["options"] = json!({"merge_duplicate_pks": replace, "merge_pk": "id", "merge_timestamp": "at"});
    config
}

/// The configuration with the queue's bucket as its source.
pub fn with_source(mut config: Value, queue: &str) -> Value {
    config["source"] = json!(format!("s3://e2e-{queue}/"));
    config
}

/// The row of a numbered file.
pub fn row(number: usize) -> String {
    format!("{number},2026-01-01 00:00:00,x")
}

/// The content of a CSV file.
pub fn csv(rows: &[&str]) -> Vec<u8> {
    (rows.join("\n") + "\n").into_bytes()
}

impl Table {
    /// Creates table, bucket, notification and configuration file for a queue of the template.
    pub async fn new(world: &'static World, name: &str, config: Value) -> Result<Self> {
        let table = Self::unconfigured(world, name, config).await?;
        table.configure(&table.config).await?;
        Ok(table)
    }

    /// Like [`Self::new`], but without a configuration file.
    pub async fn unconfigured(world: &'static World, name: &str, config: Value) -> Result<Self> {
        let table = Self::deployed(world, name, name, config).await?;
        world.s3.create_bucket().bucket(table.bucket()).send().await?;
        world.notify(&table.bucket(), "", name).await?;
        Ok(table)
    }

    /// Like [`Self::new`], but S3 sends no notifications; the test does.
    pub async fn without_notifications(world: &'static World, name: &str, config: Value) -> Result<Self> {
        let table = Self::deployed(world, name, name, config).await?;
        world.s3.create_bucket().bucket(table.bucket()).send().await?;
        table.configure(&table.config).await?;
        Ok(table)
    }

    /// Creates only the target table. Queue and bucket are deployed, or will be.
    pub async fn deployed(world: &'static World, name: &str, queue: &str, config: Value) -> Result<Self> {
        let mut table = Self::bare(world, name, config).await?;
        table.find_queues(queue).await?;
        Ok(table)
    }

    async fn bare(world: &'static World, name: &str, config: Value) -> Result<Self> {
        let table =
            Self { world, name: name.to_owned(), queue_url: String::new(), dead_letters_url: String::new(), config };
        let target = table.config["copy"]["table_name"].as_str().context("no table")?.to_owned();
        table.sql(&format!("CREATE TABLE IF NOT EXISTS {target} (id BIGINT, at TIMESTAMP, val VARCHAR(64))")).await?;
        Ok(table)
    }

    async fn find_queues(&mut self, queue: &str) -> Result<()> {
        let url = async |name: &str| -> Result<String> {
            let answer = self.world.sqs.get_queue_url().queue_name(name).send().await;
            answer.with_context(|| format!("no queue {name}"))?.queue_url().map(ToOwned::to_owned).context("no URL")
        };
        (self.queue_url, self.dead_letters_url) = (url(queue).await?, url(&format!("{queue}-dlq")).await?);
        Ok(())
    }

    /// Name of the bucket.
    pub fn bucket(&self) -> String {
        format!("e2e-{}", self.name)
    }

    /// Writes the queue's configuration file.
    pub async fn configure(&self, config: &Value) -> Result<()> {
        let key = format!("rs-loader-config/{}.json", self.name);
        let body = ByteStream::from(config.to_string().into_bytes());
        self.world.s3.put_object().bucket(&self.world.bucket).key(key).body(body).send().await?;
        Ok(())
    }

    /// Puts a file.
    pub async fn put(&self, key: &str, content: impl Into<Vec<u8>>) -> Result<()> {
        let body = ByteStream::from(content.into());
        self.world.s3.put_object().bucket(self.bucket()).key(key).body(body).send().await?;
        Ok(())
    }

    /// Deletes a file.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.world.s3.delete_object().bucket(self.bucket()).key(key).send().await?;
        Ok(())
    }

    /// Sends a message to the queue.
    pub async fn send(&self, body: impl Into<String>) -> Result<()> {
        self.world.sqs.send_message().queue_url(&self.queue_url).message_body(body).send().await?;
        Ok(())
    }

    /// The record of an object in a notification, as S3 sends it.
    pub async fn record(&self, key: &str) -> Result<Value> {
        let head = self.world.s3.head_object().bucket(self.bucket()).key(key).send().await?;
        Ok(json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.bucket()},
                "object": {"key": key, "size": head.content_length(), "eTag": head.e_tag().map(|tag| tag.trim_matches('"').to_owned())}}}))
    }

    /// Partition key in the tracker.
    pub fn db_table(&self) -> Result<String> {
        let config = loader_core::config::LoadConfig::from_value(&self.config);
        Ok(config.map_err(|problems| anyhow::anyhow!("{problems}"))?.db_table().0)
    }

    /// All items of the table.
    pub async fn items(&self) -> Result<Items> {
        let mut items = Items::new();
        let mut start = None;
        loop {
            let page = self
                .world
                .dynamodb
                .query()
                .table_name(&self.world.tracker)
                .consistent_read(true)
                .key_condition_expression("db_table = :table")
                .expression_attribute_values(":table", AttributeValue::S(self.db_table()?))
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for attributes in page.items.unwrap_or_default() {
                let item = wire::decode(serde_dynamo::from_item(attributes)?)?;
                items.insert(item.key(), item);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Keys of the table's items in the index of tables with work.
    pub async fn work(&self) -> Result<Vec<SortKey>> {
        let (mut keys, mut start) = (Vec::new(), None);
        loop {
            let scan = self.world.dynamodb.scan().table_name(&self.world.tracker).index_name("work");
            let page = scan.set_exclusive_start_key(start).send().await?;
            let table = self.db_table()?;
            let text = |item: &HashMap<String, AttributeValue>, name: &str| {
                item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
            };
            let own = page.items().iter().filter(|item| text(item, "db_table") == table);
            keys.extend(own.map(|item| SortKey(text(item, "status_timestamp"))));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Whether an item with this key exists.
    pub async fn has(&self, key: &SortKey) -> Result<bool> {
        let get = self.world.dynamodb.get_item().table_name(&self.world.tracker).consistent_read(true);
        let get = get.key("db_table", AttributeValue::S(self.db_table()?));
        Ok(get.key("status_timestamp", AttributeValue::S(key.0.clone())).send().await?.item.is_some())
    }

    /// The history.
    pub async fn loaded(&self) -> Result<Vec<History>> {
        let only = |item| if let Item::Loaded(history) = item { Some(history) } else { None };
        Ok(self.items().await?.into_values().filter_map(only).collect())
    }

    /// The quarantine.
    pub async fn quarantine(&self) -> Result<Vec<Quarantined>> {
        let only = |item| if let Item::Failed(quarantined) = item { Some(quarantined) } else { None };
        Ok(self.items().await?.into_values().filter_map(only).collect())
    }

    /// Waits until `holds` is true, and sweeps meanwhile. `what` completes "never …" in the error.
    pub async fn until(&self, what: &str, holds: impl FnMut(&Items) -> bool) -> Result<()> {
        self.until_with(what, holds, async || self.world.sweep().await).await
    }

    /// Waits until `holds` is true, without a sweep of the test.
    pub async fn until_by_itself(&self, what: &str, holds: impl FnMut(&Items) -> bool) -> Result<()> {
        self.until_with(what, holds, async || ()).await
    }

    async fn until_with(
        &self,
        what: &str,
        mut holds: impl FnMut(&Items) -> bool,
        meanwhile: impl AsyncFn(),
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            let items = self.items().await?;
            if holds(&items) {
                return Ok(());
            }
            if started.elapsed() > Duration::from_secs(REST_SECONDS_MAX) {
                bail!("{}: never {what}\n{}", self.name, self.diagnosis(&items).await);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            meanwhile().await;
        }
    }

    /// Waits until the table has exactly these rows, nothing waits, and the queue is empty. Then the tracker's invariants must hold.
    pub async fn rest_with(&self, expected: &[String]) -> Result<()> {
        let mut expected = expected.to_vec();
        expected.sort();
        let started = Instant::now();
        loop {
            let items = self.items().await?;
            let busy = items.values().any(|item| item.load().is_some() || matches!(item, Item::Pending(_)));
            if !busy && self.queue_is_empty().await? {
                let rows = self.rows().await?;
                if rows == expected {
                    let broken = violations(&items);
                    ensure!(broken.is_empty(), "{}: {broken:?}", self.name);
                    return Ok(());
                }
            }
            if started.elapsed() > Duration::from_secs(REST_SECONDS_MAX) {
                let rows = self.rows().await?;
                let diagnosis = self.diagnosis(&items).await;
                bail!(
                    "{}: {} rows, expected {}\n{rows:?}\n{expected:?}\n{diagnosis}",
                    self.name,
                    rows.len(),
                    expected.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.world.sweep().await;
        }
    }

    async fn queue_is_empty(&self) -> Result<bool> {
        let (waiting, in_flight) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let ask = self.world.sqs.get_queue_attributes().queue_url(&self.queue_url);
        let answer = ask.attribute_names(waiting).attribute_names(in_flight).send().await?;
        Ok(answer.attributes().is_some_and(|all: &HashMap<_, _>| all.values().all(|count| count == "0")))
    }

    /// Number of messages in the dead-letter queue.
    pub async fn dead_letters(&self) -> Result<String> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let ask = self.world.sqs.get_queue_attributes().queue_url(&self.dead_letters_url).attribute_names(name.clone());
        Ok(ask.send().await?.attributes().and_then(|all| all.get(&name)).cloned().unwrap_or_default())
    }

    async fn diagnosis(&self, items: &Items) -> String {
        let mut text = String::new();
        for (key, item) in items {
            if !key.0.starts_with("FILE#") {
                let _ = writeln!(text, "{key}: {item:?}");
            }
        }
        let _ = writeln!(text, "statements: {:?}", self.statements().await);
        text
    }

    /// Statements that were submitted for the table.
    pub async fn statements(&self) -> Result<Vec<Statement>> {
        let part = self.statement_name_part()?;
        let all = self.world.statements().await?;
        Ok(all.into_iter().filter(|statement| statement.mentions(&part)).collect())
    }

    /// The rows, each as `id,at,val`, sorted.
    pub async fn rows(&self) -> Result<Vec<String>> {
        let target = self.config["copy"]["table_name"].as_str().context("no table")?;
        let client = self.warehouse().await?;
        let mut rows = Vec::new();
        for message in client.simple_query(&format!("SELECT * FROM {target}")).await? {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                let cells: Vec<&str> = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect();
                rows.push(cells.join(","));
            }
        }
        rows.sort();
        Ok(rows)
    }

    async fn warehouse(&self) -> Result<tokio_postgres::Client> {
        let info = &self.world.stack.info().warehouse;
        let cluster = &self.config["cluster"];
        let place = cluster["identifier"].as_str().or_else(|| cluster["workgroup"].as_str()).context("no warehouse")?;
        let mut config = tokio_postgres::Config::new();
        config.host(&info.host).port(info.port).user(&info.user).dbname(format!("{place}.dev"));
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs SQL through the Data API, as a user would.
    pub async fn sql(&self, sql: &str) -> Result<()> {
        let cluster = &self.config["cluster"];
        let request = self.world.data.execute_statement().database("dev").sql(sql);
        let request = match (cluster["identifier"].as_str(), cluster["workgroup"].as_str()) {
            (Some(cluster), _) => request.cluster_identifier(cluster).db_user("owner"),
            (None, Some(workgroup)) => request.workgroup_name(workgroup),
            (None, None) => bail!("no warehouse"),
        };
        let id = request.send().await?.id().context("no statement id")?.to_owned();
        for _ in 0..200 {
            let answer = self.world.data.describe_statement().id(&id).send().await?;
            match answer.status().map(|status| status.as_str().to_owned()).unwrap_or_default().as_str() {
                "FINISHED" => return Ok(()),
                "FAILED" | "ABORTED" => bail!("{sql}: {}", answer.error().unwrap_or_default()),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        bail!("{sql} has not ended")
    }
}

/// Rows in the warehouse's text format.
pub fn rows(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
