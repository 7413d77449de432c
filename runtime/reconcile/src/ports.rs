//! The ports: the tracker, the objects, the warehouse, the queue configurations, the clock and the log.
//!
//! A call is done, certainly not done, or unknown. An error is one of the last two and says which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use loader_core::bulk_request::Position;
use loader_core::config::LoadConfig;
use loader_core::copy_options::CopyOptions;
pub use loader_core::ids::Listed;
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
    /// Whether the call may have taken effect nevertheless. Exact for a submit, which is sent only once. Adapters may repeat other calls;
    /// their callers read the tracker again after any error.
    pub unknown: bool,
    /// What follows the failure.
    pub class: FailureClass,
    /// The service's error text.
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
    /// Whether the call may succeed later without anyone's action.
    pub const fn passes(&self) -> bool {
        matches!(self.class, FailureClass::RetryNow | FailureClass::RetryLater)
    }
}

/// Result of a call to a port.
pub type PortResult<T> = Result<T, PortError>;

/// Why a queue's configuration is not available.
#[derive(Clone, Debug)]
pub enum ConfigError {
    /// There is no such object; contains its `s3://` URL.
    Missing(String),
    /// The object at this URL is invalid.
    Invalid(String, Problems),
    /// The object could not be read.
    Port(PortError),
}

impl ConfigError {
    /// Whether the call may succeed later without anyone's action.
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

/// The tracker table. Reads of items are strongly consistent; the index of tables with work lags behind.
pub trait Tracker {
    /// The slot, and then the backlog: all of it, or its newest part if it is long.
    fn state(&self, table: &DbTable) -> impl Future<Output = PortResult<TableState>> + Send;
    /// The oldest pending loads of live files and then the oldest requested ones: `limit` of them, or fewer if they are more than two loads
    /// take. However many live files are waiting, requested ones for one load are included. Also returns the key after which the rest
    /// begins, if there is a rest.
    fn backlog(
        &self,
        table: &DbTable,
        limit: usize,
    ) -> impl Future<Output = PortResult<(Vec<PendingLoad>, Option<SortKey>)>> + Send;
    /// A page of the pending loads, oldest first, beginning after this key. Also returns the key after which the next page begins, if there
    /// is one.
    fn waiting(
        &self,
        table: &DbTable,
        after: Option<SortKey>,
    ) -> impl Future<Output = PortResult<(Vec<PendingLoad>, Option<SortKey>)>> + Send;
    /// The listings of a table, including those that were given up.
    fn listings(&self, table: &DbTable) -> impl Future<Output = PortResult<Vec<Listing>>> + Send;
    /// These pending loads, in this order, without those that do not exist.
    fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> impl Future<Output = PortResult<Vec<PendingLoad>>> + Send;
    /// The ledger marks of these object versions by their ids, without expired entries. The ids are a set, because `BatchGetItem` refuses
    /// duplicate keys.
    fn ledger(
        &self,
        table: &DbTable,
        object_ids: &BTreeSet<String>,
        now: Millis,
    ) -> impl Future<Output = PortResult<BTreeMap<String, LedgerMark>>> + Send;
    /// When these object versions were entered in the ledger, by their ids.
    fn entered(
        &self,
        table: &DbTable,
        object_ids: &BTreeSet<String>,
    ) -> impl Future<Output = PortResult<BTreeMap<String, Millis>>> + Send;
    /// Writes ledger entries, replacing existing ones.
    fn enter(&self, table: &DbTable, entries: &[LedgerEntry]) -> impl Future<Output = PortResult<()>> + Send;
    /// Applies a transaction.
    fn write(&self, transaction: &Transaction) -> impl Future<Output = PortResult<Written>> + Send;
    /// The tables with a held slot, a pending load or a listing; eventually consistent.
    fn tables_with_work(&self) -> impl Future<Output = PortResult<BTreeMap<DbTable, Work>>> + Send;
}

/// A page of a folder's listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its objects.
    pub objects: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<Position>,
}

/// S3.
pub trait Objects {
    /// The current state of the object under this key.
    fn object(&self, bucket: &str, key: &str) -> impl Future<Output = PortResult<ObjectState>> + Send;
    /// The columns of a file: from the footer of a Parquet file, the header of a CSV file, or the keys of a JSON file that is loaded with
    /// these options. Uses few and short calls. The inner error says that this version has no
    /// such columns or no longer exists, the outer one that the service failed.
    fn columns(
        &self,
        file: &WaitingObject,
        options: &CopyOptions,
    ) -> impl Future<Output = PortResult<Result<Vec<FileColumn>, String>>> + Send;
    /// A part of an object that is never overwritten: `length` bytes, or fewer at its end.
    fn part(&self, bucket: &str, key: &str, from: u64, length: u64)
    -> impl Future<Output = PortResult<Vec<u8>>> + Send;
    /// Writes a manifest to this key below the manifest folder.
    fn put_manifest(&self, key: &str, content: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `s3://` URL of the manifest folder, with its final `/`.
    fn manifest_root(&self) -> String;
    /// A page of the current versions of the objects below a prefix, ordered by key, without empty and temporary objects.
    fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<Position>,
    ) -> impl Future<Output = PortResult<Page>> + Send;
}

/// The Redshift Data API.
pub trait DataApi {
    /// Submits a statement batch as one transaction and returns the statement id. The client token is derived from the name, so a repeat
    /// within hours is harmless.
    fn submit(
        &self,
        config: &LoadConfig,
        name: &StatementName,
        sql: &[String],
    ) -> impl Future<Output = PortResult<String>> + Send;
    /// Status of a statement; for a failed one, with everything that the warehouse says about it.
    fn status(
        &self,
        config: &LoadConfig,
        statement_id: &str,
    ) -> impl Future<Output = PortResult<StatementStatus>> + Send;
    /// Cancels a statement. Its status shows whether it had already ended.
    fn cancel(&self, statement_id: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// The id of the statement with this name, if the service knows one.
    fn find(
        &self,
        config: &LoadConfig,
        name: &StatementName,
    ) -> impl Future<Output = PortResult<Option<String>>> + Send;
    /// Runs a short query and waits for its rows. NULL is `None`.
    fn query(
        &self,
        config: &LoadConfig,
        sql: &str,
    ) -> impl Future<Output = PortResult<Vec<Vec<Option<String>>>>> + Send;
}

/// The queue configurations.
pub trait Configs {
    /// The configuration of a queue, no older than the cache allows.
    fn queue(&self, queue: &str) -> impl Future<Output = Result<Arc<LoadConfig>, ConfigError>> + Send;
}

/// Time and the log.
pub trait Surroundings {
    /// The current time.
    fn now(&self) -> Millis;
    /// Waits for this time.
    fn sleep(&self, millis: u64) -> impl Future<Output = ()> + Send;
    /// Writes one line to the log, with its metrics.
    fn report(&self, event: &Event);
}

/// All ports together.
pub trait World: Tracker + Objects + DataApi + Configs + Surroundings + Sync {}

impl<T: Tracker + Objects + DataApi + Configs + Surroundings + Sync> World for T {}
