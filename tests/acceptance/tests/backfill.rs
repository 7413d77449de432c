//! Backfill of a folder of thousands of objects: BulkLoader has time for one page, and sweeps continue the listing while live files arrive and
//! functions are killed. No live file may wait for more than one load of the folder.
//!
//! `ACCEPTANCE_OBJECTS=100000` sets the number of objects.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use acceptance::table::{Table, append, csv, row, with_source};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use loader_core::tracker::item::{History, Item, LedgerMark, Millis, SortKey};
use loader_core::tracker::write::Items;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

const LARGE: &str = "backfill-large";
const OBJECTS: &str = "ACCEPTANCE_OBJECTS";
const OBJECTS_DEFAULT: usize = 3_000;
/// Objects in a page of a listing.
const PAGE: u64 = 1_000;

/// With very many objects the queue is write-once, because the local S3 is too slow for a hundred thousand looks.
fn large() -> Value {
    let mut config = with_source(append("backfill_large"), LARGE);
    config["load"] = json!({"write_once": are_very_many()});
    config
}

fn objects() -> usize {
    std::env::var(OBJECTS).ok().and_then(|text| text.parse().ok()).unwrap_or(OBJECTS_DEFAULT)
}

fn are_very_many() -> bool {
    objects() > 10 * OBJECTS_DEFAULT
}

/// BulkLoader has time for one page or, with very many objects, for half a minute of listing.
fn world() -> &'static World {
    world_of(|| Setup {
        bulk_seconds: Some(if are_very_many() { 58 } else { 28 }),
        patience_seconds: if objects() > OBJECTS_DEFAULT { 35 } else { 10 },
        ..Setup::of([(LARGE, large())])
    })
}

async fn fill(table: &Table, objects: usize) -> Result<()> {
    let put = |number: usize| async move { table.put(&format!("old/{number:07}.csv"), csv(&[&row(number)])).await };
    stream::iter(0..objects).map(put).buffer_unordered(16).try_collect().await
}

/// Puts a live file. Returns its key in the ledger, and how long it took until its rows were committed.
async fn live(table: &Table, number: usize) -> Result<(SortKey, Duration)> {
    let key = format!("live/{number}.csv");
    table.put(&key, csv(&[&row(number)])).await?;
    let record = table.record(&key).await?;
    let ledger = loader_core::s3_event::parse(&json!({"Records": [record]}).to_string());
    let ledger = ledger.map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let entry = SortKey::file(&ledger.objects.first().context("no object")?.object);
    table.send(json!({"Records": [record]}).to_string()).await?;
    let began = Instant::now();
    while !table.has(&entry).await? {
        ensure!(began.elapsed() < Duration::from_mins(10), "the live file {key} is not loaded");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok((entry, began.elapsed()))
}

/// When a load took the slot.
fn claimed(load: &History) -> Option<Millis> {
    Some(load.key.at_millis()? - load.load_millis)
}

/// The maximum number of loads of the folder that took the slot while a live file waited, and the longest load.
fn loads_before(items: &Items, live: &[SortKey]) -> Result<(usize, Duration)> {
    let history = |item: &Item| if let Item::Loaded(history) = item { Some(history.clone()) } else { None };
    let loads: BTreeMap<String, History> =
        items.values().filter_map(history).map(|load| (load.load_id.0.clone(), load)).collect();
    let mut most = 0;
    for entry in live {
        let Some(Item::File(file)) = items.get(entry) else { anyhow::bail!("{entry} is not in the ledger") };
        let LedgerMark::Loaded(load_id) = &file.mark else { anyhow::bail!("{file:?}") };
        let own = loads.get(&load_id.0).context("no history of the load")?;
        let recorded = claimed(own).context("no time")? - own.queue_wait_millis;
        let before = loads.values().filter(|load| load.number < own.number && claimed(load) > Some(recorded));
        most = most.max(before.count());
    }
    let longest = loads.values().map(|load| load.load_millis).max().unwrap_or(0);
    Ok((most, Duration::from_millis(longest.unsigned_abs())))
}

/// The calls of the functions so far.
async fn calls(world: &World) -> Result<BTreeMap<String, u64>> {
    let calls = world.stack.gateway().calls().await?;
    let of = |(service, operations): (String, BTreeMap<String, u64>)| {
        operations.into_iter().map(move |(operation, n)| (format!("{service}:{operation}"), n))
    };
    Ok(calls.functions.into_iter().flat_map(of).collect())
}

/// Kills functions at random calls. Looks at objects are excluded, because a load has a thousand of them.
async fn kill_some(world: &World) -> Result<()> {
    let rare = if objects() > OBJECTS_DEFAULT { 10.0 } else { 1.0 };
    let calls = [("dynamodb", None, 0.01 / rare), ("s3", Some("ListObjectVersions"), 0.2 / rare)];
    for (seed, (service, operation, share)) in (7..).zip(calls) {
        for kind in [ToxicKind::KillAfter, ToxicKind::KillBefore] {
            let toxic = Toxic {
                service: Some(service.to_owned()),
                operation: operation.map(ToOwned::to_owned),
                probability: Some(share),
                seed,
                ..Toxic::new(kind)
            };
            world.stack.gateway().add_toxic(&toxic).await?;
        }
    }
    Ok(())
}

#[test]
fn a_folder_of_thousands_is_listed_to_the_end_beside_live_files_despite_kills() {
    let objects = objects();
    let world = world();
    world.run(async {
        let checkout = Checkout::new()?;
        let table = Table::without_notifications(world, LARGE, large()).await?;
        let began = Instant::now();
        fill(&table, objects).await?;
        let filled = began.elapsed();
        let began = Instant::now();
        let command = format!("backfill {LARGE} s3://e2e-{LARGE}/old/ --local --stack-name {STACK} --output json");
        let first = checkout.must(&command).await?.json()?;
        ensure!(first["objects"] == json!(objects) && first["goes_on"] == json!(true), "{first:#}");
        ensure!(first["recorded"].as_u64().is_some_and(|n| n >= PAGE && n < objects as u64), "{first:#}");
        let begun_after = began.elapsed();
        kill_some(world).await?;
        let sweeper = tokio::spawn(async move {
            loop {
                world.sweep().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let (mut waits, mut expected) = (BTreeMap::new(), (0..objects).map(row).collect::<Vec<_>>());
        let (mut listed, mut loaded) = (None, false);
        while !loaded {
            expected.push(row(expected.len()));
            let (entry, wait) = live(&table, expected.len() - 1).await?;
            waits.insert(entry, wait);
            let work = table.work().await?;
            if listed.is_none() && !work.iter().any(|key| key.0.starts_with(SortKey::LISTING)) {
                listed = Some(began.elapsed());
            }
            loaded = listed.is_some() && work.is_empty();
            ensure!(began.elapsed() < Duration::from_hours(1), "the folder is not loaded");
        }
        let all = began.elapsed();
        world.stack.gateway().clear_toxics().await?;
        sweeper.abort();
        table.rest_with(&expected).await?;
        let statements = table.statements().await?.len();
        let live: Vec<SortKey> = waits.keys().cloned().collect();
        let (most, longest_load) = loads_before(&table.items().await?, &live)?;
        let longest = waits.values().max().context("no live file")?;
        let (calls, files) = (calls(world).await?, expected.len());
        println!(
            "proof: {objects} objects put within {filled:?}; counted and begun after {begun_after:?}, listed after {listed:?} and loaded after \
             {all:?} with {statements} statements, the longest load {longest_load:?}; {} live files meanwhile, the longest wait {longest:?}, \
             {most} loads of the folder began before one of them; calls for {files} files: {calls:?}",
            waits.len()
        );
        ensure!(most <= 1, "a live file waited for {most} loads of the folder");
        let again = checkout.must(&command).await?.json()?;
        ensure!(again["new_objects"] == json!(0) && again["goes_on"] == json!(false), "{again:#}");
        table.rest_with(&expected).await
    });
}
