//! Updates from loader 0.1: this version continues with its tracker items, and every file is loaded exactly once.
//!
//! The items are written as loader 0.1 wrote them, attribute by attribute. Statements that it had submitted run in the local warehouse.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use acceptance::table::{Table, append, csv};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context, Result, ensure};
use aws_sdk_s3::primitives::ByteStream;
use loader_core::config::{DB_USER_DEFAULT, LoadConfig};
use loader_core::fit::Fit;
use loader_core::ids::{DbTable, LoadId, ObjectVersion, StatementName, Version, WaitingObject};
use loader_core::manifest::Manifest;
use loader_core::sql::columns::TargetColumns;
use loader_core::sql::merge::{self, LoadSql};
use loader_core::tracker::item::{Item, LedgerMark};
use serde_json::{Value, json};

const SUBMITTED: &str = "old-submitted";
const LOST: &str = "old-lost";
const PREPARED: &str = "old-prepared";
const CLAIMED: &str = "old-claimed";
const WAITING: &str = "old-waiting";

/// Files of the running load and of the backlog, and one that was loaded before.
const RUNNING: [&str; 2] = ["run0.csv", "run1.csv"];
const BACKLOG: [&str; 3] = ["wait0.csv", "wait1.csv", "wait2.csv"];
const BEFORE: &str = "before.csv";

fn world() -> &'static World {
    world_of(|| Setup::of([SUBMITTED, LOST, PREPARED, CLAIMED, WAITING].map(|name| (name, append(&target(name))))))
}

fn target(name: &str) -> String {
    name.replace('-', "_")
}

fn row(key: &str) -> String {
    format!("{},2026-01-01 00:00:00,{key}", key.len())
}

fn load_id() -> LoadId {
    LoadId("0123456789abcdef0123456789abcdef".to_owned())
}

/// A table and its items of loader 0.1.
struct Old {
    world: &'static World,
    table: Table,
    config: Arc<LoadConfig>,
    now: i64,
}

impl Old {
    /// Puts the files and loads one of them. This version gets no notification of them.
    async fn new(world: &'static World, name: &str) -> Result<Self> {
        let config = append(&target(name));
        let table = Table::deployed(world, name, name, config.clone()).await?;
        table.configure(&config).await?;
        world.s3.create_bucket().bucket(table.bucket()).send().await?;
        for key in RUNNING.iter().chain(&BACKLOG).chain([&BEFORE]) {
            table.put(key, csv(&[&row(key)])).await?;
        }
        let values = format!("{}, '2026-01-01 00:00:00', '{BEFORE}'", BEFORE.len());
        table.sql(&format!("INSERT INTO {} VALUES ({values})", target(name))).await?;
        let config = LoadConfig::from_value(&config).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        Ok(Self { world, table, config, now })
    }

    async fn object(&self, key: &str) -> Result<WaitingObject> {
        let head = self.world.s3.head_object().bucket(self.table.bucket()).key(key).send().await?;
        let version = Version::new(None, head.e_tag()).context("no eTag")?;
        let object = ObjectVersion { bucket: self.table.bucket(), key: key.to_owned(), version };
        Ok(WaitingObject { object, size_bytes: u64::try_from(head.content_length().context("no size")?)? })
    }

    /// Writes an item with these attributes.
    async fn item(&self, key: &str, attributes: Value) -> Result<()> {
        let mut item = attributes;
        item["db_table"] = json!(self.table.db_table()?);
        item["status_timestamp"] = json!(key);
        if key == "RUNNING" || key.starts_with("PENDING#") {
            item["work"] = json!(self.table.db_table()?);
        }
        let put = self.world.dynamodb.put_item().table_name(&self.world.tracker);
        put.set_item(Some(serde_dynamo::to_item(item)?)).send().await?;
        Ok(())
    }

    fn source(&self) -> Value {
        json!({"queue": self.table.name, "config": self.config.document})
    }

    /// Writes the ledger entry of an accepted object.
    async fn accepted(&self, waiting: &WaitingObject) -> Result<()> {
        let entry = json!({"object": listed(waiting, 0), "accepted_millis": self.now,
            "expires_at": self.now / 1000 + 1_000_000});
        self.item(&format!("FILE#{}", waiting.object.id()), entry).await
    }

    /// Writes a pending load and the ledger entries of its objects. Returns its key.
    async fn pending(&self, keys: &[&str], age_millis: i64) -> Result<String> {
        let mut objects = Vec::new();
        for key in keys {
            let waiting = self.object(key).await?;
            self.accepted(&waiting).await?;
            objects.push(listed(&waiting, waiting.size_bytes));
        }
        let since = self.now - age_millis;
        let key = format!("PENDING#{since:014}#{age_millis:032x}");
        let pending = json!({"objects": objects, "source": self.source(), "recorded_millis": since,
            "not_before_millis": 0, "set_aside": 0});
        self.item(&key, pending).await?;
        Ok(key)
    }

    /// Writes the slot at this step, with `more` attributes.
    async fn running(&self, step: &str, pending_keys: &[String], more: Value) -> Result<()> {
        let since = self.now - 20_000;
        let mut running = json!({"load_id": load_id().0, "version": 3, "holder": "an invocation of loader 0.1",
            "touched_millis": since, "claimed_millis": since, "recorded_millis": since, "attempt": 1, "failures": 0,
            "refreshes": 0, "pending_keys": pending_keys, "source": self.source(), "step": step});
        let fields = running.as_object_mut().context("an object")?;
        fields.extend(more.as_object().context("an object")?.clone());
        self.item("RUNNING", running).await
    }

    fn statement_name(&self) -> Result<StatementName> {
        let table = DbTable(self.table.db_table()?);
        Ok(StatementName { prefix: "dev".to_owned(), table, load_id: load_id(), attempt: 1 })
    }

    /// Writes the manifest of the running load. Returns its URL.
    async fn manifest(&self) -> Result<String> {
        let objects = [self.object(RUNNING[0]).await?, self.object(RUNNING[1]).await?];
        let manifest = Manifest::new(&load_id(), &objects.iter().collect::<Vec<_>>());
        let key = format!("manifests/{}", manifest.key);
        let body = ByteStream::from(manifest.content.into_bytes());
        self.world.s3.put_object().bucket(&self.world.bucket).key(&key).body(body).send().await?;
        Ok(format!("s3://{}/{key}", self.world.bucket))
    }

    fn prepared(&self, manifest: &str) -> Result<Value> {
        Ok(json!({"manifest": manifest, "n_objects": 2, "size_bytes": 1, "columns": [],
            "statement_name": self.statement_name()?.to_string(), "prepared_millis": self.now - 10_000,
            "not_before_millis": 0, "refusals": 0, "uncertain": false}))
    }

    /// Submits the load's statement as loader 0.1 did. Returns its id.
    async fn submit(&self, manifest: &str) -> Result<String> {
        let name = self.statement_name()?;
        let columns = TargetColumns::default();
        let sql = merge::statements(&LoadSql {
            config: &self.config,
            columns: &columns,
            fit: &Fit::default(),
            manifest,
            load_id: &name.load_id.0,
            statement_name: &name.to_string(),
        })?;
        let submit = self.world.data.batch_execute_statement().cluster_identifier("analytics").database("dev");
        let submit = submit.db_user(DB_USER_DEFAULT).statement_name(name.to_string()).client_token(name.client_token());
        submit.with_event(true).set_sqls(Some(sql)).send().await?.id.context("no statement id")
    }

    /// Writes the backlog, and the ledger entry of the object that was loaded before.
    async fn backlog(&self) -> Result<()> {
        self.pending(&BACKLOG[..1], 3_000).await?;
        self.pending(&BACKLOG[1..], 2_000).await?;
        self.accepted(&self.object(BEFORE).await?).await
    }

    /// Sends the notification of every file again.
    async fn notify_again(&self) -> Result<()> {
        for key in RUNNING.iter().chain(&BACKLOG).chain([&BEFORE]) {
            self.table.notify_of(&[key]).await?;
        }
        Ok(())
    }

    /// Waits until everything is loaded once, and of loader 0.1's items only the ledger is left.
    async fn rests(&self) -> Result<()> {
        let mut expected: Vec<String> = RUNNING.iter().chain(&BACKLOG).chain([&BEFORE]).map(|key| row(key)).collect();
        expected.sort();
        self.table.rest_with(&expected).await?;
        let items = self.table.items().await?;
        let accepted = |item: &&Item| matches!(item, Item::File(entry) if entry.mark == LedgerMark::Accepted);
        ensure!(
            items.values().filter(accepted).count() == 1,
            "accepted entries other than that of the object loaded before: {items:?}"
        );
        ensure!(self.table.quarantine().await?.is_empty(), "quarantined: {items:?}");
        Ok(())
    }
}

/// An object as loader 0.1 listed it.
fn listed(waiting: &WaitingObject, size_bytes: u64) -> Value {
    let Version::ETag(etag) = &waiting.object.version else { panic!("{waiting:?}") };
    json!({"bucket": waiting.object.bucket, "key": waiting.object.key, "etag": etag, "size": size_bytes})
}

#[test]
fn a_statement_that_loader_0_1_submitted_is_settled_and_its_backlog_loads() {
    let world = world();
    world.run(async {
        let old = Old::new(world, SUBMITTED).await?;
        old.table.hold("SUBMITTED").await?;
        let manifest = old.manifest().await?;
        let key = old.pending(&RUNNING, 20_000).await?;
        let statement_id = old.submit(&manifest).await?;
        let more = json!({"prepared": old.prepared(&manifest)?, "statement_id": statement_id,
            "submitted_millis": old.now - 9_000});
        old.running("submitted", &[key], more).await?;
        old.backlog().await?;
        old.notify_again().await?;
        let recorded = |item: &&Item| matches!(item, Item::Pending(pending) if !pending.entered);
        old.table.until("recorded beside it", |items| items.values().filter(recorded).count() > 0).await?;
        ensure!(old.table.statements().await?.len() == 1, "another statement beside the running one");
        old.table.release().await?;
        old.rests().await?;
        let history = old.table.loaded().await?;
        let first =
            history.iter().find(|load| load.statement_id == statement_id).context("the load is not in the history")?;
        ensure!(first.n_objects == 2 && first.load_id == load_id(), "{first:?}");
        Ok(())
    });
}

/// The statement was accepted, but its id was never recorded: the same client token finds it again.
#[test]
fn a_statement_that_loader_0_1_had_submitted_without_recording_it_is_not_submitted_twice() {
    let world = world();
    world.run(async {
        let old = Old::new(world, LOST).await?;
        let manifest = old.manifest().await?;
        let key = old.pending(&RUNNING, 20_000).await?;
        let statement_id = old.submit(&manifest).await?;
        old.running("prepared", &[key], json!({"prepared": old.prepared(&manifest)?})).await?;
        old.backlog().await?;
        old.notify_again().await?;
        old.rests().await?;
        let history = old.table.loaded().await?;
        ensure!(history.iter().any(|load| load.statement_id == statement_id), "{history:?}");
        Ok(())
    });
}

#[test]
fn a_load_that_loader_0_1_prepared_is_submitted_as_it_was_prepared() {
    let world = world();
    world.run(async {
        let old = Old::new(world, PREPARED).await?;
        let manifest = old.manifest().await?;
        let key = old.pending(&RUNNING, 20_000).await?;
        old.running("prepared", &[key], json!({"prepared": old.prepared(&manifest)?})).await?;
        old.backlog().await?;
        old.notify_again().await?;
        old.rests().await?;
        let history = old.table.loaded().await?;
        ensure!(history.iter().any(|load| load.manifest == manifest && load.attempts == 1), "{history:?}");
        Ok(())
    });
}

#[test]
fn a_load_that_loader_0_1_claimed_continues() {
    let world = world();
    world.run(async {
        let old = Old::new(world, CLAIMED).await?;
        let key = old.pending(&RUNNING, 20_000).await?;
        old.running("claimed", &[key], json!({})).await?;
        old.backlog().await?;
        old.notify_again().await?;
        old.rests().await
    });
}

#[test]
fn a_load_that_loader_0_1_left_waiting_begins_its_next_attempt() {
    let world = world();
    world.run(async {
        let old = Old::new(world, WAITING).await?;
        let key = old.pending(&RUNNING, 20_000).await?;
        let more = json!({"not_before_millis": old.now, "class": "operators_turn",
            "reason": "permission denied for relation t", "failures": 1});
        old.running("waiting", &[key], more).await?;
        old.backlog().await?;
        old.notify_again().await?;
        old.rests().await?;
        let history = old.table.loaded().await?;
        ensure!(history.iter().any(|load| load.attempts == 2 && load.load_id == load_id()), "{history:?}");
        Ok(())
    });
}
