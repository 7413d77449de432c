//! Decides what was read of a table means: its state, its health, and what someone should do. Pure.

use loader_core::outcome::FailureClass;
use loader_core::tracker::item::{History, Millis};
use loader_core::tracker::slot::{RunningLoad, Slot, Step};
use loader_core::tracker::view::View;
use loader_core::tracker::waits::Waits;

use super::read::{Facts, QueueFacts};
use super::report::{Health, LastLoad, Paused, Queue, Running, State, TableReport};
use crate::ground::output::{counted, short_age};
use crate::operate::freshness;
use crate::operate::records::Quarantine;
use crate::operate::tables::{one_line, short_name, step};

/// While a function works on a load, it writes to the tracker at least this often, in milliseconds; after that, the sweep takes over.
const UNTOUCHED_MILLIS: Millis = 60_000;

/// The report on a table. `flags` are the options that the advised commands need to select this stack.
pub fn judge(facts: Facts, flags: &str, now: Millis) -> TableReport {
    let state = state(&facts);
    let waits = Waits::of(&view(&facts));
    let late_at_millis = waits.as_ref().map(|waits| waits.late_at_millis);
    let is_late = late_at_millis.is_some_and(|at| at < now);
    let queue_is_broken = |queue: &QueueFacts| queue.config.is_err() || queue.dead_letters.is_some_and(|n| n > 0);
    let is_broken = !facts.quarantine.is_empty()
        || matches!(state, State::Operator | State::Unknown)
        || facts.queues.iter().any(queue_is_broken);
    let health = match (is_broken, is_late) {
        (true, _) => Health::Broken,
        (false, true) => Health::Late,
        (false, false) => Health::Healthy,
    };
    let objects = facts.state.backlog.iter().flat_map(|pending| &pending.objects);
    TableReport {
        health,
        state,
        advice: advice(&facts, state, is_late, flags, now),
        pending_loads: facts.state.backlog.len(),
        waiting_objects: objects.clone().count(),
        waiting_bytes: objects.map(|waiting| waiting.size_bytes).sum(),
        oldest_waiting_since_millis: waits.map(|waits| waits.since_millis),
        late_at_millis,
        running: running(&facts.state.slot),
        paused: paused(&facts.state.slot),
        last_load: facts.last.as_ref().map(last_load),
        loads_last_hour: facts.hour.len(),
        freshness_p90_millis: freshness::within(90, facts.hour.iter().map(freshness::of)),
        quarantine: facts.quarantine.iter().map(Quarantine::from).collect(),
        queues: facts.queues.iter().map(queue).collect(),
        table: facts.table,
    }
}

fn state(facts: &Facts) -> State {
    let is_paused = facts.state.slot.pause.is_some()
        || !facts.queues.is_empty() && facts.queues.iter().all(|queue| queue.config.as_ref().is_ok_and(|it| it.paused));
    match facts.state.slot.load.as_ref().map(|load| &load.step) {
        // A statement that may have been submitted runs to its end, paused or not.
        Some(Step::Claimed | Step::Waiting { .. }) | None if is_paused => State::Paused,
        Some(Step::Prepared(prepared)) if prepared.refusals == 0 => State::Loading,
        Some(Step::Claimed | Step::Submitted { .. }) => State::Loading,
        Some(Step::Waiting { class: FailureClass::OperatorsTurn, .. }) => State::Operator,
        Some(Step::Prepared(_) | Step::Waiting { .. }) => State::Retrying,
        Some(Step::GivenUp { .. }) => State::Unknown,
        None if !facts.state.backlog.is_empty() => State::Waiting,
        None if facts.last.is_none() && facts.quarantine.is_empty() => State::New,
        None => State::Idle,
    }
}

/// The table as the functions see it, with the current files of its queues.
fn view(facts: &Facts) -> View {
    let config = |queue: &QueueFacts| queue.config.clone().ok().map(|config| (queue.name.clone(), config));
    View { configs: facts.queues.iter().filter_map(config).collect(), ..View::read(facts.state.clone()) }
}

fn advice(facts: &Facts, state: State, is_late: bool, flags: &str, now: Millis) -> Vec<String> {
    let table = facts.table.as_deref().map(short_name).unwrap_or_default() + flags;
    let mut advice = Vec::new();
    if let Some(pause) = &facts.state.slot.pause {
        let why = pause.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let since = short_age(now - pause.since_millis);
        advice.push(format!("{} paused it {since} ago{why}; to resume: cargo xtask unpause {table}", pause.by));
    } else if state == State::Paused {
        advice.push("paused by `load.paused` in its queue's file; to resume: change the file, then deploy".to_owned());
    }
    if let Some(load) = &facts.state.slot.load {
        advice.extend(about(load, &table, flags, state, is_late, now));
    } else if is_late && state == State::Waiting {
        advice.push(format!(
            "late, and no load is running: run cargo xtask resume {table}; if that changes nothing, check that the sweep runs: cargo xtask logs{flags}"
        ));
    }
    if !facts.quarantine.is_empty() {
        let n_objects: usize = facts.quarantine.iter().map(|failed| failed.objects.len()).sum();
        let unknown = facts.quarantine.iter().any(|failed| failed.class == FailureClass::OutcomeUnknown);
        let look = if unknown { ", for outcome_unknown only after checking the table" } else { "" };
        advice.push(format!(
            "{} in quarantine: correct and upload again, or correct the table and run cargo xtask retry {table}{look}; \
             to discard instead: cargo xtask dismiss {table}",
            counted(n_objects, "file")
        ));
    }
    advice.extend(facts.queues.iter().flat_map(|queue| about_queue(queue, flags)));
    advice
}

fn about(load: &RunningLoad, table: &str, flags: &str, state: State, is_late: bool, now: Millis) -> Option<String> {
    let attempt = load.attempt;
    match &load.step {
        _ if state == State::Paused => None,
        Step::Waiting { class: FailureClass::OperatorsTurn, reason, .. } => Some(format!(
            "attempt {attempt} failed: {}; remove the cause, then run cargo xtask resume {table} (it also retries on its own)",
            one_line(reason)
        )),
        Step::Waiting { class, reason, not_before_millis } => Some(format!(
            "attempt {attempt} failed ({}): {}; retries on its own in {}",
            class.name(),
            one_line(reason),
            short_age(not_before_millis - now)
        )),
        Step::Prepared(prepared) if prepared.refusals > 0 => Some(format!(
            "the Data API has not accepted the statement ({}); the loader keeps trying: cargo xtask logs --load {}{flags}",
            counted(prepared.refusals, "attempt"),
            load.load_id
        )),
        Step::GivenUp { .. } => Some("the load is about to be quarantined as outcome_unknown".to_owned()),
        Step::Submitted { statement_id, submitted_millis, .. } if is_late => Some(format!(
            "late: statement {statement_id} has been running for {}; SYS_QUERY_HISTORY in the warehouse shows what it waits for; if it has ended there, \
             its event is lost: cargo xtask resume {table}",
            short_age(now - submitted_millis)
        )),
        Step::Claimed | Step::Prepared(_) if now - load.touched_millis > UNTOUCHED_MILLIS => Some(format!(
            "nothing has worked on its load for {}: a function was killed or timed out; the sweep continues it, and so does \
             cargo xtask resume {table}",
            short_age(now - load.touched_millis)
        )),
        Step::Claimed | Step::Prepared(_) | Step::Submitted { .. } => is_late
            .then(|| format!("late, and a load is being prepared: cargo xtask logs --load {}{flags}", load.load_id)),
    }
}

fn about_queue(queue: &QueueFacts, flags: &str) -> Vec<String> {
    let name = &queue.name;
    let n_dead = queue.dead_letters.unwrap_or(0);
    match &queue.config {
        Err(problem) => vec![format!("queue {name}: {problem}")],
        Ok(_) if n_dead > 0 => vec![format!(
            "{} in the dead-letter queue of {name}: look for `refused` in cargo xtask logs{flags}, remove the cause, then run \
             cargo xtask redrive {name}{flags}",
            counted(n_dead, "message")
        )],
        Ok(_) => Vec::new(),
    }
}

fn running(slot: &Slot) -> Option<Running> {
    let load = slot.load.as_ref()?;
    let (since_millis, next_attempt_millis) = match &load.step {
        Step::Submitted { submitted_millis, .. } => (*submitted_millis, None),
        Step::Waiting { not_before_millis, .. } => (load.claimed_millis, Some(*not_before_millis)),
        Step::Prepared(prepared) if prepared.refusals > 0 => (load.claimed_millis, Some(prepared.not_before_millis)),
        Step::Claimed | Step::Prepared(_) | Step::GivenUp { .. } => (load.claimed_millis, None),
    };
    Some(Running {
        load_id: load.load_id.0.clone(),
        number: slot.number,
        attempt: load.attempt,
        step: step(&load.step),
        statement_id: load.statement_id().map(ToOwned::to_owned),
        since_millis,
        next_attempt_millis,
    })
}

fn paused(slot: &Slot) -> Option<Paused> {
    let pause = slot.pause.as_ref()?;
    Some(Paused { by: pause.by.clone(), since_millis: pause.since_millis, reason: pause.reason.clone() })
}

fn last_load(history: &History) -> LastLoad {
    LastLoad {
        load_id: history.load_id.0.clone(),
        objects: history.n_objects,
        rows: history.rows,
        bytes: history.size_bytes,
        statement_id: history.statement_id.clone(),
        at_millis: history.key.at_millis().unwrap_or(0),
    }
}

fn queue(queue: &QueueFacts) -> Queue {
    Queue {
        name: queue.name.clone(),
        dead_letters: queue.dead_letters,
        paused: queue.config.as_ref().is_ok_and(|config| config.paused),
        problem: queue.config.as_ref().err().cloned(),
    }
}

#[cfg(test)]
pub mod tests;
