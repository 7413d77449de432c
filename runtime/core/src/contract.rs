//! Every name that the template and the functions share, so that they cannot diverge.
//!
//! The names in the first three groups are fixed: users have them in their scripts.

/// Environment variable: bucket (no `s3://`) of the queue configuration files.
pub const CONFIG_BUCKET: &str = "CONFIG_BUCKET";
/// Environment variable: folder of the queue configuration files.
pub const CONFIG_PREFIX: &str = "CONFIG_PREFIX";
/// Environment variable: name of the tracker table.
pub const DDB_TRACKER: &str = "DDB_TRACKER";
/// Environment variable that nothing reads. It stays because users have it in their scripts.
pub const PENDING_BUCKET: &str = "PENDING_BUCKET";
/// Environment variable that nothing reads. It stays because users have it in their scripts.
pub const PENDING_PREFIX: &str = "PENDING_PREFIX";
/// Environment variable: bucket of the COPY manifests.
pub const MANIFEST_BUCKET: &str = "MANIFEST_BUCKET";
/// Environment variable: folder of the COPY manifests.
pub const MANIFEST_PREFIX: &str = "MANIFEST_PREFIX";
/// Environment variable: first part of every statement name.
pub const STATEMENT_NAME_PREFIX: &str = "STATEMENT_NAME_PREFIX";

/// Environment variable: seconds that a queue configuration is cached by a warm function. Default 60.
pub const CONFIG_CACHE_SECONDS: &str = "CONFIG_CACHE_SECONDS";
/// Environment variable: seconds for which a load that another invocation is working on is left alone. Default 60.
pub const CLAIM_PATIENCE_SECONDS: &str = "CLAIM_PATIENCE_SECONDS";
/// Environment variable: seconds after which the status of a running statement is requested without an event. Default 30.
pub const STATUS_POLL_SECONDS: &str = "STATUS_POLL_SECONDS";
/// Environment variable: first wait after a failure that another attempt may cure, in seconds. Default 5.
pub const BACKOFF_BASE_SECONDS: &str = "BACKOFF_BASE_SECONDS";
/// Environment variable: longest wait between two attempts, in seconds. Default 600.
pub const BACKOFF_CAP_SECONDS: &str = "BACKOFF_CAP_SECONDS";
/// Environment variable: days that the ledger remembers an object version. Default 64.
pub const LEDGER_DAYS: &str = "LEDGER_DAYS";
/// Environment variable: days that the history of a load is kept. Default 90.
pub const HISTORY_DAYS: &str = "HISTORY_DAYS";

/// Partition key of the tracker table (String).
pub const TRACKER_PARTITION_KEY: &str = "db_table";
/// Sort key of the tracker table (String).
pub const TRACKER_SORT_KEY: &str = "status_timestamp";

/// Folder of the queue configuration files in the loader's bucket.
pub const CONFIG_PREFIX_DEFAULT: &str = "rs-loader-config/";
/// Value of [`PENDING_PREFIX`] in the template.
pub const PENDING_PREFIX_DEFAULT: &str = "pending/";
/// Folder of the COPY manifests in the loader's bucket.
pub const MANIFEST_PREFIX_DEFAULT: &str = "manifests/";

/// Template parameter: first part of every statement name, and of the rule's filter.
pub const PARAMETER_STATEMENT_NAME_PREFIX: &str = "statementNamePrefix";
/// Default of [`PARAMETER_STATEMENT_NAME_PREFIX`].
pub const PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT: &str = "dev";

/// One of the three functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Records waiting objects from SQS messages.
    MicrobatchLoader,
    /// Settles ended statements and sweeps.
    NextLoader,
    /// Records waiting objects from a bulk request.
    BulkLoader,
}

impl Function {
    /// All functions, in the order of the fixed names.
    pub const ALL: [Self; 3] = [Self::MicrobatchLoader, Self::NextLoader, Self::BulkLoader];

    /// Logical ID in the template, and last part of the physical name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MicrobatchLoader => "MicrobatchLoader",
            Self::NextLoader => "NextLoader",
            Self::BulkLoader => "BulkLoader",
        }
    }

    /// Package and binary name, and the zip's name without `.zip`.
    pub const fn package(self) -> &'static str {
        match self {
            Self::MicrobatchLoader => "microbatch-loader",
            Self::NextLoader => "next-loader",
            Self::BulkLoader => "bulk-loader",
        }
    }

    /// Timeout of one invocation, in seconds.
    pub const fn timeout_seconds(self) -> u32 {
        match self {
            Self::MicrobatchLoader | Self::NextLoader => 120,
            Self::BulkLoader => 300,
        }
    }
}

/// Attribute that only items with work have (its value is the `db_table`): partition key of [`WORK_INDEX`].
pub const WORK_ATTRIBUTE: &str = "work";
/// Sparse, keys-only index over [`WORK_ATTRIBUTE`]: the sweep scans it to find the tables with work.
pub const WORK_INDEX: &str = "work";
/// Attribute with the expiry time of an item, in epoch seconds (DynamoDB TTL).
pub const TTL_ATTRIBUTE: &str = "expires_at";

/// Field of the constant input that the sweep rule sends to `NextLoader`: `{"sweep": true}`.
pub const SWEEP_FIELD: &str = "sweep";
/// Field of the payload with which an operator's command asks `NextLoader` to reconcile one table now: `{"reconcile": "<db_table>"}`.
pub const RECONCILE_FIELD: &str = "reconcile";
/// How often the sweep rule fires.
pub const SWEEP_SCHEDULE: &str = "rate(1 minute)";

/// Source of a statement's status change.
pub const STATEMENT_EVENT_SOURCE: &str = "aws.redshift-data";
/// Detail type of a statement's status change.
pub const STATEMENT_EVENT_DETAIL_TYPE: &str = "Redshift Data Statement Status Change";
/// The three states of a statement that has ended.
pub const STATEMENT_STATES_ENDED: [&str; 3] = ["FINISHED", "FAILED", "ABORTED"];

/// Namespace of the functions' metrics (CloudWatch embedded metric format). Each metric has the dimension `Stack`; those that the dashboard
/// shows per table also have `Stack` and `Table`, and those of the bill `Stack` and `Warehouse`. CloudWatch bills every combination of
/// dimensions.
pub const METRIC_NAMESPACE: &str = "RedshiftLoader";
/// Metric (milliseconds): age of the oldest waiting object version, from each sweep.
pub const METRIC_OLDEST_WAITING: &str = "OldestWaitingMillis";
/// Metric (count): waiting object versions, from each sweep. Of a long backlog, only the part that was read is counted.
pub const METRIC_WAITING: &str = "ObjectsWaiting";
/// Metric (seconds): by how much the most overdue object version exceeds its queue's limit, from each sweep. 0 if none is late; then there
/// is no value with the dimension `Table`.
pub const METRIC_SECONDS_LATE: &str = "SecondsLate";
/// Metric (count, dimension `Stack` only): tables whose load waits for an operator, from each sweep.
pub const METRIC_STUCK: &str = "TablesStuck";
/// Metric (count, dimension `Stack` only): messages that will be refused again until someone acts, counted each time.
pub const METRIC_REFUSED: &str = "MessagesRefused";
/// Metric (count, with the dimension `Warehouse` too): loads settled as finished.
pub const METRIC_LOADS: &str = "LoadsFinished";
/// Metric (count): attempts that failed.
pub const METRIC_FAILURES: &str = "AttemptsFailed";
/// Metric (count): objects put into quarantine.
pub const METRIC_QUARANTINED: &str = "ObjectsQuarantined";
/// Metric (count): object versions of finished loads.
pub const METRIC_OBJECTS: &str = "ObjectsLoaded";
/// Metric (milliseconds): from the creation of a load's oldest object to its settlement, or from its recording if no notification
/// states when it was created.
pub const METRIC_FRESHNESS: &str = "FreshnessMillis";
/// Metric (milliseconds, dimension `Stack` only): how long COPY ran.
pub const METRIC_COPY_TIME: &str = "CopyMillis";
/// Metric (milliseconds, dimension `Stack` only): how long the other SQL statements of a load ran.
pub const METRIC_MERGE_TIME: &str = "MergeMillis";
/// Metric (milliseconds, dimension `Stack` only): from the recording of a load's oldest object until the load takes the slot.
pub const METRIC_QUEUE_WAIT: &str = "QueueWaitMillis";
/// Metric (milliseconds, dimension `Stack` only): from taking the slot to the settlement.
pub const METRIC_LOAD_TIME: &str = "LoadMillis";
/// Metric (bytes, dimension `Stack` only): size of the files of finished loads.
pub const METRIC_BYTES: &str = "BytesLoaded";
/// Metric (count, dimension `Stack` only): rows that COPY reported for finished loads.
pub const METRIC_ROWS: &str = "RowsLoaded";
/// Metric (count, dimension `Stack` only): loads that were divided to find a bad file.
pub const METRIC_SPLITS: &str = "LoadsSplit";
/// Metric (count, dimension `Stack` only): objects without an event that a source check found.
pub const METRIC_MISSED: &str = "MissedEvents";
/// Metric (count, dimension `Stack` only): columns that loads added to their targets.
pub const METRIC_COLUMNS_ADDED: &str = "ColumnsAdded";
/// Metric (count, dimension `Stack` only): completed sweeps.
pub const METRIC_SWEEPS: &str = "Sweeps";
/// Metric (seconds, with `Warehouse` only): 60 in a minute in which a statement of ours kept the warehouse awake. Several loads say so of
/// the same minute, so only its maximum in a period of one minute counts it once.
pub const METRIC_SECONDS_AWAKE: &str = "SecondsAwake";
/// Metric (dollars, with `Warehouse` only): the price of these 60 seconds, where the warehouse's file has one; its maximum counts, as above.
pub const METRIC_DOLLARS: &str = "WarehouseDollars";
/// Metric (dollars, with `Warehouse` only): the price of 60 seconds in a minute in which objects were recorded, as if each were loaded at
/// once; its maximum counts, as above.
pub const METRIC_DOLLARS_AT_ONCE: &str = "WarehouseDollarsAtOnce";
/// Metric (count, dimension `Stack` only): requests that the functions sent to AWS, with every repeat, since the last line of the
/// environment that has them.
pub const METRIC_CALLS: &str = "Calls";
/// Dimension: the stack's name, from the environment variable [`STACK_NAME`].
pub const DIMENSION_STACK: &str = "Stack";
/// Dimension: the `db_table`.
pub const DIMENSION_TABLE: &str = "Table";
/// Dimension: the warehouse's part of the `db_table`.
pub const DIMENSION_WAREHOUSE: &str = "Warehouse";
/// Environment variable: the stack's name, for the dimension [`DIMENSION_STACK`]. Default `loader`.
pub const STACK_NAME: &str = "STACK_NAME";
