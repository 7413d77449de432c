//! The cost of the functions: calls by function and operation, as counted by the gateway, and `DynamoDB`'s units by the size of items.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::ids::DbTable;
use loader_core::tracker::item::Item;
use loader_core::tracker::wire;
use local_client::GatewayAdmin;
use local_client::calls::{LogEntry, Port};

use crate::world::STACK;

/// If there is no call for this time, the invocations have ended.
const QUIET: Duration = Duration::from_millis(1500);
const QUIET_WITHIN: Duration = Duration::from_secs(90);
/// The calls with which a new environment opens a connection to each service.
const WARM_UP: [(&str, &str); 3] =
    [("dynamodb", "GetItem"), ("s3", "HeadObject"), ("redshift-data", "DescribeStatement")];
/// Bytes of a write unit.
const WRITE_UNIT_BYTES: usize = 1024;

/// Number of calls by function and operation, such as `MicrobatchLoader dynamodb:PutItem`.
pub type Counted = BTreeMap<String, usize>;

/// Counts the functions' calls from its start.
#[derive(Debug)]
pub struct Counter {
    gateway: GatewayAdmin,
    after: u64,
    started: HashSet<u32>,
}

impl Counter {
    /// Begins to count. Environments that have made a call before count as started.
    pub async fn start(gateway: GatewayAdmin) -> Result<Self> {
        let log = gateway.log(0).await?;
        let after = log.last().map_or(0, |entry| entry.sequence);
        Ok(Self { gateway, after, started: log.iter().filter_map(|entry| entry.pid).collect() })
    }

    /// Waits until at least this many calls were made and the functions are idle, and returns the calls without those of starting environments.
    pub async fn calls(&self, at_least: usize) -> Result<Counted> {
        let asked = Instant::now();
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let log = self.functions_log().await?;
            if log.len() != seen {
                (seen, since) = (log.len(), Instant::now());
            }
            if seen >= at_least && since.elapsed() > QUIET {
                return Ok(self.without_starts(&log));
            }
            ensure!(asked.elapsed() < QUIET_WITHIN, "{seen} calls, expected at least {at_least}, or they do not end");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The functions' calls so far.
    pub async fn functions_log(&self) -> Result<Vec<LogEntry>> {
        let log = self.gateway.log(self.after).await?;
        Ok(log.into_iter().filter(|entry| entry.port == Port::Functions).collect())
    }

    fn without_starts(&self, log: &[LogEntry]) -> Counted {
        let mut opened: HashSet<(u32, &str)> = HashSet::new();
        let mut counted = Counted::new();
        for entry in log {
            let call = (entry.service.as_str(), entry.operation.as_str());
            let starting = entry.pid.filter(|pid| WARM_UP.contains(&call) && !self.started.contains(pid));
            if starting.is_some_and(|pid| opened.insert((pid, &entry.service))) {
                continue;
            }
            let function = entry.function.as_deref().unwrap_or_default();
            let function = function.strip_prefix(&format!("{STACK}-")).unwrap_or(function);
            *counted.entry(format!("{function} {}:{}", entry.service, entry.operation)).or_default() += 1;
        }
        counted
    }
}

/// Number of calls of an operation, such as `dynamodb:PutItem`, by all functions.
pub fn n_calls(counted: &Counted, operation: &str) -> usize {
    counted.iter().filter(|(call, _)| call.ends_with(&format!(" {operation}"))).map(|(_, n)| n).sum()
}

/// Bytes of an item's names and values, as `DynamoDB` counts them for strings, numbers and nested values.
pub fn item_bytes(table: &DbTable, item: &Item) -> Result<usize> {
    let attributes: HashMap<String, AttributeValue> = serde_dynamo::to_item(wire::encode(table, item))?;
    Ok(attributes.iter().map(|(name, value)| name.len() + value_bytes(value)).sum())
}

/// Write units of a plain write of an item.
pub fn write_units(table: &DbTable, item: &Item) -> Result<usize> {
    Ok(item_bytes(table, item)?.div_ceil(WRITE_UNIT_BYTES))
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len() / 2 + 2,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + value_bytes(value)).sum::<usize>(),
        AttributeValue::M(values) => {
            3 + values.iter().map(|(name, value)| 1 + name.len() + value_bytes(value)).sum::<usize>()
        }
        _ => 1,
    }
}
