//! Executes COPY.
//!
//! | file | subject |
//! | --- | --- |
//! | `command`, `options` | parses the command |
//! | `role` | whether the warehouse may assume the role |
//! | `target` | the table, and the columns that are loaded |
//! | `location`, `source` | reads the objects of a manifest or key prefix from S3 |
//! | `parquet`, `text`, `json` | reads the rows of an object |
//! | `convert`, `moment` | converts values to the types of their columns |
//! | `insert` | writes the rows into the table |
//! | `failure` | records load errors in `sys_load_error_detail` |

pub mod command;
mod convert;
mod failure;
mod insert;
mod json;
mod location;
mod moment;
mod options;
mod parquet;
mod role;
mod source;
mod target;
mod text;

pub use command::{CopyCommand, Loading};
pub use failure::{BadRow, CopyFailure, record};
pub use insert::run;
pub use role::Assuming;
