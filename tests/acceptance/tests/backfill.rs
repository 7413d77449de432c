//! A folder of thousands of objects: BulkLoader has the time for one page, and the sweep goes on with the rest, while live files arrive
//! and functions are killed.
//!
//! `ACCEPTANCE_OBJECTS=100000` makes it as large as that.

use std::time::{Duration, Instant};

use acceptance::table::{Table, append, csv};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use loader_core::tracker::item::SortKey;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

const LARGE: &str = "backfill-large";
const OBJECTS: &str = "ACCEPTANCE_OBJECTS";
const OBJECTS_DEFAULT: usize = 3_000;
/// A page of a listing.
const PAGE: u64 = 1_000;

fn large() -> Value {
    let mut config = append("backfill_large");
    config["source"] = json!(format!("s3://e2e-{LARGE}/"));
    config
}

fn objects() -> usize {
    std::env::var(OBJECTS).ok().and_then(|text| text.parse().ok()).unwrap_or(OBJECTS_DEFAULT)
}

/// BulkLoader has the time for one page; of very many objects it reads for half a minute.
fn world() -> &'static World {
    world_of(|| Setup {
        bulk_seconds: Some(if objects() > 10 * OBJECTS_DEFAULT { 58 } else { 28 }),
        ..Setup::of([(LARGE, large())])
    })
}

fn row(number: usize) -> String {
    format!("{number},2026-01-01 00:00:00,x")
}

async fn fill(table: &Table, objects: usize) -> Result<()> {
    let put = |number: usize| async move { table.put(&format!("old/{number:07}.csv"), csv(&[&row(number)])).await };
    stream::iter(0..objects).map(put).buffer_unordered(16).try_collect().await
}

/// A file arrives, and how long it takes to its rows.
async fn live(table: &Table, number: usize) -> Result<Duration> {
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
    Ok(began.elapsed())
}

/// Some calls of the functions are their invocation's last. Not those that look at objects: a load has a thousand of them.
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
fn a_folder_of_thousands_is_listed_to_its_end_beside_live_files_whoever_is_killed() {
    let objects = objects();
    let world = world();
    world.run(async {
        let checkout = Checkout::new()?;
        let table = Table::without_notifications(world, LARGE, large()).await?;
        fill(&table, objects).await?;
        let began = Instant::now();
        let command = format!("backfill {LARGE} s3://e2e-{LARGE}/old/ --local --stack-name {STACK} --output json");
        let told = checkout.must(&command).await?.json()?;
        ensure!(told["objects"] == json!(objects) && told["goes_on"] == json!(true), "{told:#}");
        ensure!(told["recorded"].as_u64().is_some_and(|n| n >= PAGE && n < objects as u64), "{told:#}");
        let told_after = began.elapsed();
        kill_some(world).await?;
        let sweeper = tokio::spawn(async move {
            loop {
                world.sweep().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let (mut waits, mut expected) = (Vec::new(), (0..objects).map(row).collect::<Vec<_>>());
        let (mut listed, mut loaded) = (None, false);
        while !loaded {
            expected.push(row(expected.len()));
            waits.push(live(&table, expected.len() - 1).await?);
            let work = table.work().await?;
            if listed.is_none() && !work.iter().any(|key| key.0.starts_with(SortKey::LISTING)) {
                listed = Some(began.elapsed());
            }
            loaded = listed.is_some() && work.is_empty();
            ensure!(began.elapsed() < Duration::from_hours(1), "the folder is not loaded");
        }
        let all = began.elapsed();
        world.stack.gateway().clear_toxics().await?;
        table.rest_with(&expected).await?;
        sweeper.abort();
        let statements = table.statements().await?.len();
        let longest = waits.iter().max().context("no live file")?;
        println!(
            "proof: {objects} objects counted and begun after {told_after:?}, listed after {listed:?} and loaded after {all:?} with {statements} statements; \
             {} live files meanwhile, the longest wait {longest:?}",
            waits.len()
        );
        let again = checkout.must(&command).await?.json()?;
        ensure!(again["new_objects"] == json!(0) && again["goes_on"] == json!(false), "{again:#}");
        table.rest_with(&expected).await
    });
}
