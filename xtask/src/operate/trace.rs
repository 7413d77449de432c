//! `cargo xtask trace`: what became of a file, or of all files below a prefix: loaded, waiting, in quarantine or never seen.
//!
//! `fate` decides from what was read; this module reads the tracker, the manifests and S3.

mod fate;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use clap::Args;
use loader_core::ids::{ObjectVersion, Version};
use loader_core::tracker::item::LedgerMark;
use loader_core::tracker::prepare::ObjectState;
use serde_json::Value;

use crate::ground::aws::failed;
use crate::ground::clock::now_millis;
use crate::ground::stack_args::StackArgs;
use crate::loader::tracker::Keys;
use crate::operate::objects::Objects;
use crate::operate::records::{Act, Load};
use crate::operate::schema::SchemaArgs;
use crate::operate::tables::Tables;
use crate::operate::trace::fate::{Known, Loaded, Trace, never_seen, traces};

/// The ledger entry and the history are written together, or within this time if an invocation died in between.
const HISTORY_NEAR_MILLIS: i64 = 86_400_000;
/// Maximum number of object versions to print.
const SHOWN_MAX: usize = 100;

/// `cargo xtask trace`
#[derive(Args, Debug)]
pub struct TraceArgs {
    /// Object: `s3://bucket/key`; a key that ends in `/` or `*` means every object with that prefix
    #[arg(required_unless_present = "schema", default_value = "", hide_default_value = true)]
    objects: String,
    /// Only this table: `schema.table`, or as `status` names it [default: all]
    #[arg(long)]
    table: Option<String>,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    stack: StackArgs,
}

pub async fn run(args: &TraceArgs) -> Result<()> {
    if args.schema.is_printed::<Vec<Trace>>() {
        return Ok(());
    }
    let out = args.stack.out();
    let objects = Objects::parse(&args.objects)?;
    let tables = Tables::of_stack(&args.stack).await?;
    let names = match &args.table {
        Some(name) => [tables.named(name).await?].into(),
        None => tables.known().await?,
    };
    let mut found = Vec::new();
    let mut forgotten = Vec::new();
    for table in &names {
        let step = out.step(format!("looking through {table}"));
        let known = read(&tables, table, &objects).await?;
        forgotten.extend(known.forgotten(&objects));
        found.extend(traces(&known, now_millis()));
        drop(step);
    }
    found.extend(unseen(&tables, &objects, &found, names.len(), &forgotten).await?);
    for trace in found.iter().take(SHOWN_MAX) {
        trace.lines(out).into_iter().for_each(|line| out.line(line));
    }
    if let Some(n_more) = found.len().checked_sub(SHOWN_MAX).filter(|n| *n > 0) {
        out.line(format!("   and {n_more} more: --output json lists all"));
    }
    out.result(&found)
}

/// Reads what the tracker contains about the objects in one table. The slot is read first, so that an object that moves in the meantime is not missed.
async fn read(tables: &Tables, table: &str, objects: &Objects) -> Result<Known> {
    let tracker = &tables.tracker;
    let state = tracker.state(table).await?;
    let quarantine = tracker.quarantine(table).await?;
    let ledger = tracker.ledger(table, &objects.bucket, &objects.keys).await?;
    let audits = tracker.audits(table, 0..=i64::MAX).await?.iter().map(Act::from).collect();
    let mut loads = BTreeMap::new();
    for entry in &ledger {
        let LedgerMark::Loaded(load_id) = &entry.mark else { continue };
        if !loads.contains_key(load_id)
            && let Some(load) = loaded(tables, table, &load_id.0, entry.entered_millis).await?
        {
            loads.insert(load_id.clone(), load);
        }
    }
    Ok(Known {
        table: table.to_owned(),
        flags: tables.flags(),
        objects: objects.clone(),
        state,
        quarantine,
        ledger,
        loads,
        audits,
    })
}

/// The load that a ledger entry names, with its manifest as far as that still exists.
async fn loaded(tables: &Tables, table: &str, load_id: &str, entered: i64) -> Result<Option<Loaded>> {
    for near in [0, HISTORY_NEAR_MILLIS] {
        let loads = tables.tracker.loaded(table, entered - near..=entered + near).await?;
        if let Some(history) = loads.iter().find(|history| history.load_id.0 == load_id) {
            let load = Load::from(history);
            let listed = manifest(tables, &load.manifest).await.map_err(|error| format!("{error:#}"));
            return Ok(Some(Loaded { load, listed }));
        }
    }
    Ok(None)
}

/// Size in bytes of each object that a manifest lists, by its `s3://` URL.
async fn manifest(tables: &Tables, url: &str) -> Result<BTreeMap<String, u64>> {
    let (bucket, key) = url.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).context("it has no address")?;
    let answer = tables.aws.s3().get_object().bucket(bucket).key(key).send().await;
    let body = answer.map_err(failed(format!("read {url}")))?.body.collect().await?.to_vec();
    let manifest: Value = serde_json::from_slice(&body).with_context(|| format!("{url} is not a manifest"))?;
    let entry = |entry: &Value| {
        Some((entry["url"].as_str()?.to_owned(), entry["meta"]["content_length"].as_u64().unwrap_or(0)))
    };
    Ok(manifest["entries"].as_array().into_iter().flatten().filter_map(entry).collect())
}

/// The current version of an object that no table knows. For a prefix, only that no table knows anything.
async fn unseen(
    tables: &Tables,
    objects: &Objects,
    found: &[Trace],
    n_tables: usize,
    forgotten: &[String],
) -> Result<Option<Trace>> {
    let Keys::Exactly(key) = &objects.keys else {
        let text = format!("s3://{}/{}", objects.bucket, objects.keys.text());
        return Ok(found.is_empty().then(|| never_seen(&text, None, None, n_tables, forgotten)));
    };
    let place = format!("s3://{}/{key}", objects.bucket);
    let (version, is_there) = match tables.tracker.object(&objects.bucket, key).await {
        Ok(ObjectState::Found { version_id, etag, .. }) => {
            (Version::new(version_id.as_deref(), etag.as_deref()), Some(true))
        }
        Ok(ObjectState::Missing) => (None, Some(false)),
        // A user may be allowed to read the tracker, but not the object.
        Ok(ObjectState::AsNotified) | Err(_) => (None, None),
    };
    let object = version.map(|version| ObjectVersion { bucket: objects.bucket.clone(), key: key.clone(), version });
    let is_known = match &object {
        Some(object) => found.iter().any(|trace| trace.is_of(object)),
        None => !found.is_empty(),
    };
    Ok((!is_known).then(|| never_seen(&place, object.as_ref(), is_there, n_tables, forgotten)))
}
