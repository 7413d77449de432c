//! `cargo xtask resume`: lets a waiting table try again now.

use anyhow::{Context, Result};
use loader_core::tracker::operator;
use loader_core::tracker::slot::{RunningLoad, Slot, Step};
use serde_json::json;

use crate::ground::clock::now_millis;
use crate::ground::output::{Failure, counted};
use crate::operate::act::{HOLDER, Operator, TableArgs, when};
use crate::operate::tables::step;

const COMMAND: &str = "resume";

/// `cargo xtask resume`
pub async fn run(args: &TableArgs) -> Result<()> {
    let (operator, table) = Operator::of_table(args).await?;
    let state = operator.tables.tracker.state(&table).await?;
    if let Some(pause) = &state.slot.pause {
        let message = format!("`{table}` is paused by {}", pause.by);
        return Err(
            Failure::usage(message, format!("cargo xtask unpause {}{}", args.table, operator.tables.flags())).into()
        );
    }
    let Some(load) = &state.slot.load else {
        if state.backlog.is_empty() {
            return Err(nothing_waits(&table).into());
        }
        return look(
            &operator,
            &table,
            &format!("{}, and no load is running", counted(state.backlog.len(), "pending load")),
        )
        .await;
    };
    if !waits(load) {
        return look(&operator, &table, &format!("load {} is {}", load.load_id, step(&load.step))).await;
    }
    retry(&operator, &table, &state.slot, load).await
}

/// Has the table checked: files are waiting without a load, or its load does not wait for a time. An event may be lost, or a function
/// killed.
async fn look(operator: &Operator, table: &str, how: &str) -> Result<()> {
    let what = format!("check {table}: {how}");
    let now = operator.will(&what) && operator.look_now(table).await?;
    if !operator.dry_run {
        operator.note(table, COMMAND, &what).await?;
        operator.out.ok(format!("it is checked {}", when(now)));
    }
    operator.out.result(&json!({"table": table, "load_id": null, "dry_run": operator.dry_run, "at_once": now}))
}

async fn retry(operator: &Operator, table: &str, slot: &Slot, load: &RunningLoad) -> Result<()> {
    let (load_id, was) = (&load.load_id, step(&load.step));
    let what = format!("retry load {load_id} of {table} now; attempt {} is {was}", load.attempt);
    let mut now = false;
    if operator.will(&what) {
        let transaction = operator::resume(slot, HOLDER, now_millis()).context("it waits")?;
        operator.write_load(table, transaction, COMMAND, &format!("load {load_id}, {was}")).await?;
        now = operator.look_now(table).await?;
        operator.out.ok(format!("load {load_id} is retried {}", when(now)));
    }
    let (attempt, dry_run) = (load.attempt, operator.dry_run);
    operator.out.result(
        &json!({"table": table, "load_id": load_id.0, "attempt": attempt, "was": was, "dry_run": dry_run, "at_once": now}),
    )
}

/// A prepared load waits while its submit is refused; otherwise an invocation is working on it.
fn waits(load: &RunningLoad) -> bool {
    match &load.step {
        Step::Waiting { .. } => true,
        Step::Prepared(prepared) => prepared.refusals > 0,
        Step::Claimed | Step::Submitted { .. } | Step::GivenUp { .. } => false,
    }
}

fn nothing_waits(table: &str) -> Failure {
    let message = format!("no file of `{table}` is waiting, so there is nothing to resume");
    Failure::usage(message, "cargo xtask status shows what each table is doing")
}
