//! Scheduled loads and source checks. The local Scheduler does not replace context attributes, so the test invokes BulkLoader as AWS's would.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acceptance::steps::is_recorded;
use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context, Result, ensure};
use loader_core::bulk_request::{SCHEDULED_TIME_ATTRIBUTE, instant_text};
use loader_core::contract::Function;
use loader_core::tracker::item::Item;
use serde_json::{Value, json};

const TABLE: &str = "daily";
const CHECKED: &str = "checked";
const BEFORE: &str = "1,2026-02-27 12:00:00,before";
const MEANT: [&str; 2] = ["2,2026-02-28 12:00:00,a", "3,2026-02-28 13:00:00,b"];
const AFTER: &str = "4,2026-03-01 12:00:00,after";

fn world() -> &'static World {
    world_of(|| Setup::of([(TABLE, config()), (CHECKED, checked())]))
}

fn config() -> Value {
    let mut config = append(TABLE);
    let path = "s3://e2e-daily/in/dt={yesterday:%Y-%m-%d}/";
    config["source"] = json!("s3://e2e-daily/in/");
    config["bulk"] = json!([{"schedule": "cron(0 4 * * ? *)", "s3_path": path, "timezone": "Europe/Berlin"}]);
    config
}

fn checked() -> Value {
    let mut config = append(CHECKED);
    config["source"] = json!("s3://e2e-checked/in/");
    config["source_check"] = json!({"every": "6 hours"});
    config
}

/// The input that AWS's Scheduler passes to the function at this instant.
fn input(world: &World, scheduled: &str) -> Result<Value> {
    input_of(world, "DailyBulk1", scheduled)
}

fn input_of(world: &World, schedule: &str, scheduled: &str) -> Result<Value> {
    let target = &world.template["Resources"][schedule]["Properties"]["Target"];
    let text = target["Input"].as_str().context("the schedule has no input")?;
    ensure!(text.contains(SCHEDULED_TIME_ATTRIBUTE), "{text}");
    Ok(serde_json::from_str(&text.replace(SCHEDULED_TIME_ATTRIBUTE, scheduled))?)
}

#[test]
fn a_schedule_loads_yesterdays_folder() {
    let world = world();
    world.run(async {
        let table = Table::without_notifications(world, TABLE, config()).await?;
        table.put("in/dt=2026-02-27/a.csv", csv(&[BEFORE])).await?;
        table.put("in/dt=2026-02-28/a.csv", csv(&[MEANT[0]])).await?;
        table.put("in/dt=2026-02-28/b.csv", csv(&[MEANT[1]])).await?;
        table.put("in/dt=2026-03-01/a.csv", csv(&[AFTER])).await?;
        // This is four o'clock in Berlin.
        let first = input(world, "2026-03-01T03:00:00Z")?;
        let answer = world.invoke(Function::BulkLoader, &first).await?;
        ensure!(
            answer[0]["s3_path"] == "s3://e2e-daily/in/dt=2026-02-28/" && answer[0]["new_objects"] == 2,
            "{answer}"
        );
        table.rest_with(&rows(&MEANT)).await?;
        // A repeated invocation loads nothing, whenever it happens.
        let answer = world.invoke(Function::BulkLoader, &first).await?;
        ensure!(answer[0]["new_objects"] == 0 && answer[0]["objects"] == 2, "{answer}");
        let answer = world.invoke(Function::BulkLoader, &input(world, "2026-03-02T03:00:00Z")?).await?;
        ensure!(answer[0]["new_objects"] == 1, "{answer}");
        table.rest_with(&rows(&[MEANT[0], MEANT[1], AFTER])).await
    });
}

#[test]
fn a_source_check_finds_a_file_without_a_notification_and_counts_it_once() {
    let world = world();
    world.run(async {
        let table = Table::without_notifications(world, CHECKED, checked()).await?;
        let began = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().try_into()?;
        let (notified, waits, missed) =
            ("1,2026-01-01 00:00:00,a", "2,2026-01-01 00:00:00,b", "3,2026-01-01 00:00:00,c");
        table.put("in/notified.csv", csv(&[notified])).await?;
        table.notify_of(&["in/notified.csv"]).await?;
        table.rest_with(&rows(&[notified])).await?;
        let mut paused = checked();
        paused["load"] = json!({"paused": true});
        table.configure(&paused).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        table.put("in/waits.csv", csv(&[waits])).await?;
        table.notify_of(&["in/waits.csv"]).await?;
        table.until("waiting", is_recorded).await?;
        table.put("in/missed.csv", csv(&[missed])).await?;
        table.put("outside.csv", csv(&[missed])).await?;

        let check = |minutes: i64| input_of(world, "CheckedSourceCheck", &instant_text(began + minutes * 60_000));
        let early = world.invoke(Function::BulkLoader, &check(5)?).await?;
        ensure!(early[0]["objects"] == 0, "files within the grace period: {early}");
        let late = world.invoke(Function::BulkLoader, &check(3 * 24 * 60)?).await?;
        ensure!(late[0]["objects"] == 0, "files older than the checked period: {late}");
        let found = world.invoke(Function::BulkLoader, &check(20)?).await?;
        ensure!(found[0]["objects"] == 3 && found[0]["new_objects"] == 1, "{found}");
        let again = world.invoke(Function::BulkLoader, &check(21)?).await?;
        ensure!(again[0]["objects"] == 3 && again[0]["new_objects"] == 0, "{again}");
        table.configure(&checked()).await?;
        table.rest_with(&rows(&[notified, waits, missed])).await?;

        let lines = world.logged(began).await?;
        let counted: Vec<Value> = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["event"] == "missed_event")
            .collect();
        ensure!(counted.len() == 1 && counted[0]["MissedEvents"] == 1, "{counted:?}");
        ensure!(counted[0]["first"] == "s3://e2e-checked/in/missed.csv", "{counted:?}");
        let noted = |item: &Item| matches!(item, Item::Audit(audit) if audit.command == "missed event");
        ensure!(table.items().await?.values().filter(|item| noted(item)).count() == 1, "no audit record");
        Ok(())
    });
}
