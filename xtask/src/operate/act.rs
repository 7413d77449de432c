//! The common parts of commands that change something: they print what will happen, stop there in a dry run, ask if rows could be
//! duplicated, write together with an audit record, and have the table reconciled afterwards.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use loader_core::ids::DbTable;
use loader_core::settings::Timing;
use loader_core::tracker::operator::{Act, audited, noted};
use loader_core::tracker::slot::Slot;
use loader_core::tracker::write::Transaction;

use crate::ground::clock::now_millis;
use crate::ground::output::{Failure, Out};
use crate::ground::stack_args::StackArgs;
use crate::loader::invoke;
use crate::operate::tables::Tables;

/// Number of attempts for a write that conflicts with the table's loads.
const TRIES_MAX: u32 = 10;
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// The holder that these commands write to the tracker. It never submits a load, so it need not be unique.
pub const HOLDER: &str = "operator";

/// Arguments of every command that changes something.
#[derive(Args, Debug)]
pub struct ActArgs {
    /// Reason, for the audit record that `history` shows
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    stack: StackArgs,
}

/// Arguments of a command that changes one table.
#[derive(Args, Debug)]
pub struct TableArgs {
    /// Table: `schema.table`, or as `status` names it
    pub table: String,
    #[command(flatten)]
    act: ActArgs,
}

/// An operator's change in progress.
pub struct Operator {
    pub out: Out,
    pub tables: Tables,
    /// ARN of the operator.
    pub by: String,
    pub reason: Option<String>,
    /// Whether to change nothing.
    pub dry_run: bool,
}

impl Operator {
    pub async fn new(args: &ActArgs) -> Result<Self> {
        let out = args.stack.out();
        let tables = Tables::of_stack(&args.stack).await?;
        let by = tables.aws.caller().await?;
        Ok(Self { out, tables, by, reason: args.reason.clone(), dry_run: args.dry_run })
    }

    /// Also returns the table that the command line names.
    pub async fn of_table(args: &TableArgs) -> Result<(Self, String)> {
        let operator = Self::new(&args.act).await?;
        let table = operator.tables.named(&args.table).await?;
        Ok((operator, table))
    }

    /// Prints what will happen. Returns `false` in a dry run.
    pub fn will(&self, what: &str) -> bool {
        if self.dry_run {
            self.out.line(format!("would {what}; nothing is changed (--dry-run)"));
        } else {
            self.out.line(format!("   will {what}"));
        }
        !self.dry_run
    }

    /// Writes a transaction with its audit record. Returns `false` if it was refused because the items have changed.
    pub async fn write(&self, transaction: Transaction, command: &str, what: &str) -> Result<bool> {
        self.tables.tracker.write(&audited(transaction, &self.act(command, what))).await
    }

    /// Writes a change of the running load, with its audit record. Fails if the load has changed in the meantime.
    pub async fn write_load(&self, db_table: &str, transaction: Transaction, command: &str, what: &str) -> Result<()> {
        if self.write(transaction, command, what).await? {
            return Ok(());
        }
        let message = format!("the load of `{db_table}` continued in the meantime");
        Err(Failure::new(message, "cargo xtask status shows how far it is").into())
    }

    /// Writes only an audit record, of something done outside the tracker.
    pub async fn note(&self, db_table: &str, command: &str, what: &str) -> Result<()> {
        let noted = noted(&DbTable(db_table.to_owned()), &self.act(command, what));
        self.tables.tracker.write(&noted).await.map(drop)
    }

    fn act(&self, command: &str, what: &str) -> Act<'_> {
        Act {
            by: &self.by,
            command: command.to_owned(),
            what: what.to_owned(),
            why: self.reason.clone(),
            now: now_millis(),
            keep_millis: Timing::default().history_millis,
        }
    }

    /// Changes the slot. `change` makes the transaction from the current slot, and is called again if a load has written the slot in the
    /// meantime.
    pub async fn change_slot(
        &self,
        db_table: &str,
        command: &str,
        what: &str,
        change: impl Fn(&Slot) -> Result<Transaction>,
    ) -> Result<()> {
        for _ in 0..TRIES_MAX {
            let slot = self.tables.tracker.slot(db_table).await?;
            if self.write(change(&slot)?, command, what).await? {
                return Ok(());
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
        Err(busy(db_table).into())
    }

    /// Asks NextLoader to reconcile a table now. The sweep does so within a minute anyway, so a failure is only printed. Returns whether it
    /// worked.
    pub async fn look_now(&self, db_table: &str) -> Result<bool> {
        let looked = invoke::look_now(&self.tables.aws, &self.tables.stack, db_table).await;
        if let Err(why) = &looked {
            self.out.note(format!("{why:#}; the sweep comes within a minute"));
        }
        Ok(looked.is_ok())
    }
}

/// The error if the table's loads kept changing the slot.
pub fn busy(db_table: &str) -> Failure {
    let message = format!("loads of `{db_table}` changed it first, {TRIES_MAX} times");
    Failure::new(message, "run the same command again")
}

/// When the table is reconciled, for people.
pub const fn when(now: bool) -> &'static str {
    if now { "now" } else { "within a minute" }
}
