//! BulkLoader: whole folders become pending loads; then their tables are reconciled; the answer says how far each is.

use std::collections::BTreeSet;

use loader_core::bulk_request::BulkPath;
use loader_core::ids::{DbTable, ObjectVersion, WaitingObject};
use loader_core::tracker::item::{ConfigSource, PendingLoad};
use loader_core::tracker::slot::Step;
use loader_core::tracker::view::TableState;
use serde::Serialize;

use crate::ports::{PortError, PortResult, World};
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
    /// Objects that were neither loaded nor waiting; they are recorded now.
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
        let (answer, places) = record_path(world, path).await;
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

async fn record_path<W: World>(world: &W, path: &BulkPath) -> (PathAnswer, Places) {
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
    let unknown = match unknown(world, &objects, &path.config.db_table()).await {
        Ok(unknown) => unknown,
        Err(error) => {
            answer.state = "failed";
            answer.error = Some(format!("cannot read the ledger, send the request again: {error}"));
            return (answer, Places::new());
        }
    };
    let source = ConfigSource { queue: None, recorded: path.config.clone() };
    let Recorded { n_recorded, failed } = record(world, &unknown, &source).await;
    answer.new_objects = n_recorded;
    answer.state = match (objects.is_empty(), failed.is_empty()) {
        (_, false) => "failed",
        (true, true) => "empty",
        (false, true) => WAITING,
    };
    answer.error = failed
        .first()
        .map(|(_, error)| format!("{} objects are not recorded, send the request again: {error}", failed.len()));
    (answer, objects.iter().map(place).collect())
}

/// The objects that neither the ledger nor a waiting load has. Leaving out the others keeps them from filling the backlog; that nothing
/// is loaded twice does not depend on it.
async fn unknown<W: World>(world: &W, objects: &[WaitingObject], table: &DbTable) -> PortResult<Vec<WaitingObject>> {
    let ids: BTreeSet<String> = objects.iter().map(|waiting| waiting.object.id()).collect();
    let ledger = world.ledger(table, &ids, world.now()).await?;
    let state = whole_state(world, table).await?;
    let waits: BTreeSet<&ObjectVersion> =
        state.backlog.iter().flat_map(|pending| &pending.objects).map(|waiting| &waiting.object).collect();
    let is_new =
        |waiting: &&WaitingObject| !ledger.contains_key(&waiting.object.id()) && !waits.contains(&waiting.object);
    Ok(objects.iter().filter(is_new).cloned().collect())
}

/// The slot and as many of the loads that wait as are ever read.
async fn whole_state<W: World>(world: &W, table: &DbTable) -> PortResult<TableState> {
    let mut state = world.state(table).await?;
    if !state.complete {
        (state.backlog, state.complete) = world.backlog(table, BACKLOG_READ_MAX).await?;
    }
    Ok(state)
}

/// Looks for the path's objects in the slot, then in the backlog. By key: a newer version may load in an older one's place.
async fn locate<W: World>(
    world: &W,
    answer: &mut PathAnswer,
    places: &Places,
    table: &DbTable,
) -> Result<(), PortError> {
    let holds = |pendings: &[PendingLoad]| {
        pendings.iter().flat_map(|pending| &pending.objects).any(|waiting| places.contains(&place(waiting)))
    };
    let state = whole_state(world, table).await?;
    if let Some(load) = state.slot.load
        && holds(&world.pendings(table, &load.pending_keys).await?)
    {
        if let Step::Submitted { statement_id, .. } = load.step {
            answer.statement_id = Some(statement_id);
            answer.state = "submitted";
        }
        return Ok(());
    }
    if state.complete && !holds(&state.backlog) {
        answer.state = "loaded";
    }
    Ok(())
}

fn place(waiting: &WaitingObject) -> (String, String) {
    (waiting.object.bucket.clone(), waiting.object.key.clone())
}
