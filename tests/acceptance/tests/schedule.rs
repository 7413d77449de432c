//! A schedule loads yesterday's folder. The local Scheduler fills nothing in, so the test invokes BulkLoader as AWS's would.

use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context, Result, ensure};
use loader_core::bulk_request::SCHEDULED_TIME_ATTRIBUTE;
use loader_core::contract::Function;
use serde_json::{Value, json};

const TABLE: &str = "daily";
const BEFORE: &str = "1,2026-02-27 12:00:00,before";
const MEANT: [&str; 2] = ["2,2026-02-28 12:00:00,a", "3,2026-02-28 13:00:00,b"];
const AFTER: &str = "4,2026-03-01 12:00:00,after";

fn world() -> &'static World {
    world_of(|| Setup::of([(TABLE, config())]))
}

fn config() -> Value {
    let mut config = append(TABLE);
    let path = "s3://e2e-daily/in/dt={yesterday:%Y-%m-%d}/";
    config["source"] = json!("s3://e2e-daily/in/");
    config["bulk"] = json!([{"schedule": "cron(0 4 * * ? *)", "s3_path": path, "timezone": "Europe/Berlin"}]);
    config
}

/// What AWS's Scheduler hands to the function for that instant.
fn input(world: &World, scheduled: &str) -> Result<Value> {
    let target = &world.template["Resources"]["DailyBulk1"]["Properties"]["Target"];
    let text = target["Input"].as_str().context("the schedule has no input")?;
    ensure!(text.contains(SCHEDULED_TIME_ATTRIBUTE), "{text}");
    Ok(serde_json::from_str(&text.replace(SCHEDULED_TIME_ATTRIBUTE, scheduled))?)
}

#[test]
fn a_schedule_loads_the_folder_of_the_day_before() {
    let world = world();
    world.run(async {
        let table = Table::without_notifications(world, TABLE, config()).await?;
        table.put("in/dt=2026-02-27/a.csv", csv(&[BEFORE])).await?;
        table.put("in/dt=2026-02-28/a.csv", csv(&[MEANT[0]])).await?;
        table.put("in/dt=2026-02-28/b.csv", csv(&[MEANT[1]])).await?;
        table.put("in/dt=2026-03-01/a.csv", csv(&[AFTER])).await?;
        // Four o'clock in Berlin.
        let first = input(world, "2026-03-01T03:00:00Z")?;
        let answer = world.invoke(Function::BulkLoader, &first).await?;
        ensure!(
            answer[0]["s3_path"] == "s3://e2e-daily/in/dt=2026-02-28/" && answer[0]["new_objects"] == 2,
            "{answer}"
        );
        table.rest_with(&rows(&MEANT)).await?;
        // The same invocation again, whenever that is.
        let answer = world.invoke(Function::BulkLoader, &first).await?;
        ensure!(answer[0]["new_objects"] == 0 && answer[0]["objects"] == 2, "{answer}");
        let answer = world.invoke(Function::BulkLoader, &input(world, "2026-03-02T03:00:00Z")?).await?;
        ensure!(answer[0]["new_objects"] == 1, "{answer}");
        table.rest_with(&rows(&[MEANT[0], MEANT[1], AFTER])).await
    });
}
