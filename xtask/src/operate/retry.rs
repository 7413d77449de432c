//! `cargo xtask retry` and `dismiss`: load quarantined files again, or remove them from quarantine.

use anyhow::Result;
use clap::Args;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Quarantined;
use loader_core::tracker::operator;
use serde_json::json;

use crate::ground::ask;
use crate::ground::clock::now_millis;
use crate::ground::output::{Failure, counted};
use crate::operate::act::{ActArgs, Operator, when};
use crate::operate::tables::one_line;

/// Maximum number of characters of an error text in an audit record.
const ERROR_CHARACTERS_MAX: usize = 400;

/// `cargo xtask retry`
#[derive(Args, Debug)]
pub struct RetryArgs {
    /// Table: `schema.table`, or as `status` names it
    table: String,
    /// Also retry files that may have been loaded already: check the table first, or rows could be duplicated
    #[arg(long)]
    outcome_unknown: bool,
    /// Do not ask for confirmation, which only --outcome-unknown needs
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    act: ActArgs,
}

/// `cargo xtask dismiss`
#[derive(Args, Debug)]
pub struct DismissArgs {
    /// Table: `schema.table`, or as `status` names it
    table: String,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    act: ActArgs,
}

/// The quarantine of one table; an error if it is empty.
async fn quarantine(operator: &Operator, name: &str) -> Result<(String, Vec<Quarantined>)> {
    let table = operator.tables.named(name).await?;
    let found = operator.tables.tracker.quarantine(&table).await?;
    if found.is_empty() {
        let message = format!("no file of `{table}` is in quarantine");
        return Err(Failure::usage(message, "cargo xtask status shows what is in quarantine").into());
    }
    Ok((table, found))
}

fn unchanged(n_objects: usize) -> String {
    format!("nothing was changed: {} in quarantine", counted(n_objects, "file"))
}

fn n_objects(quarantined: &[Quarantined]) -> usize {
    quarantined.iter().map(|failed| failed.objects.len()).sum()
}

pub async fn run(args: &RetryArgs) -> Result<()> {
    let operator = Operator::new(&args.act).await?;
    let (table, found) = quarantine(&operator, &args.table).await?;
    let is_unknown = |failed: &Quarantined| failed.class == FailureClass::OutcomeUnknown;
    let (wanted, left): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|failed| args.outcome_unknown || !is_unknown(failed));
    let (n_wanted, n_left) = (n_objects(&wanted), n_objects(&left));
    let n_unknown: usize = wanted.iter().filter(|failed| is_unknown(failed)).map(|failed| failed.objects.len()).sum();
    let what =
        format!("load {} of {table} again, each quarantine entry on its own", counted(n_wanted, "quarantined file"));
    let (mut n_back, mut now) = (0, false);
    if operator.will(&what) {
        if n_unknown > 0 {
            let question = format!(
                "Load {} although their outcome is unknown? Rows that are already in the table would be duplicated.",
                counted(n_unknown, "file")
            );
            ask::confirm(operator.out, args.yes, &question, unchanged(n_wanted))?;
        }
        n_back = send_back(&operator, &wanted).await?;
        now = n_back > 0 && operator.look_now(&table).await?;
        operator.out.ok(format!("returned {} to the backlog; loading starts {}", counted(n_back, "file"), when(now)));
        if n_back < n_wanted {
            let n_taken = n_wanted - n_back;
            operator.out.line(format!(
                "   skipped {}: uploaded again since, or retried by someone else",
                counted(n_taken, "file")
            ));
        }
    }
    if n_left > 0 {
        operator.out.line(format!("   left in quarantine: {} of unknown outcome; check whether their rows are in the table, then add --outcome-unknown", counted(n_left, "file")));
    }
    let (n_taken, dry_run) = (if operator.dry_run { 0 } else { n_wanted - n_back }, operator.dry_run);
    operator.out.result(
        &json!({"table": table, "back": n_back, "taken_already": n_taken, "outcome_unknown": n_left, "dry_run": dry_run, "at_once": now}),
    )
}

/// Returns the number of files that are now in the backlog.
async fn send_back(operator: &Operator, wanted: &[Quarantined]) -> Result<usize> {
    let mut n_back = 0;
    for failed in wanted {
        if operator.write(operator::retry(failed, now_millis()), "retry", &what(failed)).await? {
            n_back += failed.objects.len();
        }
    }
    Ok(n_back)
}

/// The text of the audit record: what was in quarantine, and why, because nothing else keeps that.
fn what(failed: &Quarantined) -> String {
    let more = if failed.objects.len() > 1 { ", …" } else { "" };
    let first = failed.objects.first().map(|waiting| waiting.object.to_string()).unwrap_or_default();
    let error: String = one_line(&failed.error).chars().take(ERROR_CHARACTERS_MAX).collect();
    format!("{}, {}: {first}{more}: {error}", counted(failed.objects.len(), "file"), failed.class.name())
}

pub async fn dismiss(args: &DismissArgs) -> Result<()> {
    let operator = Operator::new(&args.act).await?;
    let (table, found) = quarantine(&operator, &args.table).await?;
    let n_objects = n_objects(&found);
    let mut dismissed = Vec::new();
    if operator.will(&format!("remove {} of {table} from quarantine without loading", counted(n_objects, "file"))) {
        let question = format!(
            "Discard {} of {table}? These versions will never be loaded.",
            counted(n_objects, "quarantined file")
        );
        ask::confirm(operator.out, args.yes, &question, unchanged(n_objects))?;
        for failed in found {
            if operator.write(operator::dismiss(&failed), "dismiss", &what(&failed)).await? {
                dismissed.extend(failed.objects.iter().map(|waiting| waiting.object.to_string()));
            }
        }
        for object in &dismissed {
            operator.out.line(format!("   {object}"));
        }
        let out = operator.out;
        out.ok(format!("removed {} from quarantine", counted(dismissed.len(), "file")));
    }
    operator.out.result(&json!({"table": table, "dismissed": dismissed, "dry_run": operator.dry_run}))
}
