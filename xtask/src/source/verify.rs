//! `cargo xtask verify`: compares the objects in S3 with those that the loader knows.
//!
//! The order of the reads matters: first the folder, then the backlog, then the ledger. An object moves in this order, and arrives in the
//! next place before it leaves the previous one. Objects that are in none of them are looked up a second time.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use loader_core::bulk_request::{Position, Selection, instant};
use loader_core::config::SourceFolder;
use loader_core::ids::{DbTable, WaitingObject};
use loader_core::tracker::enqueue;
use loader_core::tracker::item::{ConfigSource, LedgerMark};
use loader_reconcile::ports::Listed;
use serde::Serialize;

use crate::ground::clock::now_millis;
use crate::ground::output::{Failure, size};
use crate::ground::stack_args::StackArgs;
use crate::loader::connections::configs::Configs;
use crate::loader::invoke::look_now;
use crate::loader::tracker::Tracker;
use crate::source::folders;
use crate::source::rows::{self, Counted, Loads};

/// Maximum number of unknown objects to print.
const NAMED_MAX: usize = 1000;

/// `cargo xtask verify`
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Name of the queue
    queue: String,
    /// Only objects that were modified since then: 2026-01-31, or 2026-01-31T08:00:00Z
    #[arg(long, value_parser = instant, value_name = "INSTANT")]
    since: Option<i64>,
    /// Ignore objects younger than this many minutes: they may still be on their way
    #[arg(long, default_value_t = 5)]
    grace: i64,
    /// Record unknown objects, as if their notifications had just arrived
    #[arg(long)]
    record: bool,
    /// Compare the rows that COPY reported with those that the files' footers name (Parquet, ORC)
    #[arg(long)]
    rows: bool,
    #[command(flatten)]
    stack: StackArgs,
}

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Loaded,
    Waiting,
    Quarantined,
    Recent,
    Unknown,
}

/// The result for a queue.
#[derive(Debug, Default, Serialize)]
struct Verified {
    queue: String,
    table: String,
    objects: usize,
    bytes: u64,
    loaded: usize,
    waiting: usize,
    quarantined: usize,
    /// Objects that are unknown, but younger than the grace period.
    recent: usize,
    unknown: usize,
    recorded: usize,
    /// `s3://` URLs of the first unknown ones.
    unknown_objects: Vec<String>,
    /// With `--rows`: the result of comparing rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Counted>,
    /// With `--rows`: the loaded files of each load.
    #[serde(skip)]
    loads: Loads,
}

pub async fn run(args: &VerifyArgs) -> Result<()> {
    let out = args.stack.out();
    let (aws, stack) = args.stack.connect().await?;
    let config = folders::deployed(&Configs::of_stack(&aws, &stack)?, &args.queue).await?;
    let folder = folders::selected(&args.queue, &config, &[])?.remove(0);
    let footers = args.rows.then(|| rows::footers(&args.queue, &config)).transpose()?;
    let look = Look { tracker: Tracker::of_stack(&aws, &stack)?, table: config.db_table(), args };
    let step = out.step(format!("comparing s3://{}/{} with the ledger", folder.bucket, folder.prefix));
    let (mut verified, unknown) = look.compare(&folder, |objects| step.now(&format!("{objects} objects"))).await?;
    step.done(format!("{} objects, {}", verified.objects, size(verified.bytes)));
    let source = ConfigSource { queue: Some(args.queue.clone()), recorded: config.clone() };
    if args.record && !unknown.is_empty() {
        verified.recorded = look.record(&unknown, &source).await?;
        // If this fails, the sweep does it within a minute.
        let _ = look_now(&aws, &stack, &look.table.0).await;
    }
    let Verified { loaded, waiting, quarantined, recent, recorded, .. } = &verified;
    out.line(format!("   loaded {loaded}, waiting {waiting}, quarantined {quarantined}, on their way {recent}"));
    for url in &verified.unknown_objects {
        out.line(format!("   {} {url}", out.bad("unknown")));
    }
    if *recorded > 0 {
        out.ok(format!("{recorded} objects are recorded, and their load begins"));
    }
    if let Some(footers) = footers {
        let step = out.step("comparing rows");
        let loads = std::mem::take(&mut verified.loads);
        let counted =
            rows::compare(footers, &look.tracker, &look.table.0, &loads, |files| step.now(&format!("{files} files")))
                .await?;
        step.done(counted.to_string());
        verified.rows = Some(counted);
    }
    let missing = verified.unknown - verified.recorded;
    out.result(&verified)?;
    if let Some(counted) = &verified.rows {
        counted.check()?;
    }
    if missing > 0 {
        let message = format!("{missing} objects of `{}` were never recorded", args.queue);
        let next = format!("cargo xtask verify {} --record records them", args.queue);
        return Err(Failure::new(message, next).into());
    }
    Ok(())
}

struct Look<'a> {
    tracker: Tracker,
    table: DbTable,
    args: &'a VerifyArgs,
}

impl Look<'_> {
    /// Reads page by page, so that memory holds only one page and the unknown objects.
    async fn compare(&self, folder: &SourceFolder, progress: impl Fn(usize)) -> Result<(Verified, Vec<WaitingObject>)> {
        let selection = Selection { since_millis: self.args.since, ..Selection::default() };
        let mut verified =
            Verified { queue: self.args.queue.clone(), table: self.table.0.clone(), ..Verified::default() };
        let (mut unknown, mut after): (Vec<WaitingObject>, Option<Position>) = (Vec::new(), None);
        let mut places = self.places().await?;
        loop {
            let page = self.tracker.list(&folder.bucket, &folder.prefix, after).await?;
            let listed: Vec<Listed> =
                page.objects.into_iter().filter(|listed| selection.holds(listed.modified_millis)).collect();
            let mut missing = self.sort(&listed, &places, &mut verified).await?;
            if !missing.is_empty() {
                // Look again, because objects that were being recorded between the two reads are in the tracker by now.
                places = self.places().await?;
                missing = self.sort(&missing, &places, &mut verified).await?;
            }
            verified.unknown += missing.len();
            unknown.extend(missing.into_iter().map(|listed| listed.waiting));
            progress(verified.objects);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        verified.objects += verified.unknown;
        verified.bytes += unknown.iter().map(|waiting| waiting.size_bytes).sum::<u64>();
        let url = |waiting: &WaitingObject| format!("s3://{}/{}", waiting.object.bucket, waiting.object.key);
        verified.unknown_objects = unknown.iter().take(NAMED_MAX).map(url).collect();
        Ok((verified, unknown))
    }

    /// Counts the known objects and returns the others.
    async fn sort(
        &self,
        listed: &[Listed],
        places: &BTreeMap<String, Found>,
        verified: &mut Verified,
    ) -> Result<Vec<Listed>> {
        let ids: Vec<String> = listed.iter().map(|listed| listed.waiting.object.id()).collect();
        let ledger = self.tracker.marks(&self.table, ids).await?;
        let find = |id: &str| match (ledger.get(id), places.get(id)) {
            (Some(LedgerMark::Loaded(_)), _) | (Some(LedgerMark::Accepted), None) => Some(Found::Loaded),
            (_, Some(found)) => Some(*found),
            (Some(LedgerMark::Quarantined), None) => Some(Found::Quarantined),
            (None, None) => None,
        };
        let grace = now_millis() - self.args.grace * 60_000;
        let mut rest = Vec::new();
        for listed in listed {
            let recent = if listed.modified_millis > grace { Found::Recent } else { Found::Unknown };
            let id = listed.waiting.object.id();
            if let Some(LedgerMark::Loaded(load_id)) = ledger.get(&id).filter(|_| self.args.rows) {
                verified.loads.entry(load_id.0.clone()).or_default().push(listed.waiting.clone());
            }
            let count = match find(&id).unwrap_or(recent) {
                Found::Loaded => &mut verified.loaded,
                Found::Waiting => &mut verified.waiting,
                Found::Quarantined => &mut verified.quarantined,
                Found::Recent => &mut verified.recent,
                Found::Unknown => {
                    rest.push(listed.clone());
                    continue;
                }
            };
            *count += 1;
            verified.objects += 1;
            verified.bytes += listed.waiting.size_bytes;
        }
        Ok(rest)
    }

    /// The objects that are waiting or in quarantine, by their ids.
    async fn places(&self) -> Result<BTreeMap<String, Found>> {
        let quarantine = self.tracker.quarantine(&self.table.0).await?.into_iter().flat_map(|failed| failed.objects);
        let mut places: BTreeMap<String, Found> =
            quarantine.map(|waiting| (waiting.object.id(), Found::Quarantined)).collect();
        let backlog = self.tracker.backlog(&self.table.0).await?.into_iter().flat_map(|pending| pending.objects);
        places.extend(backlog.map(|waiting| (waiting.object.id(), Found::Waiting)));
        Ok(places)
    }

    /// Records objects as `MicrobatchLoader` records a notification.
    async fn record(&self, objects: &[WaitingObject], source: &ConfigSource) -> Result<usize> {
        let mut recorded = 0;
        for pending in enqueue::pendings(objects.to_vec(), source, now_millis()) {
            recorded += pending.objects.len();
            self.tracker.write(&enqueue::record(pending)).await?;
        }
        Ok(recorded)
    }
}
