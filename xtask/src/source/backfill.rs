//! `cargo xtask backfill`: loads the files that are already under a queue's source. BulkLoader lists and records them, and continues on its
//! own with a folder that is too large for one invocation. This command sends the requests and shows the progress.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use loader_core::bulk_request::{instant, of_queue};
use loader_core::config::{LoadConfig, SourceFolder};
use loader_core::contract::Function;
use serde_json::{Value, json};

use crate::ground::ask;
use crate::ground::aws::Aws;
use crate::ground::output::{Failure, Out, size};
use crate::ground::stack::Stack;
use crate::ground::stack_args::StackArgs;
use crate::loader::connections::configs::Configs;
use crate::loader::invoke::invoke;
use crate::loader::tracker::Tracker;
use crate::source::folders;

/// Pause between two reads with `--watch`.
const WATCH_PAUSE: Duration = Duration::from_secs(2);

/// `cargo xtask backfill`
#[derive(Args, Debug)]
pub struct BackfillArgs {
    /// Name of the queue
    queue: String,
    /// Folders of its source [default: all of it]
    folders: Vec<String>,
    /// Only objects that were modified since then: 2026-01-31, or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "INSTANT", value_parser = checked)]
    since: Option<String>,
    /// Only objects that were modified before
    #[arg(long, value_name = "INSTANT", value_parser = checked)]
    until: Option<String>,
    #[command(flatten)]
    again: AgainArgs,
    /// Count what would be loaded, and record nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait until everything is loaded
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    #[command(flatten)]
    stack: StackArgs,
}

/// Options for loading again what was loaded before.
#[derive(Args, Debug)]
struct AgainArgs {
    /// Also load files that were loaded before, after a truncate; rows that are still in the table are duplicated unless it merges
    #[arg(long)]
    force: bool,
    /// With --force: the time of the truncate; files loaded since then are skipped [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = checked, requires = "force")]
    loaded_before: Option<String>,
    /// With --force: reason, for the audit record that `history` shows
    #[arg(long, value_name = "TEXT", requires = "force")]
    reason: Option<String>,
    /// With --force: do not ask for confirmation
    #[arg(long, short, requires = "force")]
    yes: bool,
}

fn checked(text: &str) -> Result<String, String> {
    instant(text).map(|_| text.to_owned())
}

/// The counts that BulkLoader returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sum {
    objects: u64,
    bytes: u64,
    new_objects: u64,
    /// Objects that were loaded before.
    again_objects: u64,
    /// Whether the sweep continues some of the folders.
    goes_on: bool,
    /// The instant of `--force`: what was loaded before it is loaded again.
    force: Option<String>,
}

pub async fn run(args: &BackfillArgs) -> Result<()> {
    let out = args.stack.out();
    let (aws, stack) = args.stack.connect().await?;
    let config = folders::deployed(&Configs::of_stack(&aws, &stack)?, &args.queue).await?;
    let folders = folders::selected(&args.queue, &config, &args.folders)?;
    let mut asking = Asking { aws: &aws, stack: &stack, config: &config, args, order: counting(&args.again) };
    // Files are always counted first, so that a person sees what will happen and can stop it.
    let counted = asking.all(out, &folders, true).await?;
    let files_max = config.limits.files_max;
    let n_loads = counted.new_objects.div_ceil(files_max);
    out.line(format!(
        "   {} of {} objects ({}) are new: about {n_loads} loads of {files_max} files at most",
        counted.new_objects,
        counted.objects,
        size(counted.bytes)
    ));
    if let Some(before) = counted.force.as_ref().filter(|_| !args.dry_run && counted.new_objects > 0) {
        must_agree(out, args.again.yes, counted.again_objects, before)?;
        asking.order = json!({"force": before, "by": aws.caller().await?, "reason": args.again.reason});
    }
    let mut recorded = Sum::default();
    if !args.dry_run && counted.new_objects > 0 {
        recorded = asking.all(out, &folders, false).await?;
        if recorded.goes_on {
            out.line(
                "   the loader lists the rest on its own, at most a minute later; interrupting this loses nothing",
            );
        }
        out.line("   live files and these take turns; --watch stays until everything is loaded");
    }
    if args.watch {
        watch(out, &Tracker::of_stack(&aws, &stack)?, &config.db_table().0).await?;
    }
    out.result(&json!({
        "queue": args.queue, "table": config.db_table().0, "objects": counted.objects, "bytes": counted.bytes,
        "new_objects": counted.new_objects, "loads": n_loads, "recorded": recorded.new_objects,
        "again_objects": counted.again_objects, "goes_on": recorded.goes_on, "force": counted.force
    }))
}

/// The `force` field of a counting request. The loader's clock decides what "now" is.
fn counting(args: &AgainArgs) -> Value {
    let before = args.loaded_before.as_ref().map_or(json!(true), |before| json!(before));
    if args.force { json!({"force": before}) } else { json!({}) }
}

/// Asks for confirmation, because rows could be duplicated.
fn must_agree(out: Out, yes: bool, again: u64, before: &str) -> Result<(), Failure> {
    out.line(format!("   {again} of them were loaded before {before} and would be loaded again"));
    let question = "Load them again? Rows that are still in the table would be duplicated (unless it merges).";
    ask::confirm(out, yes || again == 0, question, "nothing was recorded")
}

struct Asking<'a> {
    aws: &'a Aws,
    stack: &'a Stack,
    config: &'a LoadConfig,
    args: &'a BackfillArgs,
    /// The fields of a request that order loading again.
    order: Value,
}

impl Asking<'_> {
    async fn all(&self, out: Out, folders: &[SourceFolder], dry_run: bool) -> Result<Sum> {
        let mut sum = Sum::default();
        for folder in folders {
            let url = format!("s3://{}/{}", folder.bucket, folder.prefix);
            let step = out.step(format!("{} {url}", if dry_run { "counting" } else { "recording" }));
            let of_folder = self.folder(folder, dry_run, |sum| step.now(&format!("{} objects", sum.objects))).await?;
            let verb = if dry_run { "found" } else { "recorded" };
            let count = if dry_run { of_folder.objects } else { of_folder.new_objects };
            step.done(format!("{verb} {count} objects under {url}"));
            sum.objects += of_folder.objects;
            sum.bytes += of_folder.bytes;
            sum.new_objects += of_folder.new_objects;
            sum.again_objects += of_folder.again_objects;
            sum.goes_on |= of_folder.goes_on;
            sum.force = sum.force.or(of_folder.force);
        }
        Ok(sum)
    }

    /// Counting takes as many requests as the folder needs: each result says where the next request begins. Recording takes one.
    async fn folder(&self, folder: &SourceFolder, dry_run: bool, progress: impl Fn(&Sum)) -> Result<Sum> {
        let (mut sum, mut position) = (Sum::default(), Value::Null);
        loop {
            let request = self.request(folder, dry_run, &position);
            let results = invoke(self.aws, self.stack, Function::BulkLoader, &request).await?;
            let result = results.get(0).context("BulkLoader returned no result")?;
            if let Some(error) = result["error"].as_str().filter(|_| result["goes_on"] != true) {
                return Err(Failure::new(error, "run the same command again: what is recorded stays recorded").into());
            }
            let number = |field: &str| result[field].as_u64().ok_or_else(|| anyhow!("no `{field}` in {result}"));
            sum.objects += number("objects")?;
            sum.bytes += number("bytes")?;
            sum.new_objects += number("new_objects")?;
            sum.again_objects += result["again_objects"].as_u64().unwrap_or_default();
            sum.force = sum.force.or_else(|| result["force"].as_str().map(ToOwned::to_owned));
            progress(&sum);
            let next = result["position"].clone();
            sum.goes_on = result["goes_on"] == true;
            if next.is_null() || sum.goes_on {
                return Ok(sum);
            }
            if next == position {
                let message = format!("BulkLoader made no progress beyond {next} within its time limit");
                return Err(Failure::new(message, "run the same command again; see the log of BulkLoader").into());
            }
            position = next;
        }
    }

    fn request(&self, folder: &SourceFolder, dry_run: bool, position: &Value) -> Value {
        let mut request = of_queue(self.config, &format!("s3://{}/{}", folder.bucket, folder.prefix));
        request["paths"][0]["position"] = position.clone();
        let more = [("since", json!(self.args.since)), ("until", json!(self.args.until)), ("dry_run", json!(dry_run))];
        let order = self.order.as_object().into_iter().flatten().map(|(field, value)| (field.as_str(), value.clone()));
        for (field, value) in more.into_iter().chain(order).filter(|(_, value)| !value.is_null()) {
            request[field] = value;
        }
        request
    }
}

/// Waits until nothing of the table is being listed or is waiting.
async fn watch(out: Out, tracker: &Tracker, table: &str) -> Result<()> {
    let step = out.step(format!("loading {table}"));
    loop {
        let listings = tracker.listings(table).await?;
        if let Some(listing) = listings.iter().find(|listing| listing.given_up.is_some()) {
            let message = format!(
                "the loader gave up after {} objects at {}: {}",
                listing.counts.objects,
                listing.position.key,
                listing.error.as_deref().unwrap_or_default()
            );
            return Err(Failure::new(message, "remove the cause, then run the same command again").into());
        }
        let waiting = tracker.backlog(table).await?;
        if waiting.is_empty() && listings.is_empty() {
            step.done(format!("{table}: no file is waiting any more"));
            return Ok(());
        }
        let listed: u64 = listings.iter().map(|listing| listing.counts.objects).sum();
        let listing = if listings.is_empty() { String::new() } else { format!("; {listed} objects listed so far") };
        step.now(&format!("{} loads wait{listing}", waiting.len()));
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}
