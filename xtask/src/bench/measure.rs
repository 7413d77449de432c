//! The measurements with files: one after the other, many at once, and one per second.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use local_client::calls::Counts;
use local_client::{Toxic, ToxicKind};

use crate::bench::cost;
use crate::bench::figures::{Many, OneByOne};
use crate::bench::files::Bench;
use crate::bench::statistics::{median, percentile};
use crate::bench::units::{self, Activity};
use crate::bench::{invocations, path};
use crate::ground::clock::now_millis;

/// How files arrive.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// This many for each table at once.
    AtOnce(u32),
    /// One per second, for this many seconds.
    EverySecond(u32),
}

/// Loads files of one table one after the other. One more file before them absorbs the cold start and is not counted.
pub async fn one_by_one(bench: &mut Bench<'_>, table: &str, n: u32, delay_millis: u64) -> Result<OneByOne> {
    let step = bench.out.step(format!("{table}: one file after the other, {delay_millis} ms added to each call"));
    let tables = [table.to_owned()];
    bench.drop_one(table).await?;
    bench.drained(&tables).await?;
    bench.calls().await?;
    let gateway = bench.gateway();
    if delay_millis > 0 {
        gateway.add_toxic(&Toxic::new(ToxicKind::DelayMillis(delay_millis))).await?;
    }
    gateway.reset_calls().await?;
    let (mut millis, mut submits, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..n {
        step.now(&format!("{number} of {n}"));
        let after = gateway.log(0).await?.last().map_or(0, |entry| entry.sequence);
        let started = now_millis();
        bench.drop_one(table).await?;
        let loads = bench.drained(&tables).await?;
        let committed = bench.committed(&loads.last().context("there is a load")?.statement_id).await?;
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        millis.push((committed - started) as f64);
        let path = path::of(&gateway.log(after).await?)?;
        submits.push(path.millis);
        gaps.push(path.longest_gap_millis);
    }
    let calls = bench.calls().await?;
    gateway.clear_toxics().await?;
    step.done(format!("{table}: {n} files one after the other, {delay_millis} ms added to each call"));
    Ok(OneByOne {
        table: table.to_owned(),
        files: n,
        delay_millis,
        median_millis: median(&mut millis),
        p95_millis: percentile(&mut millis, 95),
        submit_millis: median(&mut submits),
        longest_gap_millis: median(&mut gaps),
        calls,
    })
}

/// Loads many files of some tables. One more file of each before them absorbs the cold start and is not counted.
pub async fn many(bench: &mut Bench<'_>, what: &str, tables: &[String], pace: Pace) -> Result<Many> {
    let step = bench.out.step(format!("dropping {what}"));
    bench.drop_many(tables, 1).await?;
    bench.drained(tables).await?;
    bench.calls().await?;
    bench.gateway().reset_calls().await?;
    let (since, started) = (now_millis(), Instant::now());
    let per_table = drop_at(bench, tables, pace).await?;
    let upload_seconds = started.elapsed().as_secs_f64();
    step.now("waiting until all are loaded");
    let loads = bench.drained(tables).await?;
    let drained_seconds = started.elapsed().as_secs_f64();
    let calls = bench.calls().await?;
    let copies = bench.copies_since(since).await?;
    let invocations = invocations::since(bench.aws, &bench.loader.name, since).await?;
    let config = bench.config(tables.first().context("a table")?)?;
    let sizes: Vec<usize> = loads
        .iter()
        .filter(|load| !is_older(load.key.0.as_str(), since))
        .map(|load| usize::try_from(load.n_objects).unwrap_or(usize::MAX))
        .collect();
    let units = units::of(&Activity {
        config,
        n_pendings: invocations.recording,
        n_puts: n_calls(&calls, "dynamodb", "PutItem"),
        n_queries: n_calls(&calls, "dynamodb", "Query"),
        loads: &sizes,
    });
    let files = per_table * u32::try_from(tables.len())?;
    step.done(format!("dropped and loaded {what}"));
    let cost = cost::of(files, &calls, &invocations, &units);
    Ok(Many { what: what.to_owned(), files, upload_seconds, drained_seconds, copies, calls, invocations, units, cost })
}

/// Uploads the files. Returns the number for each table.
async fn drop_at(bench: &mut Bench<'_>, tables: &[String], pace: Pace) -> Result<u32> {
    match pace {
        Pace::AtOnce(n) => {
            bench.drop_many(tables, n).await?;
            Ok(n)
        }
        Pace::EverySecond(n) => {
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            for _ in 0..n {
                ticks.tick().await;
                bench.drop_many(tables, 1).await?;
            }
            Ok(n)
        }
    }
}

/// The key `LOADED#<millis>#…` of a load before this time.
fn is_older(key: &str, since: i64) -> bool {
    key.split('#').nth(1).and_then(|millis| millis.parse::<i64>().ok()).is_some_and(|millis| millis < since)
}

fn n_calls(calls: &Counts, service: &str, operation: &str) -> usize {
    let n = calls.get(service).and_then(|operations| operations.get(operation)).copied().unwrap_or_default();
    usize::try_from(n).unwrap_or(usize::MAX)
}
