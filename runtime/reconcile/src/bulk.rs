//! BulkLoader: whole folders become pending loads; then their tables are reconciled; the answer says how far each is.

use std::collections::BTreeSet;

use loader_core::bulk_request::BulkPath;
use loader_core::ids::DbTable;
use loader_core::tracker::item::{ConfigSource, PendingLoad, Step, WaitingObject};
use serde::Serialize;

use crate::ports::{Answer, World};
use crate::reconcile::{BACKLOG_READ_MAX, Invocation, reconcile};
use crate::record::{Recorded, record};

/// State of a path of which something waits.
const WAITING: &str = "waiting";

/// What became of one path. The first three fields and `state` are users' scripts'.
#[derive(Clone, Debug, Serialize)]
pub struct PathAnswer {
    /// As the request has it.
    pub s3_path: String,
    /// As the request has it.
    pub table: String,
    /// The statement that the table's slot runs now for objects of this path; null while they wait.
    pub statement_id: Option<String>,
    /// `submitted`, `waiting`, `loaded` (nothing of it waits: it is loaded, or in quarantine), `empty` or `failed`.
    pub state: &'static str,
    /// Objects below the path.
    pub objects: usize,
    /// Objects that were not accepted before.
    pub new_objects: usize,
    /// Why the path, or some of its objects, could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Buckets and keys below a path.
type Places = BTreeSet<(String, String)>;

/// Handles a request that was read.
pub async fn handle<W: World>(world: &W, paths: &[BulkPath], invocation: &Invocation) -> Vec<PathAnswer> {
    let mut answers = Vec::new();
    // Also where everything was accepted before: who recorded it may have died before the table was reconciled.
    let mut tables: BTreeSet<DbTable> = BTreeSet::new();
    for path in paths {
        let (answer, places) = record_path(world, path, invocation).await;
        if !places.is_empty() {
            tables.insert(path.config.db_table());
        }
        answers.push((answer, places));
    }
    for table in &tables {
        reconcile(world, table, invocation, None).await;
    }
    for ((answer, places), path) in answers.iter_mut().zip(paths) {
        if answer.state == WAITING {
            // Where this cannot be read, it waits for all that is known.
            let _ = locate(world, answer, places, &path.config.db_table()).await;
        }
    }
    answers.into_iter().map(|(answer, _)| answer).collect()
}

async fn record_path<W: World>(world: &W, path: &BulkPath, invocation: &Invocation) -> (PathAnswer, Places) {
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
            return (answer, Places::new());
        }
    };
    answer.objects = objects.len();
    let source = ConfigSource { queue: None, recorded: path.config.clone() };
    let Recorded { new, known, failed } = record(world, &objects, &source, invocation).await;
    answer.new_objects = new;
    answer.state = match (new + known, failed.is_empty()) {
        (_, false) => "failed",
        (0, true) => "empty",
        (_, true) => WAITING,
    };
    answer.error = failed
        .first()
        .map(|(_, error)| format!("{} objects are not recorded, send the request again: {error}", failed.len()));
    (answer, objects.iter().map(place).collect())
}

/// Looks for the path's objects in the slot, then in the backlog. By key: a newer version may load in an older one's place.
async fn locate<W: World>(world: &W, answer: &mut PathAnswer, places: &Places, table: &DbTable) -> Answer<()> {
    let holds = |pendings: &[PendingLoad]| {
        pendings.iter().flat_map(|pending| &pending.objects).any(|waiting| places.contains(&place(waiting)))
    };
    if let Some(running) = world.running(table).await?
        && holds(&world.pendings(table, &running.pending_keys).await?)
    {
        if let Step::Submitted { statement_id, .. } = running.step {
            answer.statement_id = Some(statement_id);
            answer.state = "submitted";
        }
        return Ok(());
    }
    let backlog = world.backlog(table, BACKLOG_READ_MAX).await?;
    if backlog.len() < BACKLOG_READ_MAX && !holds(&backlog) {
        answer.state = "loaded";
    }
    Ok(())
}

fn place(waiting: &WaitingObject) -> (String, String) {
    (waiting.object.bucket.clone(), waiting.object.key.clone())
}
