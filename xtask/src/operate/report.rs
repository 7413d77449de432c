//! `cargo xtask report`: what happened to all tables in a period, as a short text, as JSON or as a web page.
//!
//! Reads the tracker as `status`, `history` and `cost` do. `figures` counts, `show` prints, and `page` draws.

mod figures;
mod page;
mod show;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use synth::workspace;

use crate::ground::aws::Aws;
use crate::ground::clock::{now_millis, period};
use crate::ground::output::{Failure, Format, Out, size};
use crate::ground::stack::Stack;
use crate::ground::stack_args::StackArgs;
use crate::loader::tracker::Tracker;
use crate::operate::cost::prices;
use crate::operate::records::{Act, Load};
use crate::operate::report::figures::{Report, TableStory};
use crate::operate::schema::SchemaArgs;
use crate::operate::status::{self, TableReport};
use crate::operate::tables::Tables;

/// Additional text of `--help`.
pub const HELP: &str = "\
The page is a single file that opens offline, loads nothing, needs no script, and follows the browser's dark mode. It shows each
table's loads over time, the freshness of its files, files, rows and bytes per day, failures with their reasons, operators'
commands, and the cost of the period. It says what it leaves out if there is too much to draw; the JSON contains everything.

A load belongs to the period in which it ended. Files in quarantine are shown however long they have been there. Loads are kept
for 90 days. The JSON is described by docs/schema/report.schema.json.

Examples:
  cargo xtask report --local
  cargo xtask report --since 7d --html report.html
  cargo xtask report --output json | jq '.tables[] | {table: .now.table, totals}'";

/// Number of tables read concurrently.
const AT_ONCE: usize = 16;

/// `cargo xtask report`
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// How far back: a number followed by s, m, h or d
    #[arg(long, value_name = "PERIOD", default_value = "24h", value_parser = period)]
    since: i64,
    /// Also write the web page to this file, replacing it if it exists
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    stack: StackArgs,
}

pub async fn run(args: &ReportArgs) -> Result<()> {
    if args.schema.is_printed::<Report>() {
        return Ok(());
    }
    let out = args.stack.out();
    let tables = Tables::of_stack(&args.stack).await?;
    let report = read(out, &tables, args.since).await?;
    for line in show::lines(out, &report) {
        out.line(line);
    }
    if let Some(path) = &args.html {
        write(out, &report, path)?;
    }
    out.result(&report)
}

/// Reads what happened in the last `since_millis` and writes the page, for commands that end with one.
pub async fn draw(aws: Aws, stack: Stack, since_millis: i64, path: PathBuf) -> Result<()> {
    let out = Out::new(Format::Text);
    let tracker = Tracker::of_stack(&aws, &stack)?;
    let report = read(out, &Tables { aws, stack, tracker }, since_millis).await?;
    write(out, &report, &path)
}

/// Reads the current state of each table first, so that a load that ends in the meantime is not missed.
async fn read(out: Out, tables: &Tables, since_millis: i64) -> Result<Report> {
    let step = out.step("reading what happened");
    let since = now_millis() - since_millis;
    let (now, prices) = (status::reports(tables, None).await?, prices(tables).await?);
    let tracker = &tables.tracker;
    let stories = stream::iter(now).map(|now| story(tracker, since, now)).buffered(AT_ONCE).try_collect().await?;
    drop(step);
    Ok(Report::new(&tables.stack.name, since..=now_millis(), stories, &prices))
}

async fn story(tracker: &Tracker, since: i64, now: TableReport) -> Result<TableStory> {
    let Some(table) = &now.table else { return Ok(TableStory::new(now, Vec::new(), Vec::new())) };
    let times = since..=i64::MAX;
    let (loads, acts) = tokio::try_join!(tracker.loaded(table, times.clone()), tracker.audits(table, times))?;
    Ok(TableStory::new(now, loads.iter().map(Load::from).collect(), acts.iter().map(Act::from).collect()))
}

fn write(out: Out, report: &Report, path: &Path) -> Result<()> {
    let page = page::page(report);
    if path.is_dir() {
        let message = format!("`{}` is a folder", path.display());
        return Err(Failure::usage(message, "name a file, for example report.html").into());
    }
    std::fs::write(path, &page).with_context(|| format!("cannot write `{}`", path.display()))?;
    let n_bytes = u64::try_from(page.len()).unwrap_or(u64::MAX);
    out.ok(format!("{} ({}): open it in a browser", workspace::shown(path), size(n_bytes)));
    Ok(())
}
