//! `cargo xtask retry` and `dismiss`: quarantined files once more, or no more.

use anyhow::Result;
use clap::Args;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Quarantined;
use loader_core::tracker::operator;
use serde_json::json;

use crate::ground::ask::agrees;
use crate::ground::aws::AwsArgs;
use crate::ground::clock::now_millis;
use crate::ground::output::{Failure, Format, Out};
use crate::ground::stack_name::STACK_NAME_DEFAULT;
use crate::loader::tracker::Tracker;
use crate::operate::tables::Tables;

/// `cargo xtask retry`
#[derive(Args, Debug)]
pub struct RetryArgs {
    /// Table: `schema.table`, or as `status` names it
    table: String,
    /// Name of the stack
    #[arg(long, default_value = STACK_NAME_DEFAULT)]
    stack_name: String,
    /// Also files of which nobody knows whether they were loaded: check the table first, or rows may be there twice
    #[arg(long)]
    outcome_unknown: bool,
    #[command(flatten)]
    aws: AwsArgs,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// `cargo xtask dismiss`
#[derive(Args, Debug)]
pub struct DismissArgs {
    /// Table: `schema.table`, or as `status` names it
    table: String,
    /// Name of the stack
    #[arg(long, default_value = STACK_NAME_DEFAULT)]
    stack_name: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    aws: AwsArgs,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// The quarantine of one table.
struct Quarantine {
    tracker: Tracker,
    table: String,
    found: Vec<Quarantined>,
}

impl Quarantine {
    /// It holds something.
    async fn read(args: &AwsArgs, stack_name: &str, name: &str) -> Result<Self> {
        let tables = Tables::of_stack(args, stack_name).await?;
        let table = tables.named(name).await?;
        let tracker = tables.tracker;
        let found = tracker.quarantine(&table).await?;
        if found.is_empty() {
            let message = format!("nothing of `{table}` is in quarantine");
            return Err(Failure::usage(message, "cargo xtask status names the tables and what is in quarantine").into());
        }
        Ok(Self { tracker, table, found })
    }
}

pub async fn run(args: &RetryArgs) -> Result<()> {
    let out = Out::new(args.output);
    let Quarantine { tracker, table, found } = Quarantine::read(&args.aws, &args.stack_name, &args.table).await?;
    let (mut n_back, mut n_left, mut n_taken) = (0, 0, 0);
    for failed in found {
        if failed.class == FailureClass::OutcomeUnknown && !args.outcome_unknown {
            n_left += failed.objects.len();
            continue;
        }
        if tracker.write(&operator::retry(&failed, now_millis())).await? {
            n_back += failed.objects.len();
        } else {
            n_taken += failed.objects.len();
        }
    }
    out.line(format!(
        "{} {n_back} files are back in the backlog; the next sweep, within a minute, loads them",
        out.good("ok")
    ));
    if n_taken > 0 {
        out.line(format!("   {n_taken} files are taken already: uploaded again since, or retried by somebody else"));
    }
    if n_left > 0 {
        out.line(format!("   {n_left} files are left: nobody knows whether they were loaded; look into the table, then add --outcome-unknown"));
    }
    out.result(&json!({"table": table, "back": n_back, "taken_already": n_taken, "outcome_unknown": n_left}))
}

pub async fn dismiss(args: &DismissArgs) -> Result<()> {
    let out = Out::new(args.output);
    let Quarantine { tracker, table, found } = Quarantine::read(&args.aws, &args.stack_name, &args.table).await?;
    let n_objects: usize = found.iter().map(|quarantined| quarantined.objects.len()).sum();
    let question = format!("Forget {n_objects} quarantined files of {table}? They are not loaded.");
    if !args.yes && !agrees(out, &question) {
        return Err(Failure::refused(format!("{n_objects} files stay in quarantine"), "add --yes to agree").into());
    }
    let mut dismissed = Vec::new();
    for quarantined in found {
        if tracker.write(&operator::dismiss(&quarantined)).await? {
            dismissed.extend(quarantined.objects.iter().map(|waiting| waiting.object.to_string()));
        }
    }
    for object in &dismissed {
        out.line(format!("   {object}"));
    }
    out.line(format!("{} {} files are out of quarantine, not loaded", out.good("ok"), dismissed.len()));
    out.result(&json!({"table": table, "dismissed": dismissed}))
}
