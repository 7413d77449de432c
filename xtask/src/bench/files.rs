//! Uploads the benchmark's files and follows them until their rows are committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use aws_sdk_s3::primitives::ByteStream;
use loader_core::config::LoadConfig;
use loader_core::tracker::item::History;
use local_client::calls::Counts;
use local_client::{DataApiAdmin, GatewayAdmin, StackInfo};
use tokio::task::JoinSet;

use crate::bench::queue::BUCKET;
use crate::ground::aws::{Aws, failed};
use crate::ground::output::Out;
use crate::ground::stack::Stack;
use crate::loader::tracker::Tracker;
use crate::loader::warehouse::Warehouse;

/// Rows in each file.
const ROWS_PER_FILE: u32 = 10;
/// Number of concurrent uploads.
const UPLOADS: usize = 16;
const POLL: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_mins(10);
/// If there is no call for this long, the invocations have ended.
const QUIET: Duration = Duration::from_millis(1500);

/// Everything that the measurements need.
pub struct Bench<'a> {
    pub out: Out,
    pub aws: &'a Aws,
    pub loader: &'a Stack,
    pub stack: &'a StackInfo,
    configs: BTreeMap<String, &'a LoadConfig>,
    tracker: Tracker,
    dropped: BTreeMap<String, u32>,
}

impl<'a> Bench<'a> {
    pub fn new(
        out: Out,
        aws: &'a Aws,
        loader: &'a Stack,
        stack: &'a StackInfo,
        configs: BTreeMap<String, &'a LoadConfig>,
    ) -> Result<Self> {
        let tracker = Tracker::of_stack(aws, loader)?;
        Ok(Self { out, aws, loader, stack, configs, tracker, dropped: BTreeMap::new() })
    }

    /// Configuration of a table.
    pub fn config(&self, table: &str) -> Result<&'a LoadConfig> {
        self.configs.get(table).copied().with_context(|| format!("no queue `{table}`"))
    }

    /// The gateway's call counts and faults.
    pub fn gateway(&self) -> GatewayAdmin {
        GatewayAdmin::new(&self.stack.endpoint)
    }

    /// Uploads one file. The first file of a table also creates the table.
    pub async fn drop_one(&mut self, table: &str) -> Result<()> {
        let number = self.next_number(table, 1).await?;
        put(&self.aws.s3(), table, number).await
    }

    /// Uploads this many files for each of these tables, several at the same time.
    pub async fn drop_many(&mut self, tables: &[String], per_table: u32) -> Result<()> {
        let mut files = Vec::new();
        for table in tables {
            let first = self.next_number(table, per_table).await?;
            files.extend((first..first + per_table).map(|number| (table.clone(), number)));
        }
        let mut uploads = JoinSet::new();
        for lane in 0..UPLOADS {
            let lane: Vec<(String, u32)> = files.iter().skip(lane).step_by(UPLOADS).cloned().collect();
            let client = self.aws.s3();
            uploads.spawn(async move {
                for (table, number) in lane {
                    put(&client, &table, number).await?;
                }
                Ok::<(), anyhow::Error>(())
            });
        }
        while let Some(lane) = uploads.join_next().await {
            lane??;
        }
        Ok(())
    }

    /// Reserves this many file numbers of a table and returns the first.
    async fn next_number(&mut self, table: &str, n: u32) -> Result<u32> {
        if !self.dropped.contains_key(table) {
            let create = format!("CREATE TABLE {table} (id BIGINT, at TIMESTAMP, value VARCHAR(64))");
            Warehouse::new(self.aws, self.config(table)?).run(&create).await?;
        }
        let next = self.dropped.entry(table.to_owned()).or_default();
        *next += n;
        Ok(*next - n)
    }

    /// Waits until all files uploaded for these tables are loaded and nothing is waiting or running. Returns their loads; the newest of
    /// each table is last.
    pub async fn drained(&self, tables: &[String]) -> Result<Vec<History>> {
        let started = Instant::now();
        let mut found = Vec::new();
        for table in tables {
            let db_table = self.config(table)?.db_table().0;
            let n_dropped = u64::from(self.dropped.get(table).copied().unwrap_or_default());
            loop {
                let loads = self.tracker.loaded(&db_table, 0..=i64::MAX).await?;
                let n_loaded: u64 = loads.iter().map(|load| load.n_objects).sum();
                if n_loaded >= n_dropped && !self.tracker.tables_with_work().await?.contains(&db_table) {
                    found.extend(loads);
                    break;
                }
                if started.elapsed() > WAIT_MAX {
                    bail!("{table}: {n_loaded} of {n_dropped} files are loaded after {} s", WAIT_MAX.as_secs());
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(found)
    }

    /// The functions' calls since the last reset, once no more are made. Excludes the calls of a starting environment, the only ones that
    /// use `GetItem`.
    pub async fn calls(&self) -> Result<Counts> {
        let mut counts = self.gateway().calls().await?.functions;
        loop {
            tokio::time::sleep(QUIET).await;
            let later = self.gateway().calls().await?.functions;
            if later == counts {
                break;
            }
            counts = later;
        }
        let starts = counts.get("dynamodb").and_then(|calls| calls.get("GetItem")).copied().unwrap_or_default();
        for (service, operation) in
            [("dynamodb", "GetItem"), ("s3", "HeadObject"), ("redshift-data", "DescribeStatement")]
        {
            if let Some(n) = counts.get_mut(service).and_then(|calls| calls.get_mut(operation)) {
                *n = n.saturating_sub(starts);
            }
        }
        for calls in counts.values_mut() {
            calls.retain(|_, n| *n > 0);
        }
        Ok(counts)
    }

    /// Number of COPY commands submitted since this time (epoch milliseconds).
    pub async fn copies_since(&self, since: i64) -> Result<usize> {
        let statements = DataApiAdmin::new(&self.stack.endpoint).statements().await?;
        let recent = statements.iter().filter(|statement| statement.created_millis >= since);
        Ok(recent.flat_map(|statement| &statement.parts).filter(|part| part.sql.starts_with("COPY ")).count())
    }

    /// When the warehouse ended a statement, by this machine's clock.
    pub async fn committed(&self, statement_id: &str) -> Result<i64> {
        let described = self.aws.redshift_data().describe_statement().id(statement_id).send().await;
        let described = described.map_err(failed(format!("read the statement `{statement_id}`")))?;
        Ok(described.updated_at().context("the statement has a time")?.to_millis()?)
    }

    /// Checks that every file's rows are there exactly once; otherwise the figures are not valid.
    pub async fn ensure_rows(&self) -> Result<()> {
        for (table, n_files) in &self.dropped {
            let expected = i64::from(*n_files) * i64::from(ROWS_PER_FILE);
            let warehouse = Warehouse::new(self.aws, self.config(table)?);
            let found = warehouse.number(&format!("SELECT COUNT(*) FROM {table}")).await?;
            anyhow::ensure!(found == expected, "{table}: {expected} rows expected, {found} found");
        }
        Ok(())
    }
}

/// Uploads a file whose rows are in no other file.
async fn put(client: &aws_sdk_s3::Client, table: &str, number: u32) -> Result<()> {
    let rows = (0..ROWS_PER_FILE)
        .map(|row| format!("{},2026-01-31 12:00:00,row {row} of file {number}\n", number * ROWS_PER_FILE + row));
    let body = ByteStream::from(rows.collect::<String>().into_bytes());
    let request = client.put_object().bucket(BUCKET).key(format!("{table}/{number:06}.csv")).body(body);
    request.send().await.map_err(failed(format!("upload a file for {table}")))?;
    Ok(())
}
