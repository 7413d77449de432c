//! A local stand-in for the Redshift Data API over a real PostgreSQL.
//!
//! It decides what the service and the warehouse would answer: which requests are refused and in which words, in which
//! order a statement's status moves, when a completion event is sent, what COPY reads and what it rejects. It
//! deliberately knows nothing of the programs that call it: no name, table or statement of theirs appears here.
//!
//! | file | subject |
//! | --- | --- |
//! | `server` | the wire: AWS JSON 1.1 in, answers and errors out |
//! | `operations` | one function per operation: check the request, answer it |
//! | `statement`, `cancellation` | what was submitted and how far it is; cancelled or committed, never both |
//! | `store` | statements, client tokens and how long each is remembered |
//! | `execute` | the life of one statement: waiting, running, ending |
//! | `session`, `warehouse`, `catalog`, `conflicts` | one transaction in PostgreSQL; databases; their system tables; two writers of one table |
//! | `lexeme`, `table_name`, `plan`, `rewrite`, `create_table` | Redshift SQL read token by token and turned into PostgreSQL's |
//! | `copy` | COPY, from its text to the rows |
//! | `events`, `pattern` | completion events: rules, patterns, targets |
//! | `admin`, `controls` | the paths under `/_standin/`, for tests that need the service to misbehave |
//! | `errors` | every error text, in the service's words |
//!
//! # Warehouses
//!
//! Database `dev` of cluster (or workgroup) `my-cluster` is the PostgreSQL database `my-cluster.dev`, created when it
//! is first used: `psql -d 'my-cluster.dev'`.
//!
//! A `DbUser` that exists as a role in PostgreSQL (`CREATE USER … PASSWORD …`) has that role's privileges; any other may
//! do everything. A role is known to all warehouses.
//!
//! # What it cannot do
//!
//! AVRO, ORC, fixed-width and shape files, LZOP, nested Parquet columns, other encodings than UTF-8; UNLOAD, CALL,
//! MERGE … REMOVE DUPLICATES, external tables, materialized views; sessions (`SessionId`), `WaitTimeSeconds` and
//! result format CSV; Redshift's own functions beyond GETDATE, SYSDATE, NVL, LEN and `JSON_PARSE`. A SQL statement that
//! meets such a limit fails with `ERROR: stand-in limit: …`, or because PostgreSQL does not know the function.
//!
//! # Administration
//!
//! See the module documentation of [`admin`].

pub mod admin;
mod alter_table;
mod app;
mod aws;
mod cancellation;
mod catalog;
mod clock;
mod conflicts;
mod controls;
mod copy;
mod create_table;
mod errors;
mod events;
mod execute;
mod lexeme;
mod operations;
mod pattern;
mod plan;
mod rewrite;
mod server;
mod session;
mod statement;
mod store;
mod table_name;
mod warehouse;

use std::net::SocketAddr;

pub use server::Standin;

/// Where to listen, which PostgreSQL to use, and where the other services are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the Data API; port 0 takes a free one, see [`Standin::address`].
    pub listen: SocketAddr,
    /// The PostgreSQL server behind every cluster and workgroup.
    pub warehouse: Warehouse,
    /// Base URL of S3 (path style), `EventBridge` and Lambda for the calls that the stand-in itself makes.
    pub aws_endpoint: String,
    /// Region in resource names and signatures, for example `us-east-1`.
    pub region: String,
    /// Account in resource names, twelve digits.
    pub account: String,
    /// How long a statement waits before it runs.
    pub latency: Latency,
}

/// A PostgreSQL server and its superuser. The maintenance database `postgres` must exist.
#[derive(Clone, Debug)]
pub struct Warehouse {
    /// Host name, address, or the directory of a unix socket (recognised by its leading `/`).
    pub host: String,
    /// Port; also part of a unix socket's name.
    pub port: u16,
    /// A superuser: databases are created as needed.
    pub user: String,
}

/// Artificial time, in milliseconds, that a statement spends in a status. Can be changed while running, see [`admin`].
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// In `SUBMITTED`.
    pub queued_millis: u64,
    /// In `STARTED`, before the first SQL statement runs.
    pub started_millis: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { queued_millis: 20, started_millis: 20 }
    }
}

/// Starts the stand-in. It serves until [`Standin::shutdown`] or until the value is dropped.
pub async fn serve(settings: Settings) -> anyhow::Result<Standin> {
    server::start(settings).await
}
