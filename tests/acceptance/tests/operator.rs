//! Commands of an operator for tables that wait and files in quarantine, with the table's short name.

use std::time::{Duration, Instant};

use acceptance::steps::{is_recorded, waits_for};
use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::{Checkout, Said};
use anyhow::{Context, Result, ensure};
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use serde_json::{Value, json};

/// Longer than a test, so that a load continues only because of a command.
const BACKOFF_SECONDS: u32 = 600;
/// Exit codes of `status`.
const HEALTHY: i32 = 0;
const BROKEN: i32 = 5;
const TABLE: &str = "operated";
const STEERED: &str = "steered";
const FOREIGN: &str = "unreadable";
const COLUMNS: &str = "id BIGINT, at TIMESTAMP, val VARCHAR(64)";

fn world() -> &'static World {
    world_of(|| Setup {
        backoff_seconds: BACKOFF_SECONDS,
        ..Setup::of([(TABLE, append(TABLE)), (STEERED, append(STEERED)), (FOREIGN, foreign())])
    })
}

/// The execution role may read only one folder of the bucket, but the bucket notifies the queue of all files.
fn foreign() -> Value {
    let mut config = append(FOREIGN);
    config["source"] = json!("s3://e2e-unreadable/in/");
    config["load"] = json!({"age_seconds": 8});
    config
}

struct Operator(Checkout);

impl Operator {
    /// Runs a command, which must exit with `code`.
    async fn run(&self, command: &str, code: i32) -> Result<Said> {
        let said = self.0.xtask(&format!("{command} --local --stack-name {STACK}")).await?;
        ensure!(said.code == Some(code), "{command}: exit code {:?}, expected {code}\n{}", said.code, said.words());
        Ok(said)
    }

    /// Runs a command and returns its JSON.
    async fn json(&self, command: &str, code: i32) -> Result<Value> {
        self.run(&format!("{command} --output json"), code).await?.json()
    }

    /// The status of a table. The exit code of `status` shows its health.
    async fn status(&self, table: &str, code: i32) -> Result<Value> {
        let tables = self.json(&format!("status {table}"), code).await?;
        ensure!(tables.as_array().is_some_and(|tables| tables.len() == 1), "expected one table: {tables}");
        Ok(tables[0].clone())
    }
}

#[test]
fn a_stuck_table_is_resumed_and_quarantined_files_are_retried_or_dismissed() {
    let world = world();
    let operator = Operator(Checkout::new().expect("a separate clone"));
    world.run(async {
        let table = Table::new(world, TABLE, append(TABLE)).await?;
        resumed(&operator, &table).await?;
        retried(&operator, &table).await?;
        dismissed(&operator, &table).await?;
        month_is_counted(&operator).await
    });
}

/// `status --cost` shows the number of loads that `cost` reports for the warehouse.
async fn month_is_counted(operator: &Operator) -> Result<()> {
    let said = operator.run(&format!("status {TABLE} --cost"), HEALTHY).await?.words();
    let (_, month) = said.split_once("this month").with_context(|| format!("no costs: {said}"))?;
    let costs = operator.json("cost", HEALTHY).await?;
    let loads = costs[0]["loads"].as_u64().context("no loads")?;
    ensure!(loads > 0 && month.contains(&format!("{loads} loads of ")), "{costs}\n{said}");
    Ok(())
}

async fn resumed(operator: &Operator, table: &Table) -> Result<()> {
    ensure!(operator.status(TABLE, HEALTHY).await?["state"] == "new", "the table has never loaded");
    operator.run(&format!("resume {TABLE}"), 2).await?;
    table.sql(&format!("DROP TABLE {TABLE}")).await?;
    table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
    table.until("waiting for the operator", waits_for(FailureClass::OperatorsTurn)).await?;
    let status = operator.status(TABLE, BROKEN).await?;
    ensure!(status["state"] == "operator" && status["waiting_objects"] == 1, "{status}");
    ensure!(status["advice"][0].as_str().is_some_and(|advice| advice.contains("nonexistent table")), "{status}");
    table.sql(&format!("CREATE TABLE {TABLE} ({COLUMNS})")).await?;
    table.until("still waiting", waits_for(FailureClass::OperatorsTurn)).await?;
    let said = operator.run(&format!("resume {TABLE} --output json"), 0).await?.json()?;
    ensure!(
        said["was"].as_str().is_some_and(|was| was.contains("operators_turn")) && said["at_once"] == true,
        "{said}"
    );
    table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
}

async fn retried(operator: &Operator, table: &Table) -> Result<()> {
    operator.run(&format!("retry {TABLE}"), 2).await?;
    table.put("b.csv", csv(&["two,2026-01-01 00:00:00,b"])).await?;
    table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
    let status = operator.status(TABLE, BROKEN).await?;
    ensure!(status["quarantine"][0]["class"] == "bad_input", "{status}");
    table.recreate(&COLUMNS.replace("BIGINT", "VARCHAR(64)")).await?;
    let said = operator.run(&format!("retry {TABLE} --output json"), 0).await?.json()?;
    ensure!(said["back"] == 1 && said["at_once"] == true, "{said}");
    table.rest_with(&rows(&["two,2026-01-01 00:00:00,b"])).await?;
    ensure!(table.quarantine().await?.is_empty(), "a loaded file is still in quarantine");
    Ok(())
}

async fn dismissed(operator: &Operator, table: &Table) -> Result<()> {
    let good = rows(&["two,2026-01-01 00:00:00,b"]);
    table.put("c.csv", csv(&["3,no time,c"])).await?;
    table.rest_with(&good).await?;
    let unasked = operator.run(&format!("dismiss {TABLE}"), 3).await?;
    ensure!(unasked.errors.contains("1 file in quarantine"), "{unasked:?}");
    ensure!(table.quarantine().await?.len() == 1, "dismissed without confirmation");
    let said = operator.run(&format!("dismiss {TABLE} --yes --output json"), 0).await?.json()?;
    ensure!(said["dismissed"].to_string().contains("c.csv"), "{said}");
    table.put("c.csv", csv(&["3,no time,c"])).await?;
    table.rest_with(&good).await?;
    ensure!(table.quarantine().await?.is_empty(), "the dismissed version is in quarantine again");
    let status = operator.status(TABLE, HEALTHY).await?;
    ensure!(status["quarantine"].as_array().is_some_and(Vec::is_empty), "{status}");
    operator.run(&format!("dismiss {TABLE} --yes"), 2).await.map(drop)
}

/// S3 sends no notifications here; the test sends each of them.
#[test]
fn tables_are_paused_ledger_entries_forgotten_messages_redriven_and_files_traced() {
    let world = world();
    let operator = Operator(Checkout::named("steered").expect("a separate clone"));
    world.run(async {
        let table = Table::without_notifications(world, STEERED, append(STEERED)).await?;
        paused(&operator, &table).await?;
        forgotten(&operator, &table).await?;
        redriven(&operator, world, &table).await?;
        recorded(&operator).await
    });
}

const A: &str = "1,2026-01-01 00:00:00,a";
const B: &str = "2,2026-01-01 00:00:00,b";

/// Waits for rows without a sweep of the test: the command alone must load them, long before the next scheduled sweep.
async fn loaded_at_once(table: &Table, expected: &[&str]) -> Result<()> {
    let started = Instant::now();
    while table.rows().await? != rows(expected) {
        ensure!(started.elapsed() < Duration::from_secs(20), "not loaded: {:?}", table.rows().await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn fate(operator: &Operator, key: &str) -> Result<Value> {
    let traces = operator.json(&format!("trace s3://e2e-steered/{key}"), 0).await?;
    ensure!(traces.as_array().is_some_and(|traces| traces.len() == 1), "{traces}");
    Ok(traces[0].clone())
}

/// The command that `trace` prints shows the message that named the file.
async fn the_message_is_found(operator: &Operator, trace: &Value) -> Result<()> {
    let mut story = trace["story"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let command = story.find_map(|line| line.split_once("if one named it: cargo xtask "));
    let command = command.with_context(|| format!("no command: {trace}"))?.1;
    ensure!(trace["recorded"]["request_id"].as_str().is_some_and(|id| command.contains(id)), "{trace}");
    let said = operator.run(command.split(" --local").next().unwrap_or_default(), 0).await?;
    let named = said.output.lines().filter(|line| line.contains("recorded ") && line.contains(r#"":["a.csv"]"#));
    ensure!(named.count() == 1 && said.output.lines().count() == 1, "{command}: {said:?}");
    Ok(())
}

async fn paused(operator: &Operator, table: &Table) -> Result<()> {
    table.put("a.csv", csv(&[A])).await?;
    ensure!(fate(operator, "a.csv").await?["fate"] == "never_seen", "there was no notification of it");
    ensure!(operator.json(&format!("pause {STEERED} --dry-run"), 0).await?["paused"] == false, "a dry run");
    operator.run(&format!("pause {STEERED} --reason rebuilding"), 0).await?;
    operator.run(&format!("pause {STEERED}"), 2).await?;
    table.notify_of(&["a.csv"]).await?;
    table.until("recorded", is_recorded).await?;
    operator.run(&format!("resume {STEERED}"), 2).await?;
    let status = operator.status(STEERED, HEALTHY).await?;
    ensure!(status["state"] == "paused" && status["paused"]["reason"] == "rebuilding", "{status}");
    let waits = fate(operator, "a.csv").await?;
    the_message_is_found(operator, &waits).await?;
    ensure!(waits["fate"] == "waiting" && waits["story"].to_string().contains("paused the table"), "{waits}");
    ensure!(table.rows().await?.is_empty(), "loaded while paused");
    ensure!(operator.json(&format!("unpause {STEERED}"), 0).await?["at_once"] == true, "NextLoader was not invoked");
    loaded_at_once(table, &[A]).await?;
    operator.run(&format!("unpause {STEERED}"), 2).await?;
    table.rest_with(&rows(&[A])).await
}

async fn forgotten(operator: &Operator, table: &Table) -> Result<()> {
    table.sql(&format!("DELETE FROM {STEERED}")).await?;
    table.notify_of(&["a.csv"]).await?;
    table.rest_with(&[]).await?;
    let loaded = fate(operator, "a.csv").await?;
    ensure!(loaded["fate"] == "loaded" && loaded["listed_bytes"] == 24, "{loaded}");
    the_message_is_found(operator, &loaded).await?;
    operator.run("forget s3://e2e-steered/none.csv", 2).await?;
    let unasked = operator.run("forget s3://e2e-steered/a.csv", 3).await?;
    ensure!(unasked.errors.contains("nothing was removed from the ledger"), "{unasked:?}");
    let said = operator.json("forget s3://e2e-steered/ --dry-run", 0).await?;
    ensure!(said["forgotten"] == 0 && said["objects"].to_string().contains("a.csv"), "{said}");
    ensure!(
        operator.json("forget s3://e2e-steered/ --yes", 0).await?["forgotten"] == 1,
        "one version is in the ledger"
    );
    let again = fate(operator, "a.csv").await?;
    ensure!(
        again["fate"] == "never_seen" && again["story"].to_string().contains("removed it from the ledger"),
        "{again}"
    );
    table.notify_of(&["a.csv"]).await?;
    table.rest_with(&rows(&[A])).await
}

async fn redriven(operator: &Operator, world: &World, table: &Table) -> Result<()> {
    table.put("b.csv", csv(&[B])).await?;
    for key in ["a.csv", "b.csv"] {
        let body = table.notification(&[key]).await?;
        world.sqs.send_message().queue_url(&table.dead_letters_url).message_body(body).send().await?;
    }
    let status = operator.status(STEERED, BROKEN).await?;
    ensure!(status["queues"][0]["dead_letters"] == 2, "{status}");
    ensure!(operator.json(&format!("redrive {STEERED} --dry-run"), 0).await?["messages"] == 2, "a dry run");
    ensure!(operator.json(&format!("redrive {STEERED}"), 0).await?["moved"] == 2, "both are returned");
    operator.run("redrive none", 2).await?;
    table.rest_with(&rows(&[A, B])).await?;
    ensure!(table.dead_letters().await? == "0", "a dead letter is left");
    operator.status(STEERED, HEALTHY).await.map(drop)
}

/// The history contains the commands and loads, and the log lines of a load can be found by its id.
async fn recorded(operator: &Operator) -> Result<()> {
    let events = operator.json(&format!("history {STEERED} --since 1h"), 0).await?;
    let of_kind =
        |kind: &'static str| events.as_array().into_iter().flatten().filter(move |event| event["kind"] == kind);
    let commands: Vec<&str> = of_kind("audit").filter_map(|event| event["command"].as_str()).collect();
    ensure!(commands == ["pause", "unpause", "forget", "redrive"], "{events}");
    ensure!(of_kind("audit").next().is_some_and(|event| event["why"] == "rebuilding"), "{events}");
    let loads: Vec<&str> = of_kind("load").filter_map(|event| event["load_id"].as_str()).collect();
    ensure!(loads.len() == 3, "{events}");
    world().has_logged(loads[0], &["prepared", "submitted", "finished"]).await?;
    let log = operator.run(&format!("logs --load {}", &loads[0][..12]), 0).await?.output;
    for event in [" prepared ", " submitted ", " finished "] {
        ensure!(log.contains(event), "no {event}: {log}");
    }
    ensure!(log.lines().all(|line| line.contains(loads[0])), "{log}");
    Ok(())
}

#[test]
fn a_file_that_the_role_may_not_read_waits_and_blocks_no_other() {
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
