//! What a person does when a table waits, or a file is in quarantine: the commands of the runbook, by the table's short name.

use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::{Checkout, Said};
use anyhow::{Result, ensure};
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use loader_core::tracker::slot::Step;
use serde_json::{Value, json};

/// Longer than a test: what goes on here does so because somebody asked for it.
const BACKOFF_SECONDS: u32 = 600;
/// Exit codes of `status`.
const HEALTHY: i32 = 0;
const BROKEN: i32 = 5;
const TABLE: &str = "operated";
const FOREIGN: &str = "unreadable";
const COLUMNS: &str = "id BIGINT, at TIMESTAMP, val VARCHAR(64)";

fn world() -> &'static World {
    world_of(|| Setup { backoff_seconds: BACKOFF_SECONDS, ..Setup::of([(TABLE, append(TABLE)), (FOREIGN, foreign())]) })
}

/// The role may read one folder of the bucket, which tells the queue about all its files.
fn foreign() -> Value {
    let mut config = append(FOREIGN);
    config["source"] = json!("s3://e2e-unreadable/in/");
    config["load"] = json!({"age_seconds": 8});
    config
}

struct Operator(Checkout);

impl Operator {
    /// Runs a command for the table and expects an exit code.
    async fn says(&self, command: &str, code: i32) -> Result<Said> {
        let said = self.0.xtask(&format!("{command} --local --stack-name {STACK}")).await?;
        ensure!(said.code == Some(code), "{command}: exit code {:?}, expected {code}\n{}", said.code, said.words());
        Ok(said)
    }

    /// What `status` says about the table; its exit code tells how the table is.
    async fn status(&self, code: i32) -> Result<Value> {
        let tables = self.says(&format!("status {TABLE} --output json"), code).await?.json()?;
        ensure!(tables.as_array().is_some_and(|tables| tables.len() == 1), "one table was asked for: {tables}");
        Ok(tables[0].clone())
    }
}

#[test]
fn a_table_that_waits_and_a_file_in_quarantine_go_on_by_command() {
    let world = world();
    let operator = Operator(Checkout::new().expect("a clone of its own"));
    world.run(async {
        let table = Table::new(world, TABLE, append(TABLE)).await?;
        resumed(&operator, &table).await?;
        retried(&operator, &table).await?;
        dismissed(&operator, &table).await
    });
}

async fn resumed(operator: &Operator, table: &Table) -> Result<()> {
    ensure!(operator.status(HEALTHY).await?["state"] == "new", "it never loaded");
    operator.says(&format!("resume {TABLE}"), 2).await?;
    table.sql(&format!("DROP TABLE {TABLE}")).await?;
    table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
    let waits = |item: &Item| {
        let step = item.load().map(|load| &load.step);
        matches!(step, Some(Step::Waiting { class: FailureClass::OperatorsTurn, .. }))
    };
    table.until("waiting for the operator", |items| items.values().any(waits)).await?;
    let status = operator.status(BROKEN).await?;
    ensure!(status["state"] == "operator" && status["waiting_objects"] == 1, "{status}");
    ensure!(status["advice"][0].as_str().is_some_and(|advice| advice.contains("nonexistent table")), "{status}");
    table.sql(&format!("CREATE TABLE {TABLE} ({COLUMNS})")).await?;
    table.until("still waiting", |items| items.values().any(waits)).await?;
    let said = operator.says(&format!("resume {TABLE} --output json"), 0).await?.json()?;
    ensure!(said["was"].as_str().is_some_and(|was| was.contains("operators_turn")), "{said}");
    table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
}

async fn retried(operator: &Operator, table: &Table) -> Result<()> {
    operator.says(&format!("retry {TABLE}"), 2).await?;
    table.put("b.csv", csv(&["two,2026-01-01 00:00:00,b"])).await?;
    table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
    let status = operator.status(BROKEN).await?;
    ensure!(status["quarantine"][0]["class"] == "bad_input", "{status}");
    table.sql(&format!("DROP TABLE {TABLE}")).await?;
    table.sql(&format!("CREATE TABLE {TABLE} ({})", COLUMNS.replace("BIGINT", "VARCHAR(64)"))).await?;
    let said = operator.says(&format!("retry {TABLE} --output json"), 0).await?.json()?;
    ensure!(said["back"] == 1, "{said}");
    table.rest_with(&rows(&["two,2026-01-01 00:00:00,b"])).await?;
    ensure!(table.quarantine().await?.is_empty(), "it is loaded and in quarantine");
    Ok(())
}

async fn dismissed(operator: &Operator, table: &Table) -> Result<()> {
    let good = rows(&["two,2026-01-01 00:00:00,b"]);
    table.put("c.csv", csv(&["3,no time,c"])).await?;
    table.rest_with(&good).await?;
    let unasked = operator.says(&format!("dismiss {TABLE}"), 3).await?;
    ensure!(unasked.errors.contains("1 files stay in quarantine"), "{unasked:?}");
    ensure!(table.quarantine().await?.len() == 1, "it went without a yes");
    let said = operator.says(&format!("dismiss {TABLE} --yes --output json"), 0).await?.json()?;
    ensure!(said["dismissed"].to_string().contains("c.csv"), "{said}");
    table.put("c.csv", csv(&["3,no time,c"])).await?;
    table.rest_with(&good).await?;
    ensure!(table.quarantine().await?.is_empty(), "the version that was dismissed is back");
    let status = operator.status(HEALTHY).await?;
    ensure!(status["quarantine"].as_array().is_some_and(Vec::is_empty), "{status}");
    operator.says(&format!("dismiss {TABLE} --yes"), 2).await.map(drop)
}

#[test]
fn a_file_that_the_role_may_not_read_waits_and_holds_up_nobody() {
    let world = world();
    world.run(async {
        let table = Table::new(world, FOREIGN, foreign()).await?;
        table.put("beside/foreign.csv", csv(&["1,2026-01-01 00:00:00,foreign"])).await?;
        table.put("in/a.csv", csv(&["2,2026-01-01 00:00:00,a"])).await?;
        let loaded = |item: &Item| matches!(item, Item::Loaded(history) if history.n_objects == 1);
        table.until("loaded without it", |items| items.values().any(loaded)).await?;
        ensure!(table.rows().await? == rows(&["2,2026-01-01 00:00:00,a"]), "{:?}", table.rows().await?);
        let waits = |item: &Item| matches!(item, Item::Pending(pending) if pending.objects[0].object.key == "beside/foreign.csv");
        table.until("waiting alone", |items| items.values().any(waits) && !items.values().any(|item| item.load().is_some())).await
    });
}
