//! All decisions of the loader, and none of its effects.
//!
//! This crate is pure: no clock, network, environment, SDK type or async. Time, service responses and external text come in as values;
//! decisions, SQL, manifests and conditional writes go out as values. The adapters (`loader-aws`) perform them; the model checker and the
//! simulation (`proof`) check them.

#![warn(missing_docs)]

pub mod bulk_request;
pub mod config;
pub mod contract;
pub mod copy_options;
pub mod csv_header;
pub mod drift;
pub mod fit;
pub mod folder;
pub mod ident;
pub mod ids;
pub mod inventory;
pub mod json_keys;
pub mod limits;
pub mod manifest;
pub mod outcome;
pub mod pace;
pub mod parquet;
pub mod problem;
pub mod s3_event;
pub mod schedule;
#[cfg(feature = "schema")]
pub mod schema;
pub mod settings;
pub mod sql;
pub mod statement_event;
pub mod tracker;
