//! Every service limit that the loader respects, with its source. Relations between limits are checked at compile time.

/// Write actions in one `TransactWriteItems` (DynamoDB, `API_TransactWriteItems`).
pub const TRANSACTION_ACTIONS_MAX: usize = 100;
/// Bytes of one `TransactWriteItems` (DynamoDB, `API_TransactWriteItems`).
pub const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one item, names and values (DynamoDB, `ServiceQuotas`).
pub const ITEM_BYTES_MAX: usize = 400 * 1024;
/// Items in one `BatchWriteItem` (DynamoDB, `API_BatchWriteItem`).
pub const BATCH_WRITE_ITEMS_MAX: usize = 25;
/// Keys in one `BatchGetItem` (DynamoDB, `API_BatchGetItem`).
pub const BATCH_GET_KEYS_MAX: usize = 100;

/// Maximum size of one pending load's item in bytes, as [`crate::tracker::pack::item_bytes`] counts it, which is never too low.
pub const PENDING_BYTES_MAX: usize = ITEM_BYTES_MAX - 16 * 1024;
/// Maximum number of pending loads that one running load takes: they are deleted in the transaction that settles it.
pub const LOAD_PENDINGS_MAX: usize = 80;
/// Maximum metadata of one running load's pending loads, in bytes: when the load is divided, one transaction deletes and rewrites them.
pub const LOAD_METADATA_BYTES_MAX: usize = 1_500_000;
/// Largest load, in objects, whose objects are looked at before it takes the slot. A larger load takes the slot first, so that only one
/// invocation pays for the calls.
pub const UNCLAIMED_OBJECTS_MAX: usize = 32;
/// Maximum number of ledger entries in the transaction that settles a load: each costs two write units there, but no call of its own.
pub const LEDGER_ENTRIES_IN_TRANSACTION_MAX: usize = 8;
/// Longest S3 object key in bytes (S3 user guide, object keys).
pub const OBJECT_KEY_BYTES_MAX: usize = 1024;
/// SQL statements in one `BatchExecuteStatement` (Redshift Data API, `API_BatchExecuteStatement`).
pub const BATCH_STATEMENTS_MAX: usize = 40;
/// Bytes of SQL in one request (Redshift management guide, Data API). Older copies of the page say 100 KB, newer ones 200 KB; the smaller
/// limit applies.
pub const SQL_BYTES_MAX: usize = 100 * 1000;
/// Characters of a client token (Redshift Data API, `API_BatchExecuteStatement`).
pub const CLIENT_TOKEN_CHARACTERS_MAX: usize = 64;
/// Characters of a statement name (Redshift Data API, `API_BatchExecuteStatement`).
pub const STATEMENT_NAME_CHARACTERS_MAX: usize = 2048;
/// How long the Data API remembers a client token, in milliseconds: 8 hours (Redshift Data API, `API_BatchExecuteStatement`).
pub const CLIENT_TOKEN_MILLIS: i64 = 8 * 3_600_000;
/// How long the Data API remembers a statement, in milliseconds: 24 hours (Redshift Data API, `API_ListStatements`).
pub const STATEMENT_MILLIS: i64 = 24 * 3_600_000;
/// Bytes of an identifier (Redshift database guide, names and identifiers). Redshift silently truncates longer ones, so the loader refuses
/// them.
pub const IDENTIFIER_BYTES_MAX: usize = 127;
/// Columns of a table (Redshift database guide, CREATE TABLE: limits).
pub const TABLE_COLUMNS_MAX: usize = 1600;
/// Maximum number of columns that one load adds to its target, each with its own SQL statement. More at once is a different table, not a
/// table that grew.
pub const ADDED_COLUMNS_MAX: usize = 20;
/// Maximum total length of the names in the column list of a COPY, in bytes: the slot's item stores the list beside the target's columns.
pub const COLUMN_LIST_BYTES_MAX: usize = 40_000;

/// Maximum lifetime of an invocation, in milliseconds: 15 minutes (Lambda, quotas: function timeout).
pub const INVOCATION_MILLIS_MAX: i64 = 15 * 60_000;

/// Time between two sweeps, in milliseconds: the shortest rate of EventBridge ([`crate::contract::SWEEP_SCHEDULE`]).
pub const SWEEP_MILLIS: i64 = 60_000;
/// Bytes of one SQS message (SQS, quotas).
pub const SQS_MESSAGE_BYTES_MAX: u32 = 1024 * 1024;
/// Visibility timeout of a source queue in seconds: at least six times the function's timeout plus the batching window
/// (Lambda developer guide, "Using Lambda with Amazon SQS").
pub const SQS_VISIBILITY_TIMEOUT_SECONDS_MIN: u32 =
    6 * crate::contract::Function::MicrobatchLoader.timeout_seconds() + SQS_BATCHING_WINDOW_SECONDS;
/// Batching window of the event source mapping in seconds; a batch size above 10 needs at least 1.
pub const SQS_BATCHING_WINDOW_SECONDS: u32 = 1;
/// Batch size of the event source mapping: large enough that a burst needs few invocations, small enough for one invocation to handle.
pub const SQS_BATCH_SIZE: u32 = 100;

// Settling writes the slot, the history, the ledger entries and the pending loads. Dividing writes the slot, the pending loads, and their
// objects again.
const _: () = assert!(LOAD_PENDINGS_MAX + 2 + LEDGER_ENTRIES_IN_TRANSACTION_MAX <= TRANSACTION_ACTIONS_MAX);
const _: () =
    assert!(LOAD_PENDINGS_MAX + 1 + 2 * (LOAD_METADATA_BYTES_MAX / PENDING_BYTES_MAX + 2) <= TRANSACTION_ACTIONS_MAX);
const _: () = assert!(2 * LOAD_METADATA_BYTES_MAX + ITEM_BYTES_MAX <= TRANSACTION_BYTES_MAX);
// The SQL statements of a merge, and those that add columns.
const _: () = assert!(ADDED_COLUMNS_MAX + 15 <= BATCH_STATEMENTS_MAX);
