//! BulkLoader: whole folders become pending loads, and then their tables are reconciled. The answer says how far each folder is.
//!
//! If the invocation ends or dies before the end of a folder, the sweep continues it: see [`crate::listing`].

use std::collections::BTreeSet;

use loader_core::bulk_request::{BulkPath, Position, instant_text};
use loader_core::config::SourceFolder;
use loader_core::ids::{DbTable, WaitingObject};
use loader_core::tracker::item::PendingLoad;
use loader_core::tracker::slot::Step;
use loader_core::tracker::view::TableState;
use serde::Serialize;

use crate::listing::{End, Reading};
use crate::ports::{PortError, PortResult, World};
use crate::reconcile::{Invocation, reconcile};

/// Maximum number of pending loads to read for an answer.
const BACKLOG_READ_MAX: usize = 10_000;
/// State of a path with objects that are waiting.
const WAITING: &str = "waiting";
/// State of a path that was not read to its end.
const PARTIAL: &str = "partial";
/// State of a path that was only counted.
const COUNTED: &str = "counted";
/// State of a path that could not be recorded.
const FAILED: &str = "failed";

/// The result for one path. Users' scripts read the first three fields and `state`.
#[derive(Clone, Debug, Serialize)]
pub struct PathAnswer {
    /// As in the request.
    pub s3_path: String,
    /// As in the request.
    pub table: String,
    /// The statement that the table's running load has submitted, if it loads objects of this path; null while they are waiting.
    pub statement_id: Option<String>,
    /// `submitted`, `waiting`, `loaded` (nothing of the path is waiting: it is loaded or in quarantine), `empty`, `partial` (the time ended
    /// before the end of the folder), `counted` (a dry run) or `failed`.
    pub state: &'static str,
    /// Number of selected objects found below the path so far.
    pub objects: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Number of objects that were neither loaded nor waiting. Except in a dry run, they are now recorded.
    pub new_objects: u64,
    /// Those of them that were loaded before and are loaded again, because the request has `force`.
    #[serde(skip_serializing_if = "is_zero")]
    pub again_objects: u64,
    /// The instant of `force`: what was loaded before it is loaded again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<String>,
    /// How far the listing is. To continue a dry run, send a request with this position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Whether the loader continues on its own: the request is stored with its position.
    pub goes_on: bool,
    /// Why the path, or some of its objects, could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Handles a parsed request. Each path has one answer, in order.
pub async fn handle<W: World>(world: &W, paths: &[BulkPath], invocation: &Invocation) -> Vec<PathAnswer> {
    let mut answers = Vec::new();
    // Also if everything was recorded before: that invocation may have died before it reconciled the table.
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
            // If this cannot be read, `waiting` remains the best answer.
            let _ = locate(world, answer, &path.folder, &path.config.db_table()).await;
        }
    }
    answers
}

/// For a request whose answer no one reads: an error if a path failed, unless the loader continues it. Lambda then repeats the invocation,
/// and its final failure raises an alarm.
pub fn check_done(answers: &[PathAnswer]) -> Result<(), String> {
    let failed = answers.iter().find(|answer| answer.state == FAILED);
    failed.map_or(Ok(()), |answer| {
        let why = answer.error.as_deref().unwrap_or_default();
        Err(format!("{} is not recorded whole for {}: {why}", answer.s3_path, answer.table))
    })
}

async fn record_path<W: World>(world: &W, path: &BulkPath, invocation: &Invocation) -> PathAnswer {
    let mut reading = Reading::new(world, path, invocation);
    let end = reading.read().await;
    let goes_on = end != End::Whole && !path.selection.dry_run && (end == End::Rest || reading.is_stored());
    let counts = reading.counts;
    let state = match &end {
        End::Failed(_) if !goes_on => FAILED,
        End::Rest | End::Failed(_) => PARTIAL,
        End::Whole if path.selection.dry_run => COUNTED,
        End::Whole if counts.objects > 0 => WAITING,
        End::Whole => "empty",
    };
    PathAnswer {
        s3_path: path.s3_path.clone(),
        table: path.table.clone(),
        statement_id: None,
        state,
        objects: counts.objects,
        bytes: counts.bytes,
        new_objects: counts.new_objects,
        again_objects: counts.again_objects,
        force: reading.again_before.map(instant_text),
        position: reading.position,
        goes_on,
        error: if let End::Failed(why) = end { Some(why) } else { None },
    }
}

/// The slot and the backlog, or as much of a long one as two loads take.
async fn whole_state<W: World>(world: &W, table: &DbTable) -> PortResult<TableState> {
    let mut state = world.state(table).await?;
    if !state.complete {
        let (backlog, rest) = world.backlog(table, BACKLOG_READ_MAX).await?;
        (state.backlog, state.complete) = (backlog, rest.is_none());
    }
    Ok(state)
}

/// Looks for objects of the folder in the running load, then in the backlog.
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
