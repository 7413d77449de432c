//! Everything outside: the tracker, the objects, the warehouse, the queue configurations, the clock.
//!
//! Every call is done, certainly not done, or unknown. An error is one of the last two, and says which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use loader_core::bulk_request::Position;
use loader_core::config::LoadConfig;
use loader_core::copy_options::CopyOptions;
use loader_core::ids::{DbTable, StatementName, WaitingObject};
use loader_core::outcome::FailureClass;
use loader_core::parquet::FileColumn;
use loader_core::problem::Problems;
use loader_core::tracker::item::{LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::listing::Listing;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::view::{TableState, Work};
use loader_core::tracker::write::{Transaction, Written};

use crate::report::Event;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortError {
    /// Service and operation, e.g. `dynamodb:TransactWriteItems`.
    pub operation: &'static str,
    /// Whether it may have taken effect all the same.
    pub unknown: bool,
    /// What the failure means for what comes next.
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

/// Result of a port.
pub type PortResult<T> = Result<T, PortError>;

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

impl ConfigError {
    /// Whether waiting alone may cure it.
    pub const fn passes(&self) -> bool {
        match self {
            Self::Missing(_) | Self::Invalid(..) => false,
            Self::Port(error) => error.passes(),
        }
    }
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
    /// The slot, and then the loads that wait: all of them, or where they are many the newest.
    fn state(&self, table: &DbTable) -> impl Future<Output = PortResult<TableState>> + Send;
    /// The oldest waiting loads of live files and then the oldest requested ones: `limit` of them, or fewer where these are more than two
    /// loads take; but of the requested ones as many as one load takes, however many live files wait. Says whether that is all.
    fn backlog(
        &self,
        table: &DbTable,
        limit: usize,
    ) -> impl Future<Output = PortResult<(Vec<PendingLoad>, bool)>> + Send;
    /// A page of the waiting loads, oldest first, from after this key; the key after which the next page begins, if there is one.
    fn waiting(
        &self,
        table: &DbTable,
        after: Option<SortKey>,
    ) -> impl Future<Output = PortResult<(Vec<PendingLoad>, Option<SortKey>)>> + Send;
    /// The folders that are being listed for a table, also those that were given up.
    fn listings(&self, table: &DbTable) -> impl Future<Output = PortResult<Vec<Listing>>> + Send;
    /// These waiting loads, in this order, without those that are not there.
    fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> impl Future<Output = PortResult<Vec<PendingLoad>>> + Send;
    /// What the ledger knows of these object versions, by their ids, expired entries left out. A set, because `BatchGetItem` refuses a
    /// key that is there twice.
    fn ledger(
        &self,
        table: &DbTable,
        object_ids: &BTreeSet<String>,
        now: Millis,
    ) -> impl Future<Output = PortResult<BTreeMap<String, LedgerMark>>> + Send;
    /// When the ledger learned of these object versions, by their ids.
    fn entered(
        &self,
        table: &DbTable,
        object_ids: &BTreeSet<String>,
    ) -> impl Future<Output = PortResult<BTreeMap<String, Millis>>> + Send;
    /// Writes ledger entries, whatever is there.
    fn enter(&self, table: &DbTable, entries: &[LedgerEntry]) -> impl Future<Output = PortResult<()>> + Send;
    /// Applies a transaction.
    fn write(&self, transaction: &Transaction) -> impl Future<Output = PortResult<Written>> + Send;
    /// The tables with a slot held, a load waiting or a folder being listed; eventually consistent.
    fn tables_with_work(&self) -> impl Future<Output = PortResult<BTreeMap<DbTable, Work>>> + Send;
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its objects.
    pub objects: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<Position>,
}

/// An object that a listing tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object, with the identity that its notification has.
    pub waiting: WaitingObject,
    /// When it was last modified.
    pub modified_millis: Millis,
}

/// S3.
pub trait Objects {
    /// What is under this key now.
    fn object(&self, bucket: &str, key: &str) -> impl Future<Output = PortResult<ObjectState>> + Send;
    /// The columns that the footer of a Parquet file names, or the header of a CSV file or the keys of a JSON file that these options load,
    /// read with few and short calls; an error where that cannot be read of exactly this version.
    fn columns(
        &self,
        file: &WaitingObject,
        options: &CopyOptions,
    ) -> impl Future<Output = Result<Vec<FileColumn>, String>> + Send;
    /// Writes a manifest below the manifest folder.
    fn put_manifest(&self, key: &str, content: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `s3://` URL of the manifest folder, with its final `/`.
    fn manifest_root(&self) -> String;
    /// A page of the newest versions of the objects below a prefix, in the order of their keys; empty objects left out.
    fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<Position>,
    ) -> impl Future<Output = PortResult<Page>> + Send;
}

/// The Redshift Data API.
pub trait DataApi {
    /// Submits a statement batch as one transaction; returns the statement id. The client token, derived from the name, makes a repeat
    /// harmless for hours.
    fn submit(
        &self,
        config: &LoadConfig,
        name: &StatementName,
        sql: &[String],
    ) -> impl Future<Output = PortResult<String>> + Send;
    /// How a statement is; for a failed one with everything the warehouse says about it.
    fn status(
        &self,
        config: &LoadConfig,
        statement_id: &str,
    ) -> impl Future<Output = PortResult<StatementStatus>> + Send;
    /// Cancels a statement. Whether it was still running then, its status tells.
    fn cancel(&self, statement_id: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// The statement of this name, if the service knows one.
    fn find(
        &self,
        config: &LoadConfig,
        name: &StatementName,
    ) -> impl Future<Output = PortResult<Option<String>>> + Send;
    /// Runs a short query and waits for its rows.
    fn query(
        &self,
        config: &LoadConfig,
        sql: &str,
    ) -> impl Future<Output = PortResult<Vec<Vec<Option<String>>>>> + Send;
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
pub trait World: Tracker + Objects + DataApi + Configs + Surroundings + Sync {}

impl<T: Tracker + Objects + DataApi + Configs + Surroundings + Sync> World for T {}
