//! The path from a file in S3 to a row in the warehouse, judged from outside: real binaries, real HTTP, real SQL.
//!
//! `world` brings up one local stack per test binary, with IAM enforced, and deploys the loader; `table` is one table under test
//! with its own queue, bucket and rows; `xtask` runs the commands of a user; `page` reads the commands and files that the project's pages show, `shown` compares
//! output with what they show, `runbook` runs the commands of the runbook; `steps` tells how far a load is; `alarms` evaluates the template's alarms; `role` takes
//! permissions away; `counted` counts what the functions call; `columnar` makes Parquet files; `browser` opens a page as a person does. Nothing here looks into
//! the functions: it drops files, disturbs calls, and compares rows.

pub mod alarms;
pub mod browser;
pub mod columnar;
pub mod counted;
pub mod page;
pub mod programs;
pub mod role;
pub mod runbook;
pub mod shown;
pub mod steps;
pub mod table;
pub mod world;
pub mod xtask;
