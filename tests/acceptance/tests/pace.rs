//! When loads start: files that wait for their age, tables that share a warehouse, statements that hang.
//!
//! With `ACCEPTANCE_AGE_SECONDS=60`, files trickle in as for a real table: one per second for five minutes.

use std::time::{Duration, Instant};

use acceptance::steps::{has_failed, is_recorded, is_submitted};
use acceptance::table::{Table, append, csv, row};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::ensure;
use loader_core::contract::Function;
use loader_core::tracker::item::Item;
use serde_json::{Value, json};

const AGED: &str = "pace-aged";
const MANY: &str = "pace-many";
const HANGS: &str = "pace-hangs";
const CANCELLED: &str = "pace-cancelled";
const SHARED: &str = "pace-shared";
const OWN: &str = "pace-own";
const TURNS: [&str; 3] = ["pace-turn1", "pace-turn2", "pace-turn3"];
/// Environment variable with the age of [`AGED`] in seconds.
const AGE: &str = "ACCEPTANCE_AGE_SECONDS";
const AGE_SECONDS_DEFAULT: u64 = 6;

fn age_seconds() -> u64 {
    std::env::var(AGE).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(AGE_SECONDS_DEFAULT)
}

fn aged() -> Value {
    with("pace_aged", &json!({"load": {"age_seconds": age_seconds()}}))
}

fn many() -> Value {
    append("pace_many")
}

fn hangs() -> Value {
    with("pace_hangs", &json!({"load": {"timeout_minutes": 1}}))
}

fn shared() -> Value {
    with("pace_shared", &json!({"warehouse": {"name": "w", "freshness_seconds": 900}}))
}

fn own() -> Value {
    with("pace_own", &json!({"warehouse": {"name": "w", "freshness_seconds": 900}, "load": {"age_seconds": 0}}))
}

/// These tables have a separate warehouse, so that those of other tests do not take turns with them.
fn turn(queue: &str) -> Value {
    let mut config =
        with(&queue.replace('-', "_"), &json!({"warehouse": {"name": "narrow", "concurrent_loads_max": 1}}));
    config["cluster"]["identifier"] = json!("narrow");
    config
}

fn with(table: &str, more: &Value) -> Value {
    let mut config = append(table);
    for (name, part) in more.as_object().into_iter().flatten() {
        config[name] = part.clone();
    }
    config
}

fn world() -> &'static World {
    world_of(|| {
        let turns = TURNS.map(|queue| (queue, turn(queue)));
        let others = [
            (AGED, aged()),
            (MANY, many()),
            (HANGS, hangs()),
            (CANCELLED, append("pace_cancelled")),
            (SHARED, shared()),
            (OWN, own()),
        ];
        Setup::of(others.into_iter().chain(turns))
    })
}

/// Files arrive for five times the age. The sixth load is that of the last files.
#[test]
fn files_that_trickle_in_wait_for_their_age_and_are_loaded_together() {
    let world = world();
    world.run(async {
        let age_seconds = age_seconds();
        let table = Table::new(world, AGED, aged()).await?;
        let (began, mut expected) = (Instant::now(), Vec::new());
        while began.elapsed() < Duration::from_secs(5 * age_seconds) {
            let row = row(expected.len());
            table.put(&format!("{}.csv", expected.len()), csv(&[&row])).await?;
            expected.push(row);
            tokio::time::sleep(Duration::from_millis(if age_seconds < 60 { 500 } else { 1_000 })).await;
        }
        table.rest_with(&expected).await?;
        let n_loads = table.loaded().await?.len();
        println!("{} files, {n_loads} loads", expected.len());
        ensure!(n_loads <= 6, "{n_loads} loads of {} files in five times the age", expected.len());
        Ok(())
    });
}

#[test]
fn a_hundred_notifications_that_wait_become_one_load() {
    let world = world();
    world.run(async {
        let table = Table::without_notifications(world, MANY, many()).await?;
        table.hold("SUBMITTED").await?;
        let mut expected = Vec::new();
        for number in 0..101 {
            let key = format!("{number}.csv");
            table.put(&key, csv(&[&row(number)])).await?;
            let body = json!({"Records": [table.record(&key).await?]}).to_string();
            let arn = format!("arn:aws:sqs:us-east-1:000000000000:{MANY}");
            let message = json!({"messageId": number.to_string(), "eventSourceARN": arn, "body": body});
            world.invoke(Function::MicrobatchLoader, &json!({"Records": [message]})).await?;
            expected.push(row(number));
        }
        let n_pendings = table.items().await?.values().filter(|item| matches!(item, Item::Pending(_))).count();
        ensure!(n_pendings == 101, "{n_pendings} pending loads");
        table.release().await?;
        table.rest_with(&expected).await?;
        let sizes: Vec<u64> = table.loaded().await?.iter().map(|history| history.n_objects).collect();
        ensure!(sizes == [1, 100], "{sizes:?}");
        Ok(())
    });
}

#[test]
fn a_statement_that_hangs_is_cancelled_and_the_load_repeated() {
    let world = world();
    world.run(async {
        let table = Table::new(world, HANGS, hangs()).await?;
        table.hold("COMMIT").await?;
        table.put("a.csv", csv(&[&row(1)])).await?;
        table.until("cancelled", has_failed).await?;
        table.release().await?;
        table.rest_with(&[row(1)]).await?;
        let attempts: Vec<u32> = table.loaded().await?.iter().map(|history| history.attempts).collect();
        ensure!(attempts == [2], "{attempts:?}");
        Ok(())
    });
}

#[test]
fn a_statement_is_cancelled_by_command_and_the_load_repeated() {
    let world = world();
    let checkout = Checkout::new().expect("a separate clone");
    world.run(async {
        let table = Table::new(world, CANCELLED, append("pace_cancelled")).await?;
        table.hold("COMMIT").await?;
        table.put("a.csv", csv(&[&row(1)])).await?;
        table.until("submitted", is_submitted).await?;
        let options = format!("--local --stack-name {STACK}");
        checkout.must(&format!("cancel pace_cancelled --dry-run {options}")).await?;
        ensure!(is_submitted(&table.items().await?), "a dry run cancels nothing");
        checkout.must(&format!("cancel pace_cancelled --reason tired {options}")).await?;
        table.until("cancelled", has_failed).await?;
        table.release().await?;
        table.rest_with(&[row(1)]).await?;
        let said = checkout.xtask(&format!("cancel pace_cancelled {options}")).await?;
        ensure!(said.code == Some(2), "no statement is running: {}", said.words());
        Ok(())
    });
}

#[test]
fn a_table_that_waits_for_its_warehouse_rides_with_one_that_does_not_wait() {
    let world = world();
    world.run(async {
        let waits = Table::new(world, SHARED, shared()).await?;
        let starts = Table::new(world, OWN, own()).await?;
        waits.put("a.csv", csv(&[&row(1)])).await?;
        waits.until("recorded", is_recorded).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        ensure!(waits.statements().await?.is_empty(), "it did not wait for the other tables of its warehouse");
        starts.put("b.csv", csv(&[&row(2)])).await?;
        starts.rest_with(&[row(2)]).await?;
        waits.rest_with(&[row(1)]).await?;
        Ok(())
    });
}

#[test]
fn a_warehouse_runs_as_many_loads_as_allowed_and_each_table_has_a_turn() {
    let world = world();
    world.run(async {
        let hold = "cluster:narrow:";
        world.standin(&json!({"hold": {"name": hold, "at": "COMMIT"}})).await?;
        let mut tables = Vec::new();
        for (number, queue) in TURNS.into_iter().enumerate() {
            let table = Table::new(world, queue, turn(queue)).await?;
            table.put("a.csv", csv(&[&row(number)])).await?;
            table.until("recorded", is_recorded).await?;
            tables.push(table);
        }
        for _ in 0..3 {
            world.sweep().await;
        }
        let mut n_started = 0;
        for table in &tables {
            n_started += table.statements().await?.len();
        }
        ensure!(n_started == 1, "{n_started} statements at the same time");
        world.standin(&json!({"release": hold})).await?;
        for (number, table) in tables.iter().enumerate() {
            table.rest_with(&[row(number)]).await?;
        }
        Ok(())
    });
}
