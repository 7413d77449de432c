//! BulkLoader: whole folders become pending loads; then their tables are reconciled; the answer says how far each is.

use std::collections::BTreeSet;

use loader_core::bulk_request::BulkPath;
use loader_core::ids::DbTable;
use loader_core::tracker::item::{ConfigSource, RunningLoad, Step};
use serde::Serialize;

use crate::ports::World;
use crate::reconcile::{Invocation, reconcile};
use crate::record::{Recorded, record};

/// What became of one path. The first three fields and `state` are users' scripts'.
#[derive(Clone, Debug, Serialize)]
pub struct PathAnswer {
    /// As the request has it.
    pub s3_path: String,
    /// As the request has it.
    pub table: String,
    /// The statement that the table's slot runs now for objects of this path; null while they wait.
    pub statement_id: Option<String>,
    /// `submitted`, `waiting`, `loaded` (everything here was accepted before), `empty` or `failed`.
    pub state: &'static str,
    /// Objects below the path.
    pub objects: usize,
    /// Objects that were not accepted before.
    pub new_objects: usize,
    /// Why the path, or some of its objects, could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Handles a request that was read.
pub async fn handle<W: World>(world: &W, paths: &[BulkPath], invocation: &Invocation) -> Vec<PathAnswer> {
    let mut answers = Vec::new();
    let mut tables: BTreeSet<DbTable> = BTreeSet::new();
    for path in paths {
        let answer = record_path(world, path, invocation).await;
        if answer.new_objects > 0 {
            tables.insert(path.config.db_table());
        }
        answers.push(answer);
    }
    for table in &tables {
        reconcile(world, table, invocation, None).await;
    }
    for (answer, path) in answers.iter_mut().zip(paths) {
        if answer.state == "waiting" {
            locate(world, answer, path).await;
        }
    }
    answers
}

async fn record_path<W: World>(world: &W, path: &BulkPath, invocation: &Invocation) -> PathAnswer {
    let mut answer = PathAnswer {
        s3_path: path.s3_path.clone(),
        table: path.table.clone(),
        statement_id: None,
        state: "empty",
        objects: 0,
        new_objects: 0,
        error: None,
    };
    let objects = match world.list(&path.folder.bucket, &path.folder.prefix).await {
        Ok(objects) => objects,
        Err(error) => {
            answer.state = "failed";
            answer.error = Some(format!("cannot list {}: {error}", path.s3_path));
            return answer;
        }
    };
    answer.objects = objects.len();
    let source = ConfigSource { queue: None, recorded: path.config.clone() };
    let Recorded { new, known, failed } = record(world, &objects, &source, invocation).await;
    answer.new_objects = new;
    answer.state = match (new, known, failed.is_empty()) {
        (_, _, false) => "failed",
        (0, 0, true) => "empty",
        (0, _, true) => "loaded",
        (_, _, true) => "waiting",
    };
    answer.error = failed
        .first()
        .map(|(_, error)| format!("{} objects are not recorded, send the request again: {error}", failed.len()));
    answer
}

/// The path's objects are being loaded when the running load was recorded from this path's configuration.
async fn locate<W: World>(world: &W, answer: &mut PathAnswer, path: &BulkPath) {
    let Ok(Some(running)) = world.running(&path.config.db_table()).await else { return };
    if running.source.queue.is_none() && running.source.recorded == path.config && is_submitted(&running) {
        answer.statement_id = running.statement_id().map(ToOwned::to_owned);
        answer.state = "submitted";
    }
}

const fn is_submitted(running: &RunningLoad) -> bool {
    matches!(running.step, Step::Submitted { .. })
}
