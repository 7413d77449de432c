//! Injects the faults, each into its own table.

use std::time::{Duration, Instant};

use acceptance::alarms::goes_off;
use acceptance::columnar::{moments, numbers, parquet, texts};
use acceptance::steps::{in_quarantine, is_recorded, is_submitted, waits_for};
use acceptance::table::csv;
use acceptance::world::World;
use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::contract::Function;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use local_client::{Toxic, ToxicKind};
use serde_json::json;

use super::{
    B, BAD, BUSY, CONFIG_IS_READ, DEAD, DENIED, DOWN, DRIFT, Drill, FAULT_SECONDS_MAX, HANGS, KILLED, LATE, LOST,
    MISSING, WRONG, config, now,
};

/// How often Lambda invokes a function with an event that fails: once, and the template's two retries.
const TRIES_OF_EVENT: u64 = 3;

impl Drill {
    /// Injects all faults, one after the other if they could affect other tables.
    pub async fn make_faults(&self) -> Result<()> {
        self.given_up().await.context(DEAD)?;
        self.killed().await.context(KILLED)?;
        self.event_lost().await.context(LOST)?;
        self.hangs_and_throttles().await.context(HANGS)?;
        self.drifted().await.context(DRIFT)?;
        let (down, missing, denied, bad, late) =
            tokio::join!(self.down(), self.missing(), self.denied(), self.bad(), self.ten_minutes_late());
        down.context(DOWN).and(missing.context(MISSING)).and(denied.context(DENIED))?;
        bad.context(BAD).and(late.context(LATE))
    }

    async fn down(&self) -> Result<()> {
        let down =
            json!({"name": self.statements_of(DOWN)?, "status": "FAILED", "error": "could not connect to server"});
        self.standin(&json!({"fail": down})).await?;
        self.file(DOWN).await?;
        self.table(DOWN).until_by_itself("down", waits_for(FailureClass::RetryLater)).await
    }

    async fn missing(&self) -> Result<()> {
        self.table(MISSING).sql(&format!("DROP TABLE {MISSING}")).await?;
        self.file(MISSING).await?;
        self.table(MISSING).until_by_itself("stuck", waits_for(FailureClass::OperatorsTurn)).await
    }

    async fn denied(&self) -> Result<()> {
        self.file(DENIED).await?;
        self.table(DENIED).until_by_itself("stuck", waits_for(FailureClass::OperatorsTurn)).await
    }

    async fn bad(&self) -> Result<()> {
        self.table(BAD).put("bad.csv", csv(&["number-of-a-card,2026-01-01 00:00:00,b"])).await?;
        self.file(BAD).await?;
        self.table(BAD).until_by_itself("in quarantine", in_quarantine).await
    }

    /// A file has a column that its table does not have. It is the first file in quarantine, so the alarm is for it.
    async fn drifted(&self) -> Result<()> {
        let columns =
            vec![("id", numbers(&[1])), ("at", moments(&[0])), ("val", texts(&["a"])), ("more", texts(&["x"]))];
        self.table(DRIFT).put("a.parquet", parquet(columns)?).await?;
        self.table(DRIFT).until_by_itself("in quarantine", in_quarantine).await?;
        ensure!(self.table(DRIFT).statements().await?.is_empty(), "a COPY was submitted");
        let started = Instant::now();
        while !goes_off(self.world, "Quarantine", &[(self.began, now())]).await? {
            ensure!(started.elapsed() < Duration::from_secs(FAULT_SECONDS_MAX), "Quarantine does not go off");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// NextLoader is killed whenever it asks for the status of the ended statement, until its event is discarded.
    async fn killed(&self) -> Result<()> {
        let gateway = self.world.stack.gateway();
        let dies = Toxic::new(ToxicKind::KillBefore).on("redshift-data", "DescribeStatement");
        let dies = Toxic { function: Some(World::function(Function::NextLoader)), ..dies };
        let id = gateway.add_toxic(&dies).await?;
        self.file(KILLED).await?;
        let (mut n_deaths, since) = (0, Instant::now());
        while n_deaths < TRIES_OF_EVENT {
            ensure!(since.elapsed() < Duration::from_secs(FAULT_SECONDS_MAX), "{n_deaths} functions were killed");
            tokio::time::sleep(Duration::from_millis(100)).await;
            n_deaths = gateway.toxics().await?.first().map_or(0, |toxic| toxic.applied);
        }
        gateway.remove_toxic(&id).await?;
        self.table(KILLED).until_by_itself("submitted", is_submitted).await
    }

    /// The status change of a statement is lost, and so is S3's notification of another file.
    async fn event_lost(&self) -> Result<()> {
        self.standin(&json!({"events": {"drop": 1}})).await?;
        let table = self.table(LOST);
        self.file(LOST).await?;
        table.notify_of(&["a.csv"]).await?;
        table.until_by_itself("submitted", is_submitted).await?;
        table.put("folder/b.csv", csv(&[B])).await
    }

    /// A message is refused until it goes to the dead-letter queue.
    async fn given_up(&self) -> Result<()> {
        let table = self.table(DEAD);
        table.configure(&json!({"copy": {}})).await?;
        tokio::time::sleep(CONFIG_IS_READ).await;
        self.file(DEAD).await
    }

    /// A statement never commits, and another one exceeds the limit of the warehouse.
    async fn hangs_and_throttles(&self) -> Result<()> {
        self.table(HANGS).hold("COMMIT").await?;
        self.file(HANGS).await?;
        self.table(HANGS).until_by_itself("submitted", is_submitted).await?;
        self.standin(&json!({"active_limit": 1})).await?;
        self.file(BUSY).await?;
        self.table(BUSY).until_by_itself("throttled", waits_for(FailureClass::RetryLater)).await?;
        self.standin(&json!({"active_limit": 500})).await
    }

    /// The table is paused before its file arrives.
    async fn ten_minutes_late(&self) -> Result<()> {
        self.run("pause TABLE --reason maintenance", LATE, 0).await?;
        self.file(LATE).await?;
        self.table(LATE).until_by_itself("recorded", is_recorded).await
    }

    /// Makes a waiting table late: changes when its file was recorded to twenty minutes ago.
    pub async fn make_late(&self, name: &str) -> Result<()> {
        let table = self.table(name);
        let waits = |item: &Item| item.load().is_some() || matches!(item, Item::Pending(_));
        let items = table.items().await?;
        // The slot with its running load is the last item.
        let item = items.into_values().rfind(waits).context("no load waits")?;
        let update = self.world.dynamodb.update_item().table_name(&self.world.tracker);
        let update = update.key("db_table", AttributeValue::S(table.db_table()?));
        let update = update.key("status_timestamp", AttributeValue::S(item.key().0));
        let update = match item.load() {
            Some(_) => update
                .update_expression("SET #load.recorded_millis = :millis")
                .expression_attribute_names("#load", "load"),
            None => update.update_expression("SET recorded_millis = :millis"),
        };
        let recorded = (now() - 20 * 60_000).to_string();
        update.expression_attribute_values(":millis", AttributeValue::N(recorded)).send().await?;
        Ok(())
    }

    /// Messages are refused because the queue's configuration is invalid.
    pub async fn misconfigured(&self) -> Result<()> {
        let mut wrong = config(WRONG);
        wrong["load"]["files_max"] = json!("many");
        self.table(WRONG).configure(&wrong).await?;
        tokio::time::sleep(CONFIG_IS_READ).await;
        let from = now();
        self.file(WRONG).await?;
        let started = Instant::now();
        while !goes_off(self.world, "Refused", &[(from, now())]).await? {
            ensure!(started.elapsed() < Duration::from_secs(FAULT_SECONDS_MAX), "Refused does not go off");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }
}
