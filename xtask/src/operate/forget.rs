//! `cargo xtask forget`: removes object versions from the ledger, so that they can be loaded again into a truncated table.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use loader_core::ids::{DbTable, ObjectVersion};
use loader_core::tracker::item::LedgerEntry;
use loader_core::tracker::operator::{self, FORGOTTEN_MAX, InUse};
use loader_core::tracker::write::Transaction;
use serde_json::json;

use crate::ground::ask;
use crate::ground::output::{Failure, counted};
use crate::operate::act::{ActArgs, Operator, busy};
use crate::operate::objects::Objects;
use crate::operate::tables::short_name;

/// Maximum number of object versions to print.
const SHOWN_MAX: usize = 3;
/// Number of attempts for a transaction that conflicts with the table's loads.
const TRIES_MAX: u32 = 10;
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// `cargo xtask forget`
#[derive(Args, Debug)]
pub struct ForgetArgs {
    /// Object: `s3://bucket/key`; a key that ends in `/` or `*` means every object with that prefix
    objects: String,
    /// Table, if several tables loaded these objects: `schema.table`, or as `status` names it
    #[arg(long)]
    table: Option<String>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    act: ActArgs,
}

pub async fn run(args: &ForgetArgs) -> Result<()> {
    let objects = Objects::parse(&args.objects)?;
    let operator = Operator::new(&args.act).await?;
    let (table, entries) = find(&operator, args, &objects).await?;
    // Check first, so that nothing is begun that cannot be completed.
    attempt(&operator, &table, &entries[..entries.len().min(FORGOTTEN_MAX)]).await?;
    let n_entries = entries.len();
    let mut n_forgotten = 0;
    for entry in entries.iter().take(SHOWN_MAX) {
        operator.out.line(format!("   {}", entry.object));
    }
    if operator.will(&format!(
        "remove {} from the ledger of {table}; this alone loads nothing",
        counted(n_entries, "object version")
    )) {
        let question = format!(
            "Remove them? If their rows are still in {table}, loading them again duplicates those rows (unless the table merges)."
        );
        ask::confirm(operator.out, args.yes, &question, "nothing was removed from the ledger")?;
        for chunk in entries.chunks(FORGOTTEN_MAX) {
            forget(&operator, &table, &args.objects, chunk).await?;
            n_forgotten += chunk.len();
        }
        let out = operator.out;
        out.ok(format!("{} can be loaded again", counted(n_forgotten, "object version")));
        out.line("   next: cargo xtask backfill QUEUE, or upload the files again");
    }
    let named: Vec<String> = entries.iter().map(|entry| entry.object.to_string()).collect();
    operator
        .out
        .result(&json!({"table": table, "objects": named, "forgotten": n_forgotten, "dry_run": operator.dry_run}))
}

/// The one table that is meant, and its ledger entries of the objects.
async fn find(operator: &Operator, args: &ForgetArgs, objects: &Objects) -> Result<(String, Vec<LedgerEntry>)> {
    let tables = match &args.table {
        Some(name) => [operator.tables.named(name).await?].into(),
        None => operator.tables.known().await?,
    };
    let mut found: BTreeMap<String, Vec<LedgerEntry>> = BTreeMap::new();
    for table in tables {
        let step = operator.out.step(format!("reading the ledger of {table}"));
        let entries = operator.tables.tracker.ledger(&table, &objects.bucket, &objects.keys).await?;
        drop(step);
        if !entries.is_empty() {
            found.insert(table, entries);
        }
    }
    let several: Vec<String> = found.keys().cloned().collect();
    match (found.pop_first(), several.len()) {
        (Some(one), 1) => Ok(one),
        (None, _) => {
            let message = format!("`{}` is in no ledger", args.objects);
            Err(Failure::usage(
                message,
                format!("nothing keeps it from loading; cargo xtask trace {} says what became of it", args.objects),
            )
            .into())
        }
        (Some(_), _) => {
            let message = format!("`{}` is in the ledgers of several tables", args.objects);
            Err(Failure::usage(message, format!("add --table with one of these: {}", several.join(", "))).into())
        }
    }
}

async fn forget(operator: &Operator, table: &str, objects: &str, entries: &[LedgerEntry]) -> Result<()> {
    let what = format!("{objects}: {}", counted(entries.len(), "object version"));
    for _ in 0..TRIES_MAX {
        let transaction = attempt(operator, table, entries).await?;
        if operator.write(transaction, "forget", &what).await? {
            return Ok(());
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    Err(busy(table).into())
}

/// The transaction, from the table's current state.
async fn attempt(operator: &Operator, table: &str, entries: &[LedgerEntry]) -> Result<Transaction> {
    let state = operator.tables.tracker.state(table).await?;
    let quarantine = operator.tables.tracker.quarantine(table).await?;
    let transaction = operator::forget(&DbTable(table.to_owned()), &state, &quarantine, entries);
    transaction.map_err(|in_use| refused(table, &in_use).into())
}

fn refused(table: &str, in_use: &BTreeMap<ObjectVersion, InUse>) -> Failure {
    let named = in_use.iter().take(SHOWN_MAX).map(|(object, why)| format!("{object} {}", use_of(*why)));
    let more = if in_use.len() > SHOWN_MAX { ", …" } else { "" };
    let message =
        format!("{} of these objects are in use: {}{more}", in_use.len(), named.collect::<Vec<_>>().join(", "));
    let short = short_name(table);
    Failure::new(
        message,
        format!(
            "wait until they have loaded (cargo xtask status), or run cargo xtask dismiss {short} for those in quarantine; then run the same command again"
        ),
    )
}

const fn use_of(why: InUse) -> &'static str {
    match why {
        InUse::Waits => "is waiting",
        InUse::Runs => "is in the running load",
        InUse::Quarantined => "is in quarantine",
    }
}
