//! COPY, executed for real.
//!
//! | file | subject |
//! | --- | --- |
//! | `command`, `options` | the text of the command, parsed completely |
//! | `role` | whether the warehouse may assume the role |
//! | `target` | the table and the columns that are loaded |
//! | `location`, `source` | the objects: manifest or key prefix, read from S3 |
//! | `parquet`, `text`, `json` | the rows in an object |
//! | `convert`, `moment` | a value as the type of its column, or the reason why it is none |
//! | `insert` | the rows' way into the table |
//! | `failure` | `sys_load_error_detail` |

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
