//! `cargo xtask pause` and `unpause`: stop and resume loading a table, without a deployment.

use anyhow::Result;
use loader_core::ids::DbTable;
use loader_core::tracker::operator;
use loader_core::tracker::slot::{Pause, Slot};
use serde_json::json;

use crate::ground::clock::now_millis;
use crate::ground::output::{Failure, short_age};
use crate::operate::act::{Operator, TableArgs, when};
use crate::operate::tables::step;

/// `cargo xtask pause`
pub async fn pause(args: &TableArgs) -> Result<()> {
    let (operator, table) = Operator::of_table(args).await?;
    let slot = operator.tables.tracker.slot(&table).await?;
    if let Some(pause) = &slot.pause {
        return Err(already(&table, pause).into());
    }
    let running = slot.load.as_ref().map(|load| format!("; load {} is {}", load.load_id, step(&load.step)));
    let what = format!(
        "pause {table}: new files are recorded and wait; a submitted load still completes{}",
        running.unwrap_or_default()
    );
    if operator.will(&what) {
        let key = DbTable(table.clone());
        let pause = Pause { by: operator.by.clone(), since_millis: now_millis(), reason: operator.reason.clone() };
        let change = |slot: &Slot| match &slot.pause {
            Some(pause) => Err(already(&table, pause).into()),
            None => Ok(operator::pause(&key, slot, pause.clone()).expect("it is not paused")),
        };
        operator.change_slot(&table, "pause", "all loads", change).await?;
        operator.out.ok(format!(
            "{table} is paused; to resume: cargo xtask unpause {}{}",
            args.table,
            operator.tables.flags()
        ));
    }
    operator.out.result(&json!({"table": table, "paused": !operator.dry_run, "dry_run": operator.dry_run}))
}

/// `cargo xtask unpause`
pub async fn unpause(args: &TableArgs) -> Result<()> {
    let (operator, table) = Operator::of_table(args).await?;
    let slot = operator.tables.tracker.slot(&table).await?;
    let Some(pause) = &slot.pause else { return Err(not_paused(&table).into()) };
    let since = short_age(now_millis() - pause.since_millis);
    let what = format!("resume {table}, which {} paused {since} ago", pause.by);
    let mut now = false;
    if operator.will(&what) {
        let key = DbTable(table.clone());
        let change = |slot: &Slot| operator::unpause(&key, slot).ok_or_else(|| not_paused(&table).into());
        operator.change_slot(&table, "unpause", "all loads", change).await?;
        now = operator.look_now(&table).await?;
        operator.out.ok(format!("loading of {table} resumes {}", when(now)));
    }
    operator
        .out
        .result(&json!({"table": table, "paused": operator.dry_run, "dry_run": operator.dry_run, "at_once": now}))
}

fn already(table: &str, pause: &Pause) -> Failure {
    let since = short_age(now_millis() - pause.since_millis);
    let message = format!("`{table}` is already paused, by {} {since} ago", pause.by);
    Failure::usage(message, "to resume it: cargo xtask unpause")
}

fn not_paused(table: &str) -> Failure {
    let hint =
        "cargo xtask status shows what is paused; to change `load.paused` in a queue's file, edit the file and deploy";
    Failure::usage(format!("no operator has paused `{table}`"), hint)
}
