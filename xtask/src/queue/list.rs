//! `cargo xtask queue list`: the configurations of a folder, one line each.

use anyhow::Result;
use loader_core::config::{LoadConfig, LoadMode};
use serde_json::json;
use synth::QueueFile;

use crate::ground::output::Out;
use crate::ground::running;

pub fn run(out: Out, queues: &[QueueFile]) -> Result<()> {
    let mut rows = Vec::new();
    for queue in queues {
        let source = queue.config.source.as_ref().map(|source| format!("s3://{}/{}", source.bucket, source.prefix));
        let (table, mode) = (queue.config.db_table().0, mode(&queue.config));
        out.line(format!("   {:<20} {table:<40} {mode:<8} {}", queue.name, source.as_deref().unwrap_or("-")));
        rows.push(
            json!({"name": queue.name, "table": table, "mode": mode, "source": source, "paused": queue.config.paused}),
        );
    }
    if running::is_up() {
        out.line(out.dim("   these are the files of the clone; what the local stack has: cargo xtask status --local"));
    }
    out.result(&rows)
}

fn mode(config: &LoadConfig) -> &'static str {
    match config.mode {
        LoadMode::Append => "append",
        LoadMode::Replace { .. } => "merge",
        LoadMode::Versions { .. } => "versions",
    }
}
