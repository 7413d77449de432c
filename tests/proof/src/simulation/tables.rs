//! The tables of a simulation: their queues, configurations and folders.

use std::sync::Arc;

use loader_core::config::LoadConfig;
use serde_json::{Value, json};

use crate::fixture::{BUCKET, config};

pub use crate::fixture::queue as queue_name;

/// The configuration of a table. Its number determines its kind.
pub fn config_of(table: usize, paused: bool) -> Arc<LoadConfig> {
    let files_max = if table % 4 == 2 { 2_000 } else { 3 + table % 17 };
    let mut more = json!({"load": {"paused": paused, "files_max": files_max, "write_once": is_write_once(table)}});
    match table % 6 {
        1 => more["warehouse"] = json!({"name": "c", "freshness_seconds": 300, "concurrent_loads_max": 2}),
        2 => more["load"]["age_seconds"] = json!(5),
        4 => {
            more["warehouse"] = json!({"name": "c", "freshness_seconds": 300});
            more["load"]["age_seconds"] = json!(0);
        }
        5 => more["load"]["timeout_minutes"] = json!(10),
        _ => {}
    }
    if table % 4 == 1 {
        more["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
    }
    if table % 3 == 1 {
        more["options"]["on_schema_change"] = json!("fail");
    }
    if is_growing(table) {
        more["options"]["on_schema_change"] = json!("add_columns");
    }
    if table % 5 == 4 {
        more["options"]["ledger_table"] = json!("public.loads");
    }
    config(&format!("t{table}"), &more)
}

/// Whether objects of this table are never overwritten.
pub const fn is_write_once(table: usize) -> bool {
    table % 5 == 3
}

/// Whether this table gets the columns that its files have.
pub const fn is_growing(table: usize) -> bool {
    matches!(table % 6, 2 | 3)
}

/// The columns of a table's file, by its position; nothing tells them where the table does not get them.
pub const fn shape_of(table: usize, position: usize) -> &'static [&'static str] {
    match position % 3 {
        _ if !is_growing(table) => &[],
        0 => &["id", "at"],
        1 => &["x", "id", "at"],
        _ => &["id", "y", "at", "x"],
    }
}

/// A bulk request for a table's folder.
pub fn bulk_request(table: usize) -> Value {
    let policy = if is_growing(table) { "add_columns" } else { "fail" };
    let folder = format!("s3://{BUCKET}/t{table}");
    json!({"paths": [{"s3_path": folder, "table": format!("t{table}"), "options": {"on_schema_change": policy}}],
        "copy": {"role_arn": "default"}, "cluster": {"identifier": "c", "db_name": "d"}})
}
