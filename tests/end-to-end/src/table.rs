//! One queue and its table, as a test handles them: create, drop files, wait, look.

use std::sync::Arc;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::QueueAttributeName;
use loader_core::config::LoadConfig;
use loader_core::contract::Function;
use loader_core::ids::{DbTable, RedshiftTarget};
use loader_core::tracker::write::Items;
use serde_json::{Value, json};

use crate::check::assert_same_rows;
use crate::clients::Clients;
use crate::deploy::Deployment;
use crate::files::{self, Row};
use crate::spec::{SOURCE_BUCKET, Spec};
use crate::suite::World;
use crate::tracker::{self, Tracked};
use crate::warehouse::Database;
use crate::{diagnosis, wait};

/// A queue and its table.
#[derive(Clone)]
pub struct Table<'w> {
    /// The stack.
    pub world: &'w World,
    /// Where its functions are deployed.
    pub deployment: &'w Deployment,
    /// What it was deployed from.
    pub spec: Spec,
    /// The configuration.
    pub config: Arc<LoadConfig>,
}

impl<'w> Table<'w> {
    /// A queue of a deployment.
    pub fn new(world: &'w World, deployment: &'w Deployment, spec: Spec) -> Self {
        let config = spec.parsed();
        Self { world, deployment, spec, config }
    }

    fn clients(&self) -> &'w Clients {
        &self.world.clients
    }

    /// Partition key in the tracker.
    pub fn key(&self) -> DbTable {
        self.config.db_table()
    }

    /// Its database.
    pub fn database(&self) -> Database {
        let target = &self.config.target;
        Database { warehouse: target.warehouse.clone(), name: target.database.clone() }
    }

    /// Runs SQL in its database.
    pub async fn execute(&self, sql: &str) {
        self.database().execute(self.clients(), sql).await.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Creates the table with [`files::COLUMNS`].
    pub async fn create(&self) {
        self.create_with(files::COLUMNS).await;
    }

    /// Creates the table with these columns.
    pub async fn create_with(&self, columns: &str) {
        self.execute(&format!("CREATE TABLE {} ({columns})", self.config.target.table)).await;
    }

    /// Puts an object into the queue's folder.
    pub async fn put(&self, name: &str, body: Vec<u8>) {
        self.put_at(&format!("{}/{name}", self.spec.name), body).await;
    }

    /// Puts an object anywhere into the source bucket.
    pub async fn put_at(&self, key: &str, body: Vec<u8>) {
        let put = self.clients().s3.put_object().bucket(SOURCE_BUCKET).key(key).body(ByteStream::from(body));
        put.send().await.unwrap_or_else(|error| panic!("put {key}: {error:?}"));
    }

    /// Puts rows as a CSV file into the queue's folder.
    pub async fn put_csv(&self, name: &str, rows: &[Row]) {
        self.put(name, files::csv(rows)).await;
    }

    /// Deletes an object of the queue's folder.
    pub async fn delete(&self, name: &str) {
        let key = format!("{}/{name}", self.spec.name);
        let delete = self.clients().s3.delete_object().bucket(SOURCE_BUCKET).key(&key);
        delete.send().await.unwrap_or_else(|error| panic!("delete {key}: {error:?}"));
    }

    /// URL of the queue, or of its dead-letter queue.
    async fn url(&self, suffix: &str) -> String {
        let name = format!("{}{}{suffix}", self.deployment.queue_prefix, self.spec.name);
        let answer = self.clients().sqs.get_queue_url().queue_name(&name).send().await;
        answer.ok().and_then(|answer| answer.queue_url).unwrap_or_else(|| panic!("no queue {name}"))
    }

    /// Sends a message to the queue.
    pub async fn send(&self, body: &str) {
        let send = self.clients().sqs.send_message().queue_url(self.url("").await).message_body(body);
        send.send().await.expect("the queue takes messages");
    }

    /// A notification about objects of the queue's folder that are there, one record each, as S3 sends it.
    pub async fn notification(&self, names: &[&str]) -> Value {
        let mut records = Vec::new();
        for name in names {
            let key = format!("{}/{name}", self.spec.name);
            let head = self.clients().s3.head_object().bucket(SOURCE_BUCKET).key(&key).send().await;
            let head = head.unwrap_or_else(|error| panic!("look at {key}: {error:?}"));
            let etag = head.e_tag().unwrap_or_default().trim_matches('"');
            let encoded = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string();
            let object = json!({"key": encoded, "size": head.content_length(), "eTag": etag, "sequencer": "00"});
            records.push(json!({
                "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": SOURCE_BUCKET}, "object": object},
            }));
        }
        json!({"Records": records})
    }

    /// Bodies of the messages in the dead-letter queue.
    pub async fn dead_letters(&self) -> Vec<String> {
        let receive = self.clients().sqs.receive_message().queue_url(self.url("-dlq").await).max_number_of_messages(10);
        let answer = receive.visibility_timeout(0).send().await.expect("the dead-letter queue answers");
        answer.messages().iter().filter_map(|message| message.body()).map(str::to_owned).collect()
    }

    /// Messages in the queue, in flight or not.
    pub async fn n_messages(&self) -> u64 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.clients().sqs.get_queue_attributes().queue_url(self.url("").await);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await.expect("the queue answers");
        let counts = answer.attributes.unwrap_or_default();
        counts.values().map(|count| count.parse::<u64>().expect("a number")).sum()
    }

    /// The tracker's items of this table.
    pub async fn items(&self) -> Items {
        let items = tracker::items(self.clients(), self.deployment.tracker(), &self.key()).await;
        items.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Waits, without a sweep of ours, until the items are as wished.
    pub async fn until(&self, what: &str, mut wish: impl FnMut(&Items) -> bool) -> Items {
        let found = wait::until(async || Some(self.items().await).filter(|items| wish(items))).await;
        self.found(what, found).await
    }

    /// Waits, sweeping by hand, until the items are as wished.
    pub async fn sweep_until(&self, what: &str, mut wish: impl FnMut(&Items) -> bool) -> Items {
        let found = wait::until(async || {
            let items = self.items().await;
            if wish(&items) {
                return Some(items);
            }
            self.sweep().await;
            None
        });
        let found = found.await;
        self.found(what, found).await
    }

    async fn found(&self, what: &str, found: Option<Items>) -> Items {
        match found {
            Some(items) => items,
            None => panic!("{what}: did not happen\n{}", diagnosis::of(self).await),
        }
    }

    /// Waits, without a sweep of ours, until `n_objects` are loaded and nothing waits.
    pub async fn until_loaded(&self, n_objects: u64) -> Items {
        let what = format!("{n_objects} objects loaded");
        let items = self.until(&what, |items| items.is_drained() && n_loaded(items) >= n_objects).await;
        items.assert_invariants();
        items
    }

    /// Waits, sweeping by hand, until `n_objects` are loaded or in quarantine, nothing waits and the queue is empty.
    pub async fn drain(&self, n_objects: u64) -> Items {
        let drained = wait::until(async || {
            let items = self.items().await;
            let failed: usize = items.failed().iter().map(|failed| failed.objects.len()).sum();
            let is_known = n_loaded(&items) + failed as u64 >= n_objects;
            if is_known && items.is_drained() && self.n_messages().await == 0 {
                return Some(items);
            }
            self.sweep().await;
            None
        });
        let drained = drained.await;
        let items = self.found("drained", drained).await;
        items.assert_invariants();
        items
    }

    /// Invokes the sweep, as the rule does every minute. Its outcome does not matter: the next one comes.
    pub async fn sweep(&self) {
        let _ = self.invoke(Function::NextLoader, &json!({"sweep": true})).await;
    }

    /// Invokes a function; its answer, or the text of its failure.
    pub async fn invoke(&self, function: Function, payload: &Value) -> Result<Value, String> {
        let name = self.deployment.function(function);
        let invoke = self.clients().lambda.invoke().function_name(name).payload(Blob::new(payload.to_string()));
        let answer = invoke.send().await.map_err(|error| format!("{error:?}"))?;
        let text = answer.payload.map(Blob::into_inner).unwrap_or_default();
        match answer.function_error {
            Some(_) => Err(String::from_utf8_lossy(&text).into_owned()),
            None => Ok(serde_json::from_slice(&text).unwrap_or(Value::Null)),
        }
    }

    /// Rows in the warehouse, sorted.
    pub async fn rows(&self) -> Vec<Row> {
        let rows = self.database().rows(self.world.stack.info(), &self.config.target.table.to_string()).await;
        rows.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Compares the warehouse with these rows, row by row, in any order.
    pub async fn assert_rows(&self, expected: &[Row]) {
        let found = self.rows().await;
        if let Err(difference) = assert_same_rows(&found, expected) {
            panic!("{}: {difference}\n{}", self.spec.name, diagnosis::of(self).await);
        }
    }

    /// Statements that the stand-in knows of this table's loads, newest first.
    pub async fn statements(&self) -> Vec<Value> {
        let part = format!("/{}/", self.key());
        let all = self.clients().standin.statements().await.expect("the stand-in answers");
        all.into_iter().filter(|s| s["name"].as_str().is_some_and(|name| name.contains(&part))).collect()
    }

    /// Text that only the names of this table's statements contain.
    pub fn statement_mark(&self) -> String {
        format!("{}/{}/", self.deployment.name, self.key())
    }

    /// Keeps this table's statements from ending (`at`: `SUBMITTED` or `COMMIT`) until [`Self::release`].
    pub async fn hold(&self, at: &str) {
        let hold = json!({"hold": {"name": self.statement_mark(), "at": at}});
        self.clients().standin.set(hold).await.expect("the stand-in answers");
    }

    /// Lets this table's statements go on.
    pub async fn release(&self) {
        let release = json!({"release": self.statement_mark()});
        self.clients().standin.set(release).await.expect("the stand-in answers");
    }

    /// The warehouse's name, for a bulk request.
    pub fn cluster(&self) -> Value {
        let name = match &self.config.target.warehouse {
            RedshiftTarget::Cluster(name) => json!({"identifier": name}),
            RedshiftTarget::Workgroup(name) => json!({"workgroup": name}),
        };
        let mut cluster = name;
        cluster["db_name"] = json!(self.config.target.database);
        cluster
    }
}

/// Objects of finished loads.
pub fn n_loaded(items: &Items) -> u64 {
    items.loaded().iter().map(|history| history.n_objects).sum()
}
