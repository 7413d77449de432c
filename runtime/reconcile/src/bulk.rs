//! BulkLoader: whole folders become pending loads; then their tables are reconciled; the answer says how far each is.
//!
//! A folder is read page by page, each page recorded before the next is read: memory does not grow with the folder, and what was recorded
//! stays recorded whatever happens to the invocation.

use std::collections::BTreeSet;

use loader_core::bulk_request::{BulkPath, Position};
use loader_core::config::SourceFolder;
use loader_core::ids::{DbTable, ObjectVersion, WaitingObject};
use loader_core::tracker::item::{ConfigSource, PendingLoad};
use loader_core::tracker::slot::Step;
use loader_core::tracker::view::TableState;
use serde::Serialize;

use crate::ports::{Listed, PortError, PortResult, World};
use crate::reconcile::{BACKLOG_READ_MAX, Invocation, reconcile};
use crate::record::{Recorded, record};

/// State of a path of which something waits.
const WAITING: &str = "waiting";
/// State of a path whose end the invocation did not reach.
const PARTIAL: &str = "partial";
/// State of a path that was only counted.
const COUNTED: &str = "counted";
/// State of a path that could not be recorded.
const FAILED: &str = "failed";
/// Time that is kept for starting the loads, in milliseconds: no page is read after it has begun.
const RECONCILE_MILLIS: i64 = 20_000;

/// What became of one path. The first three fields and `state` are users' scripts'.
#[derive(Clone, Debug, Serialize)]
pub struct PathAnswer {
    /// As the request has it.
    pub s3_path: String,
    /// As the request has it.
    pub table: String,
    /// The statement that the table's slot runs now for objects of this path; null while they wait.
    pub statement_id: Option<String>,
    /// `submitted`, `waiting`, `loaded` (nothing of it waits: it is loaded, or in quarantine), `empty`, `partial` (send the request again
    /// with `position`), `counted` (a dry run) or `failed`.
    pub state: &'static str,
    /// Objects below the path that are meant.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were neither loaded nor waiting; unless the run is dry, they are recorded now.
    pub new_objects: usize,
    /// Where the listing goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Why the path, or some of its objects, could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Handles a request that was read.
pub async fn handle<W: World>(world: &W, paths: &[BulkPath], invocation: &Invocation) -> Vec<PathAnswer> {
    let mut answers = Vec::new();
    // Also where everything was accepted before: who recorded it may have died before the table was reconciled.
    let mut tables: BTreeSet<DbTable> = BTreeSet::new();
    for path in paths {
        let answer = record_path(world, path, invocation).await;
        if answer.objects > 0 && !path.selection.dry_run {
            tables.insert(path.config.db_table());
        }
        answers.push(answer);
    }
    for table in &tables {
        reconcile(world, table, invocation, None).await;
    }
    for (answer, path) in answers.iter_mut().zip(paths) {
        if answer.state == WAITING {
            // Where this cannot be read, it waits for all that is known.
            let _ = locate(world, answer, &path.folder, &path.config.db_table()).await;
        }
    }
    answers
}

/// Where nobody reads the answer, a path that is not recorded whole is an error: the invocation is repeated, goes on from what is recorded
/// already, and in the end is given up where somebody looks.
pub fn check_done(answers: &[PathAnswer]) -> Result<(), String> {
    let open = answers.iter().find(|answer| [PARTIAL, FAILED].contains(&answer.state));
    open.map_or(Ok(()), |answer| {
        let why = answer.error.as_deref().unwrap_or("the time was over before the end of the folder");
        Err(format!("{} is not recorded whole for {}: {why}", answer.s3_path, answer.table))
    })
}

async fn record_path<W: World>(world: &W, path: &BulkPath, invocation: &Invocation) -> PathAnswer {
    let mut answer = PathAnswer {
        s3_path: path.s3_path.clone(),
        table: path.table.clone(),
        statement_id: None,
        state: "empty",
        objects: 0,
        bytes: 0,
        new_objects: 0,
        position: path.position.clone(),
        error: None,
    };
    match record_pages(world, path, invocation, &mut answer).await {
        Ok(()) if answer.position.is_some() => answer.state = PARTIAL,
        Ok(()) if path.selection.dry_run => answer.state = COUNTED,
        Ok(()) if answer.objects > 0 => answer.state = WAITING,
        Ok(()) => {}
        Err(error) => (answer.state, answer.error) = (FAILED, Some(error)),
    }
    answer
}

/// Records page after page; the answer's position stays where the next one begins.
async fn record_pages<W: World>(
    world: &W,
    path: &BulkPath,
    invocation: &Invocation,
    answer: &mut PathAnswer,
) -> Result<(), String> {
    let table = path.config.db_table();
    let ledger = |error: PortError| format!("cannot read the ledger, send the request again: {error}");
    let waits = waiting_objects(world, &table).await.map_err(ledger)?;
    let source = ConfigSource { queue: None, recorded: path.config.clone() };
    loop {
        let page = world.list(&path.folder.bucket, &path.folder.prefix, answer.position.clone()).await;
        let page = page.map_err(|error| format!("cannot list {}: {error}", path.s3_path))?;
        let meant = |listed: &Listed| path.selection.holds(listed.modified_millis).then(|| listed.waiting.clone());
        let objects: Vec<WaitingObject> = page.objects.iter().filter_map(meant).collect();
        let unknown = unknown(world, &objects, &table, &waits).await.map_err(ledger)?;
        answer.objects += objects.len();
        answer.bytes += objects.iter().map(|waiting| waiting.size_bytes).sum::<u64>();
        if path.selection.dry_run {
            answer.new_objects += unknown.len();
        } else {
            let Recorded { n_recorded, failed } = record(world, &unknown, &source).await;
            answer.new_objects += n_recorded;
            if let Some((_, error)) = failed.first() {
                return Err(format!("{} objects are not recorded, send the request again: {error}", failed.len()));
            }
        }
        answer.position = page.next;
        if answer.position.is_none() || world.now() + RECONCILE_MILLIS >= invocation.deadline {
            return Ok(());
        }
    }
}

/// The objects that neither the ledger nor a waiting load has. Leaving out the others keeps them from filling the backlog; that nothing
/// is loaded twice does not depend on it.
async fn unknown<W: World>(
    world: &W,
    objects: &[WaitingObject],
    table: &DbTable,
    waits: &BTreeSet<ObjectVersion>,
) -> PortResult<Vec<WaitingObject>> {
    let ids: BTreeSet<String> = objects.iter().map(|waiting| waiting.object.id()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ledger = world.ledger(table, &ids, world.now()).await?;
    let is_new =
        |waiting: &&WaitingObject| !ledger.contains_key(&waiting.object.id()) && !waits.contains(&waiting.object);
    Ok(objects.iter().filter(is_new).cloned().collect())
}

/// Objects that wait already, as many as are read.
async fn waiting_objects<W: World>(world: &W, table: &DbTable) -> PortResult<BTreeSet<ObjectVersion>> {
    let state = whole_state(world, table).await?;
    let objects = state.backlog.into_iter().flat_map(|pending| pending.objects);
    Ok(objects.map(|waiting| waiting.object).collect())
}

/// The slot and as many of the loads that wait as are ever read.
async fn whole_state<W: World>(world: &W, table: &DbTable) -> PortResult<TableState> {
    let mut state = world.state(table).await?;
    if !state.complete {
        (state.backlog, state.complete) = world.backlog(table, BACKLOG_READ_MAX).await?;
    }
    Ok(state)
}

/// Looks for objects of the folder in the slot, then in the backlog.
async fn locate<W: World>(
    world: &W,
    answer: &mut PathAnswer,
    folder: &SourceFolder,
    table: &DbTable,
) -> Result<(), PortError> {
    let is_below = |waiting: &WaitingObject| {
        waiting.object.bucket == folder.bucket && waiting.object.key.starts_with(&folder.prefix)
    };
    let holds = |pendings: &[PendingLoad]| pendings.iter().flat_map(|pending| &pending.objects).any(is_below);
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
