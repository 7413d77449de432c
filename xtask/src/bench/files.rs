//! Dropping the benchmark's files and following them to committed rows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use aws_sdk_s3::primitives::ByteStream;
use loader_core::config::LoadConfig;
use loader_core::tracker::item::{History, Item};
use local_client::{DataApiAdmin, GatewayAdmin, StackInfo};
use tokio::task::JoinSet;

use crate::bench::figures::{Burst, Latency};
use crate::bench::invocations;
use crate::bench::queue::{BUCKET, TABLE};
use crate::bench::statistics::{median, percentile};
use crate::ground::aws::{Aws, failed};
use crate::ground::clock::now_millis;
use crate::ground::output::Out;
use crate::ground::stack::Stack;
use crate::loader::tracker::{Kind, Order, Tracker};

/// Rows of every file.
pub const ROWS_PER_FILE: i64 = 10;
/// Uploads at the same time.
const UPLOADS: u32 = 16;
const POLL: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_mins(10);
const ITEMS_MAX: usize = 100_000;

/// What the measurements need.
pub struct Bench<'a> {
    out: Out,
    aws: &'a Aws,
    loader: &'a Stack,
    stack: &'a StackInfo,
    tracker: Tracker,
    table: String,
}

impl<'a> Bench<'a> {
    /// Of a deployed loader.
    pub fn new(out: Out, aws: &'a Aws, loader: &'a Stack, stack: &'a StackInfo, config: &LoadConfig) -> Result<Self> {
        let tracker = Tracker::of_stack(aws, loader)?;
        Ok(Self { out, aws, loader, stack, tracker, table: config.db_table().0 })
    }

    /// Each file is loaded before the next is dropped. The first is left out of the figures: it finds the functions cold.
    pub async fn one_by_one(&self, n: u32) -> Result<Latency> {
        let step = self.out.step("dropping files one by one");
        let mut millis = Vec::new();
        for number in 0..n {
            step.now(&format!("{number} of {n}"));
            let started = now_millis();
            put(&self.aws.s3(), number).await?;
            let loads = self.drained(u64::from(number) + 1).await?;
            let last = loads.last().context("there is a load")?;
            millis.push(self.committed(&last.statement_id).await? - started);
        }
        if millis.len() > 1 {
            millis.remove(0);
        }
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let mut millis: Vec<f64> = millis.into_iter().map(|millis| millis as f64).collect();
        step.done(format!("dropped {n} files one by one"));
        Ok(Latency { files: millis.len(), median_millis: median(&mut millis), p95_millis: percentile(&mut millis, 95) })
    }

    /// When the warehouse ended a statement, by the clock of this machine.
    async fn committed(&self, statement_id: &str) -> Result<i64> {
        let described = self.aws.redshift_data().describe_statement().id(statement_id).send().await;
        let described = described.map_err(failed("ask for a statement"))?;
        Ok(described.updated_at().context("the statement has a time")?.to_millis()?)
    }

    /// Many files at once; `first` were dropped before.
    pub async fn at_once(&self, first: u32, n: u32) -> Result<Burst> {
        let step = self.out.step(format!("dropping {n} files at once"));
        let gateway = GatewayAdmin::new(&self.stack.endpoint);
        gateway.reset_calls().await?;
        let (since, started) = (now_millis(), Instant::now());
        let mut uploads = JoinSet::new();
        for lane in 0..UPLOADS {
            let client = self.aws.s3();
            uploads.spawn(async move {
                for number in (first + lane..first + n).step_by(UPLOADS as usize) {
                    put(&client, number).await?;
                }
                Ok::<(), anyhow::Error>(())
            });
        }
        while let Some(lane) = uploads.join_next().await {
            lane??;
        }
        let upload_seconds = started.elapsed().as_secs_f64();
        step.now("waiting until all are loaded");
        self.drained(u64::from(first + n)).await?;
        let drained_seconds = started.elapsed().as_secs_f64();
        let calls = gateway.calls().await?.functions;
        let copies = self.copies_since(since).await?;
        // What an invocation took is logged when it is over.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let invocations = invocations::since(self.aws, &self.loader.name, since).await?;
        step.done(format!("dropped and loaded {n} files"));
        Ok(Burst { files: n, upload_seconds, drained_seconds, copies, calls, invocations })
    }

    /// COPY commands that were submitted since this time (epoch milliseconds).
    async fn copies_since(&self, since: i64) -> Result<usize> {
        let statements = DataApiAdmin::new(&self.stack.endpoint).statements().await?;
        let recent = statements.iter().filter(|statement| statement.created_millis >= since);
        Ok(recent.flat_map(|statement| &statement.parts).filter(|part| part.sql.starts_with("COPY ")).count())
    }

    /// Waits until so many files are loaded and nothing waits or runs; the answer: all loads, oldest first.
    async fn drained(&self, n_files: u64) -> Result<Vec<History>> {
        let started = Instant::now();
        loop {
            let loaded = self.tracker.items(&self.table, Kind::Loaded, Order::OldestFirst, ITEMS_MAX).await?;
            let loads: Vec<History> = loaded
                .into_iter()
                .filter_map(|item| if let Item::Loaded(load) = item { Some(load) } else { None })
                .collect();
            let n_loaded: u64 = loads.iter().map(|load| load.n_objects).sum();
            if n_loaded >= n_files && !self.tracker.tables_with_work().await?.contains(&self.table) {
                return Ok(loads);
            }
            if started.elapsed() > WAIT_MAX {
                bail!("{n_loaded} of {n_files} files are loaded after {} s", WAIT_MAX.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Drops a file with rows of its own.
async fn put(client: &aws_sdk_s3::Client, number: u32) -> Result<()> {
    let rows = (0..ROWS_PER_FILE).map(|row| {
        format!("{},2026-01-31 12:00:00,row {row} of file {number}\n", i64::from(number) * ROWS_PER_FILE + row)
    });
    let body = ByteStream::from(rows.collect::<String>().into_bytes());
    let request = client.put_object().bucket(BUCKET).key(format!("{TABLE}/{number:06}.csv")).body(body);
    request.send().await.map_err(failed("drop a file"))?;
    Ok(())
}
