//! Everything outside: the tracker, the objects, the warehouse, the queue configurations, the clock.
//!
//! Every call answers done, certainly not done, or unknown. An error is one of the last two, and says which.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::ids::DbTable;
use loader_core::outcome::FailureClass;
use loader_core::problem::Problems;
use loader_core::tracker::item::{Millis, PendingLoad, Prepared, RunningLoad, SortKey, WaitingObject};
use loader_core::tracker::prepare::Look;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::write::{Transaction, Written};

use crate::report::Event;

/// A call that was not answered with what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortError {
    /// Service and operation, e.g. `dynamodb:TransactWriteItems`.
    pub operation: &'static str,
    /// Whether it may have taken effect all the same.
    pub unknown: bool,
    /// What it asks for.
    pub class: FailureClass,
    /// The service's words.
    pub message: String,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sure = if self.unknown { "not answered" } else { "refused" };
        write!(f, "{} was {sure} ({}): {}", self.operation, self.class, self.message)
    }
}

impl std::error::Error for PortError {}

impl PortError {
    /// Whether waiting alone may cure it.
    pub const fn passes(&self) -> bool {
        matches!(self.class, FailureClass::RetryNow | FailureClass::RetryLater)
    }
}

/// Answer of a port.
pub type Answer<T> = Result<T, PortError>;

/// Why a queue's configuration cannot be had.
#[derive(Clone, Debug)]
pub enum ConfigError {
    /// There is no such object; its `s3://` URL.
    Missing(String),
    /// It is there and wrong.
    Invalid(String, Problems),
    /// It could not be read.
    Port(PortError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(url) => {
                write!(f, "the queue has no configuration: put one at {url} (see docs/configuration.md)")
            }
            Self::Invalid(url, problems) => write!(f, "the configuration {url} is wrong: {problems}"),
            Self::Port(error) => error.fmt(f),
        }
    }
}

/// The tracker table. Reads of items are strongly consistent.
pub trait Tracker {
    /// The slot of a table.
    fn running(&self, table: &DbTable) -> impl Future<Output = Answer<Option<RunningLoad>>> + Send;
    /// The oldest waiting loads, oldest first, `limit` at most.
    fn backlog(&self, table: &DbTable, limit: usize) -> impl Future<Output = Answer<Vec<PendingLoad>>> + Send;
    /// These waiting loads, in this order, without those that are not there.
    fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> impl Future<Output = Answer<Vec<PendingLoad>>> + Send;
    /// Which of these sort keys exist (and have not expired). A set, because `BatchGetItem` refuses a key that is there twice.
    fn existing(
        &self,
        table: &DbTable,
        keys: &BTreeSet<SortKey>,
        now: Millis,
    ) -> impl Future<Output = Answer<BTreeSet<SortKey>>> + Send;
    /// Applies a transaction.
    fn write(&self, transaction: &Transaction) -> impl Future<Output = Answer<Written>> + Send;
    /// The tables with a slot held or a load waiting; eventually consistent.
    fn tables_with_work(&self) -> impl Future<Output = Answer<BTreeSet<DbTable>>> + Send;
}

/// S3.
pub trait Objects {
    /// What is under this key now.
    fn look(&self, bucket: &str, key: &str) -> impl Future<Output = Answer<Look>> + Send;
    /// Writes a manifest below the manifest folder.
    fn put_manifest(&self, key: &str, content: &str) -> impl Future<Output = Answer<()>> + Send;
    /// `s3://` URL of the manifest folder, with its final `/`.
    fn manifest_root(&self) -> String;
    /// The newest version of every object below a prefix; empty objects left out.
    fn list(&self, bucket: &str, prefix: &str) -> impl Future<Output = Answer<Vec<WaitingObject>>> + Send;
}

/// The Redshift Data API.
pub trait Warehouse {
    /// Submits a statement batch as one transaction. The client token makes a repeat harmless for hours.
    fn submit(
        &self,
        config: &LoadConfig,
        name: &str,
        token: &str,
        sql: &[String],
    ) -> impl Future<Output = Answer<String>> + Send;
    /// How a statement is; for a failed one with everything the warehouse says about it.
    fn status(&self, config: &LoadConfig, statement_id: &str) -> impl Future<Output = Answer<StatementStatus>> + Send;
    /// The statement of this name, if the service knows one.
    fn find(&self, config: &LoadConfig, name: &str) -> impl Future<Output = Answer<Option<String>>> + Send;
    /// Runs a short query and waits for its rows.
    fn query(&self, config: &LoadConfig, sql: &str) -> impl Future<Output = Answer<Vec<Vec<Option<String>>>>> + Send;
}

/// The queue configurations.
pub trait Configs {
    /// The configuration of a queue, at most as old as the cache allows.
    fn queue(&self, queue: &str) -> impl Future<Output = Result<Arc<LoadConfig>, ConfigError>> + Send;
}

/// Time and the log.
pub trait Surroundings {
    /// Now.
    fn now(&self) -> Millis;
    /// Waits.
    fn sleep(&self, millis: u64) -> impl Future<Output = ()> + Send;
    /// One line of the log, and its metrics.
    fn report(&self, event: &Event);
}

/// Everything.
pub trait World: Tracker + Objects + Warehouse + Configs + Surroundings + Sync {}

impl<T: Tracker + Objects + Warehouse + Configs + Surroundings + Sync> World for T {}

/// The client token and the SQL belong to what was prepared; this is where they come from.
pub fn token(prepared: &Prepared) -> String {
    loader_core::ids::StatementName::parse(&prepared.statement_name).map(|name| name.client_token()).unwrap_or_default()
}
