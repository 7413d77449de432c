//! `cargo xtask status`: one line per table, with its problems and what to do.
//!
//! `read` reads the tracker and the queues, `judge` decides what that means, `show` prints it, and `report` defines the JSON.

mod judge;
mod read;
mod report;
mod show;

use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::ground::clock::{month_began, now_millis};
use crate::ground::output::{Failure, Out};
use crate::ground::stack_args::StackArgs;
use crate::operate::cost;
use crate::operate::schema::SchemaArgs;
pub use crate::operate::status::report::{Health, State, TableReport};
#[cfg(test)]
pub use crate::operate::status::report::{Queue, Running};
use crate::operate::tables::Tables;

/// Additional text of `--help`.
pub const HELP: &str = "\
Columns: health; target table; state; age of the oldest waiting file; waiting files and bytes; running statement, and for how
long; time since the last load; freshness of the last hour (90 % of the files were loaded within this time of being created);
files in quarantine; messages in dead-letter queues. Below a line: what is wrong, and what to do.

Late: a file has waited longer than its queue's `load.alarm_after_seconds` or, without that field, ten minutes longer than it
waits on purpose. Broken: files in quarantine, a load that waits for an operator, messages in a dead-letter queue, or a
configuration that cannot be read.

Exit codes: 0 healthy, 4 late, 5 broken; 1 the state could not be read, 2 wrong command line.
The JSON is described by docs/schema/status.schema.json.

Examples:
  cargo xtask status --local
  cargo xtask status --watch
  cargo xtask status --output json | jq '.[] | select(.health != \"healthy\")'";

const WATCH_PAUSE: Duration = Duration::from_secs(2);
/// Terminal codes: move to the upper left corner, clear the rest of the line, clear everything below.
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// `cargo xtask status`
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Only this table: `schema.table`, or as `status` names it
    table: Option<String>,
    /// Refresh every two seconds, in place, until Ctrl-C; on a terminal only
    #[arg(long, short, conflicts_with = "output")]
    watch: bool,
    /// Also print what loading has cost each warehouse this month (UTC); as JSON: `cargo xtask cost`
    #[arg(long, conflicts_with_all = ["watch", "output"])]
    cost: bool,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    stack: StackArgs,
}

pub async fn run(args: &StatusArgs) -> Result<ExitCode> {
    let out = args.stack.out();
    if args.schema.is_printed::<Vec<TableReport>>() {
        return Ok(ExitCode::SUCCESS);
    }
    if args.watch && !std::io::stdout().is_terminal() {
        let remedy = "leave --watch out, or run it on a terminal";
        return Err(Failure::usage("--watch redraws a terminal, and standard output is not one", remedy).into());
    }
    let tables = Tables::of_stack(&args.stack).await?;
    let only = match &args.table {
        Some(name) => Some(tables.named(name).await?),
        None => None,
    };
    if args.watch {
        return watch(out, &tables, only.as_deref()).await;
    }
    let reports = reports(&tables, only.as_deref()).await?;
    for line in show::lines(out, &reports, now_millis()) {
        out.line(line);
    }
    if args.cost {
        out.line("\nthis month");
        for line in cost::lines(out, &cost::since(&tables, month_began(now_millis())).await?) {
            out.line(line);
        }
    }
    out.result(&reports)?;
    let worst = reports.iter().map(|report| report.health).max().unwrap_or(Health::Healthy);
    Ok(ExitCode::from(worst.exit_code()))
}

/// The current state of every table, or of `only` this one.
pub async fn reports(tables: &Tables, only: Option<&str>) -> Result<Vec<TableReport>> {
    let facts = read::read(tables, only).await?;
    let flags = tables.flags();
    Ok(facts.into_iter().map(|facts| judge::judge(facts, &flags, now_millis())).collect())
}

async fn watch(out: Out, tables: &Tables, only: Option<&str>) -> Result<ExitCode> {
    print!("{HOME}{CLEAR_BELOW}");
    loop {
        let mut frame = String::from(HOME);
        let lines = match reports(tables, only).await {
            Ok(reports) => show::lines(out, &reports, now_millis()),
            // A single failed call is no reason to stop watching.
            Err(error) => vec![format!("{} {error:#}", out.bad("error:"))],
        };
        for line in lines {
            frame.extend([line.as_str(), CLEAR_LINE, "\n"]);
        }
        print!("{frame}{}{CLEAR_LINE}{CLEAR_BELOW}", out.dim("every two seconds; Ctrl-C ends"));
        std::io::stdout().flush()?;
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}
