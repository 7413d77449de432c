//! The queues of the benchmark. Each has a table of the same name.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

/// Rows are appended.
pub const APPENDED: &str = "bench";
/// Rows are merged by id and time.
pub const MERGED: &str = "bench_merged";
/// Rows are appended, with `load.write_once`.
pub const WRITTEN_ONCE: &str = "bench_once";
/// The source bucket.
pub const BUCKET: &str = "rs-loader-bench";
/// Number of tables that receive files at the same time.
const MANY: usize = 50;

/// Names of the tables that receive files at the same time.
pub fn many() -> Vec<String> {
    (1..=MANY).map(|number| format!("bench_{number:02}")).collect()
}

/// Writes the configurations to a separate folder.
pub fn write(dir: &Path) -> Result<PathBuf> {
    let folder = dir.join("queues");
    std::fs::create_dir_all(&folder)?;
    let mut merged = appended(MERGED);
    merged["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
    let mut written_once = appended(WRITTEN_ONCE);
    written_once["load"] = json!({"write_once": true});
    let many = many().into_iter().map(|name| (appended(&name), name));
    let all = [(appended(APPENDED), APPENDED.to_owned()), (merged, MERGED.to_owned())];
    for (document, name) in all.into_iter().chain([(written_once, WRITTEN_ONCE.to_owned())]).chain(many) {
        std::fs::write(folder.join(format!("{name}.json")), format!("{document:#}\n"))?;
    }
    Ok(folder)
}

fn appended(name: &str) -> Value {
    json!({
        "source": format!("s3://{BUCKET}/{name}/"),
        "copy": {"table_name": name, "role_arn": "default", "options": "CSV"},
        "cluster": {"identifier": "analytics", "db_name": "dev"},
    })
}
