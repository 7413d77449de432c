//! The ports of an invocation: each call has its latency, price and quota.

mod tracker;

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use loader_core::bulk_request::Position;
use loader_core::config::LoadConfig;
use loader_core::copy_options::CopyOptions;
use loader_core::ids::{DbTable, StatementName, WaitingObject};
use loader_core::outcome::FailureClass;
use loader_core::parquet::FileColumn;
use loader_core::tracker::change::Committed;
use loader_core::tracker::item::Millis;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::StatementStatus;
use loader_reconcile::ports::{
    ConfigError, Configs, DataApi, Listed, Objects, Page, PortError, PortResult, Surroundings,
};
use loader_reconcile::report::Event;
use rand::Rng;

use super::stage::{Stage, Wake};
use super::{file_of, key, object_state, waiting};
use crate::fixture::{MANIFEST_ROOT, START_MILLIS};

/// Batches that are read or written concurrently.
const BATCHES_AT_ONCE: u64 = 8;
/// How long a function caches a queue's configuration.
const CONFIG_CACHE_MILLIS: i64 = 60_000;
/// Longest backoff of the SDK.
const SDK_WAIT_MILLIS_MAX: u64 = 20_000;

/// The ports of an invocation.
#[derive(Clone)]
pub struct Port {
    /// The shared state.
    pub stage: Arc<Mutex<Stage>>,
    /// The invocation.
    pub id: usize,
    /// Whether the invocation is a sweep.
    pub sweep: bool,
}

/// One or more calls of an operation, and the number of consecutive round trips they take.
#[derive(Clone, Copy)]
struct Call {
    operation: &'static str,
    calls: u64,
    trips: u64,
}

impl Call {
    const fn one(operation: &'static str) -> Self {
        Self { operation, calls: 1, trips: 1 }
    }

    /// The calls for all batches of these items, some of them concurrent.
    fn batches(operation: &'static str, items: usize, per_batch: usize) -> Self {
        let calls = items.div_ceil(per_batch) as u64;
        Self { operation, calls, trips: calls.div_ceil(BATCHES_AT_ONCE) }
    }
}

impl Port {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, millis: Millis) {
        let until = self.lock().now + millis;
        let mut set = false;
        poll_fn(|context| {
            let mut stage = self.lock();
            let left = until - stage.now;
            if left <= 0 {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut set, true) {
                stage.after(left, Wake::Task(self.id, context.waker().clone()));
            }
            Poll::Pending
        })
        .await;
    }

    fn latency_millis(&self, operation: &str) -> i64 {
        let cost = &self.lock().cost;
        match operation.split(':').next() {
            Some("dynamodb") => cost.dynamodb_millis,
            Some("s3") => cost.s3_millis,
            _ => cost.data_api_millis,
        }
    }

    /// A call without a quota.
    async fn free<T: Send>(&self, call: Call, perform: impl FnOnce(&mut Stage) -> T + Send) -> T {
        let millis = self.latency_millis(call.operation) * i64::try_from(call.trips).unwrap_or(1);
        self.wait(millis).await;
        let mut stage = self.lock();
        stage.count(call.operation, call.calls);
        if self.sweep {
            stage.count_sweep(call.calls);
        }
        perform(&mut stage)
    }

    /// A call with a quota. The SDK retries it a few times if it is refused.
    async fn limited<T: Send>(
        &self,
        call: Call,
        admit: impl Fn(&mut Stage) -> bool + Send + Sync,
        perform: impl FnOnce(&mut Stage) -> T + Send,
    ) -> PortResult<T> {
        let attempts = self.lock().cost.sdk_attempts;
        for attempt in 0..attempts {
            if self.free(call, &admit).await {
                return Ok(perform(&mut self.lock()));
            }
            let most = (1000 << attempt).min(SDK_WAIT_MILLIS_MAX);
            let millis = self.lock().rng.random_range(0..most);
            if attempt + 1 < attempts {
                self.wait(i64::try_from(millis).unwrap_or(0)).await;
            }
        }
        let message = "ThrottlingException: Rate exceeded".to_owned();
        Err(PortError { operation: call.operation, unknown: false, class: FailureClass::RetryLater, message })
    }

    /// A write that takes write units of a table's partition key.
    async fn units<T: Send>(
        &self,
        call: Call,
        table: &DbTable,
        units: impl Fn(&mut Stage) -> u64 + Send + Sync,
        perform: impl FnOnce(&mut Stage) -> T + Send,
    ) -> PortResult<T> {
        let admit = |stage: &mut Stage| {
            let (number, per_second) = (stage.numbers[table], stage.cost.partition_write_units_per_second);
            let units = units(stage);
            let admitted = stage.admits("DynamoDB write units of a partition key", number, units, per_second);
            stage.counts.write_units += if admitted { units } else { 0 };
            admitted
        };
        self.limited(call, admit, perform).await
    }
}

impl Objects for Port {
    async fn object(&self, _: &str, key: &str) -> PortResult<ObjectState> {
        let look = |stage: &mut Stage| {
            file_of(key).map_or(ObjectState::Missing, |file| object_state(file, stage.files[file].size_bytes))
        };
        Ok(self.free(Call::one("s3:HeadObject"), look).await)
    }

    async fn columns(&self, _: &WaitingObject, _: &CopyOptions) -> PortResult<Result<Vec<FileColumn>, String>> {
        unreachable!("no configuration of the day compares files")
    }

    async fn put_manifest(&self, key: &str, content: &str) -> PortResult<()> {
        let files = content.split("\"url\":").skip(1).filter_map(|rest| file_of(rest.split('"').nth(1)?)).collect();
        let put = |stage: &mut Stage| stage.manifests.insert(format!("{MANIFEST_ROOT}{key}"), files).map_or((), drop);
        self.free(Call::one("s3:PutObject"), put).await;
        Ok(())
    }

    fn manifest_root(&self) -> String {
        MANIFEST_ROOT.to_owned()
    }

    async fn part(&self, _: &str, _: &str, _: u64, _: u64) -> PortResult<Vec<u8>> {
        Ok(Vec::new())
    }

    async fn list(&self, _: &str, prefix: &str, after: Option<Position>) -> PortResult<Page> {
        const PAGE: usize = 1000;
        let page = |stage: &mut Stage| {
            let is_seen = |file: usize, after: &str| key(file, stage.files[file].table).as_str() <= after;
            let from = |after: &str| file_of(after).map(|file| file + usize::from(is_seen(file, after)));
            let seen = after.and_then(|after| from(&after.key)).unwrap_or(0);
            let arrived = stage
                .files
                .iter()
                .enumerate()
                .skip(seen)
                .take_while(|(_, file)| START_MILLIS + file.millis <= stage.now);
            let below = arrived.filter_map(|(file, arrival)| {
                let waiting = waiting(file, arrival);
                waiting.object.key.starts_with(prefix).then_some(Listed { waiting, modified_millis: arrival.millis })
            });
            let objects: Vec<Listed> = below.take(PAGE).collect();
            let last = objects.last().map(|listed| listed.waiting.object.key.clone());
            let next = last.filter(|_| objects.len() == PAGE);
            Page { objects, next: next.map(|key| Position { key, version_id: None, line: None }) }
        };
        Ok(self.free(Call::one("s3:ListObjectVersions"), page).await)
    }
}

impl DataApi for Port {
    async fn submit(&self, _: &LoadConfig, name: &StatementName, sql: &[String]) -> PortResult<String> {
        let copy = sql.iter().find_map(|text| text.split_once(" FROM '")?.1.split('\'').next());
        let manifest = copy.unwrap_or_default();
        let admit = |stage: &mut Stage| {
            if stage.active >= stage.cost.active_statements_max {
                stage.refuse("Data API active statements");
                return false;
            }
            let per_second = stage.cost.submits_per_second;
            stage.admits("Data API BatchExecuteStatement per second", 0, 1, per_second)
        };
        let submit = |stage: &mut Stage| format!("s{}", stage.submit(name.to_string(), manifest));
        self.limited(Call::one("redshift-data:BatchExecuteStatement"), admit, submit).await
    }

    async fn status(&self, _: &LoadConfig, statement_id: &str) -> PortResult<StatementStatus> {
        let admit = |stage: &mut Stage| {
            let per_second = stage.cost.describes_per_second;
            stage.admits("Data API DescribeStatement per second", 0, 1, per_second)
        };
        let status = |stage: &mut Stage| {
            let index: usize = statement_id.trim_start_matches('s').parse().unwrap_or(usize::MAX);
            match stage.statements.get(index).map(|statement| statement.ended) {
                None => StatementStatus::Forgotten,
                Some(false) => StatementStatus::Running,
                Some(true) => StatementStatus::Finished(Committed::default()),
            }
        };
        self.limited(Call::one("redshift-data:DescribeStatement"), admit, status).await
    }

    async fn cancel(&self, _: &str) -> PortResult<()> {
        Ok(())
    }

    async fn find(&self, _: &LoadConfig, _: &StatementName) -> PortResult<Option<String>> {
        Ok(None)
    }

    async fn query(&self, _: &LoadConfig, _: &str) -> PortResult<Vec<Vec<Option<String>>>> {
        Ok(Vec::new())
    }
}

impl Configs for Port {
    /// Configurations are cached for a minute. All invocations share the cache, which is the best case of warm functions.
    fn queue(&self, queue: &str) -> impl Future<Output = Result<Arc<LoadConfig>, ConfigError>> + Send {
        let table: usize = queue.trim_start_matches('q').parse().unwrap_or(0);
        async move {
            let known = {
                let stage = self.lock();
                stage.configs_read[table] + CONFIG_CACHE_MILLIS > stage.now
            };
            let get = |stage: &mut Stage| {
                stage.configs_read[table] = stage.now;
                stage.configs[table].clone()
            };
            if known {
                Ok(self.lock().configs[table].clone())
            } else {
                Ok(self.free(Call::one("s3:GetObject"), get).await)
            }
        }
    }
}

impl Surroundings for Port {
    fn now(&self) -> Millis {
        self.lock().now
    }

    async fn sleep(&self, millis: u64) {
        self.wait(i64::try_from(millis).unwrap_or(0)).await;
    }

    fn report(&self, event: &Event) {
        if let Event::Refused { why, .. } | Event::NotOurs { why } = event {
            self.lock().violations.insert(why.clone());
        }
        if let Event::Awake { at_millis, .. } = event {
            self.lock().minutes_awake.insert(at_millis / 60_000);
        }
        if let Event::Recorded { .. } = event {
            let mut stage = self.lock();
            let minute = stage.now / 60_000;
            stage.minutes_recorded.insert(minute);
        }
    }
}
