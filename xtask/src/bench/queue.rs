//! The one queue of the benchmark, and its table of the same name.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

/// The table; its queue has the same name.
pub const TABLE: &str = "bench";
/// The source bucket.
pub const BUCKET: &str = "rs-loader-bench";

/// The configuration of the benchmark's queue, in a folder of its own.
pub fn write(dir: &Path) -> Result<PathBuf> {
    let folder = dir.join("queues");
    std::fs::create_dir_all(&folder)?;
    let document = json!({
        "source": format!("s3://{BUCKET}/{TABLE}/"),
        "copy": {"table_name": TABLE, "role_arn": "default", "options": "CSV"},
        "cluster": {"identifier": "analytics", "db_name": "dev"},
    });
    std::fs::write(folder.join(format!("{TABLE}.json")), format!("{document:#}\n"))?;
    Ok(folder)
}
