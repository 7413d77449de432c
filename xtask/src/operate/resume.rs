//! `cargo xtask resume`: a table that waits after a failure is tried at the next sweep, whatever its waiting period says.

use anyhow::{Context, Result};
use clap::Args;
use loader_core::tracker::operator;
use loader_core::tracker::slot::{RunningLoad, Step};
use serde_json::json;

use crate::ground::aws::AwsArgs;
use crate::ground::clock::now_millis;
use crate::ground::output::{Failure, Format, Out};
use crate::ground::stack_name::STACK_NAME_DEFAULT;
use crate::operate::tables::{Tables, step};

/// Who wrote, in the tracker's words.
const HOLDER: &str = "operator";

/// `cargo xtask resume`
#[derive(Args, Debug)]
pub struct ResumeArgs {
    /// Table: `schema.table`, or as `status` names it
    table: String,
    /// Name of the stack
    #[arg(long, default_value = STACK_NAME_DEFAULT)]
    stack_name: String,
    #[command(flatten)]
    aws: AwsArgs,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

pub async fn run(args: &ResumeArgs) -> Result<()> {
    let out = Out::new(args.output);
    let tables = Tables::of_stack(&args.aws, &args.stack_name).await?;
    let table = tables.named(&args.table).await?;
    let slot = tables.tracker.slot(&table).await?;
    let running = match &slot.load {
        Some(running) if waits(running) => running,
        Some(running) => return Err(does_not_wait(&table, &step(&running.step)).into()),
        None => return Err(does_not_wait(&table, "no load of it is under way").into()),
    };
    let now = now_millis();
    let transaction = operator::resume(&slot, HOLDER, now).context("it waits")?;
    if !tables.tracker.write(&transaction).await? {
        let message = format!("`{table}` went on by itself in this moment");
        return Err(Failure::new(message, "cargo xtask status shows how far it is").into());
    }
    let load = &running.load_id;
    out.line(format!("{} load {load} is tried by the next sweep, within a minute", out.good("ok")));
    out.line(format!("   it was {}", step(&running.step)));
    out.result(&json!({"table": table, "load_id": load.0, "attempt": running.attempt, "was": step(&running.step)}))
}

/// A prepared load waits while its submit is refused; otherwise an invocation works on it.
fn waits(running: &RunningLoad) -> bool {
    match &running.step {
        Step::Waiting { .. } => true,
        Step::Prepared(prepared) => prepared.refusals > 0,
        Step::Claimed | Step::Submitted { .. } | Step::GivenUp { .. } => false,
    }
}

fn does_not_wait(table: &str, why: &str) -> Failure {
    Failure::usage(
        format!("`{table}` does not wait after a failure: {why}"),
        "cargo xtask status names the tables and what each does",
    )
}
