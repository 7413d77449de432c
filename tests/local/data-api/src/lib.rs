//! A local stand-in for the Redshift Data API, over a real PostgreSQL.
//!
//! It behaves as the service and the warehouse do: which requests are refused and with which error, how the status of a statement changes,
//! when a status change is sent, what COPY reads and what it rejects. It deliberately does not know the programs that call it: none of their
//! names, tables or statements appears here.
//!
//! | file | subject |
//! | --- | --- |
//! | `server` | HTTP: AWS JSON 1.1 requests and responses |
//! | `operations` | one function per operation: checks the request and returns the response |
//! | `statement`, `cancellation` | a submitted statement and its progress; the race between cancellation and commit |
//! | `store` | statements and client tokens, and how long each is remembered |
//! | `execute` | runs a statement to its end |
//! | `session`, `warehouse`, `catalog`, `conflicts` | a transaction in PostgreSQL; databases; their system tables; concurrent writers of a table |
//! | `lexeme`, `table_name`, `plan`, `rewrite`, `create_table`, `alter_table` | translates Redshift's SQL to PostgreSQL's, token by token |
//! | `copy` | COPY, from its text to the rows |
//! | `events`, `pattern` | status changes: rules, patterns, targets |
//! | `admin`, `controls` | the paths under `/_standin/`, for tests that inject faults |
//! | `errors` | the service's error texts |
//!
//! # Warehouses
//!
//! Database `dev` of cluster (or workgroup) `my-cluster` is the PostgreSQL database `my-cluster.dev`. It is created on first use:
//! `psql -d 'my-cluster.dev'`.
//!
//! A `DbUser` that exists as a role in PostgreSQL (`CREATE USER … PASSWORD …`) has that role's privileges; any other may do everything.
//! Roles are shared by all warehouses.
//!
//! # What it cannot do
//!
//! AVRO, ORC, fixed-width and shape files, LZOP, nested Parquet columns, encodings other than UTF-8; UNLOAD, CALL,
//! MERGE … REMOVE DUPLICATES, external tables, materialized views; sessions (`SessionId`), `WaitTimeSeconds` and
//! result format CSV; Redshift's own functions except GETDATE, SYSDATE, NVL, LEN and `JSON_PARSE`. A SQL statement that
//! needs one of these fails with `ERROR: stand-in limit: …`, or because PostgreSQL does not know the function.
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

/// Settings of a stand-in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on. Port 0 chooses a free port, see [`Standin::address`].
    pub listen: SocketAddr,
    /// The PostgreSQL server behind every cluster and workgroup.
    pub warehouse: Warehouse,
    /// Base URL of S3 (path style), `EventBridge` and Lambda for the stand-in's own calls.
    pub aws_endpoint: String,
    /// Region in resource names and signatures, for example `us-east-1`.
    pub region: String,
    /// Account in resource names, twelve digits.
    pub account: String,
    /// How long statements wait before they run.
    pub latency: Latency,
}

/// A PostgreSQL server and its superuser. The maintenance database `postgres` must exist.
#[derive(Clone, Debug)]
pub struct Warehouse {
    /// Host name, address, or the folder of a Unix socket, which begins with `/`.
    pub host: String,
    /// Port, which is also part of a Unix socket's name.
    pub port: u16,
    /// A superuser, who creates databases as needed.
    pub user: String,
}

/// Artificial time that a statement spends in a status, in milliseconds. It can be changed while the stand-in runs, see [`admin`].
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

/// Starts a stand-in, which runs until [`Standin::shutdown`] or until the value is dropped.
pub async fn serve(settings: Settings) -> anyhow::Result<Standin> {
    server::start(settings).await
}
