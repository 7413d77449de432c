//! `cargo xtask cancel`: cancels a table's running statement. The loader sends the request, because the Data API accepts it only from the
//! role that submitted the statement.

use anyhow::{Context, Result};
use loader_core::tracker::operator;
use loader_core::tracker::slot::Step;
use serde_json::json;

use crate::ground::clock::now_millis;
use crate::ground::output::Failure;
use crate::operate::act::{HOLDER, Operator, TableArgs, when};
use crate::operate::tables::step;

const COMMAND: &str = "cancel";

/// `cargo xtask cancel`
pub async fn run(args: &TableArgs) -> Result<()> {
    let (operator, table) = Operator::of_table(args).await?;
    let slot = operator.tables.tracker.slot(&table).await?;
    let load = match &slot.load {
        Some(load) if matches!(load.step, Step::Submitted { .. }) => load,
        Some(load) => return Err(nothing_runs(&table, &step(&load.step)).into()),
        None => return Err(nothing_runs(&table, "no load is in progress").into()),
    };
    if load.source.recorded.limits.timeout_minutes.is_none() {
        operator
            .out
            .note("the loader's role may cancel statements only if a queue of the stack sets `load.timeout_minutes`");
    }
    let (load_id, was) = (&load.load_id, step(&load.step));
    let what = format!(
        "cancel the statement of load {load_id} of {table}, {was}; the load is repeated after a wait, unless the table is paused"
    );
    let mut now = false;
    if operator.will(&what) {
        let transaction = operator::cancel(&slot, HOLDER, now_millis()).context("a statement runs")?;
        operator.write_load(&table, transaction, COMMAND, &format!("load {load_id}, {was}")).await?;
        now = operator.look_now(&table).await?;
        operator.out.ok(format!("the statement is cancelled {}", when(now)));
    }
    operator
        .out
        .result(&json!({"table": table, "load_id": load_id.0, "was": was, "dry_run": operator.dry_run, "at_once": now}))
}

fn nothing_runs(table: &str, why: &str) -> Failure {
    Failure::usage(format!("no statement of `{table}` is running: {why}"), "cargo xtask status shows what is running")
}
