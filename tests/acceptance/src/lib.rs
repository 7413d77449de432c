//! End-to-end tests, from a file in S3 to a row in the warehouse, with real binaries, HTTP and SQL.
//!
//! | file | subject |
//! | --- | --- |
//! | `world` | starts a local stack for each test binary, with IAM enforced, and deploys the loader |
//! | `table` | a table under test, with its queue, bucket and rows |
//! | `xtask` | commands as a user runs them |
//! | `page` | the commands and files that the project's pages show |
//! | `shown` | compares output with what a page shows |
//! | `runbook` | the commands of the runbook |
//! | `steps` | the progress of a table's loads |
//! | `alarms` | evaluates the template's alarms |
//! | `role` | removes permissions |
//! | `counted` | counts the functions' calls |
//! | `columnar` | creates Parquet files |
//! | `browser` | opens a page |
//!
//! Nothing here looks into the functions: tests put files, inject faults, and compare rows.

pub mod alarms;
pub mod browser;
pub mod columnar;
pub mod counted;
pub mod inventory;
pub mod page;
pub mod programs;
pub mod role;
pub mod runbook;
pub mod shown;
pub mod steps;
pub mod table;
pub mod world;
pub mod xtask;
