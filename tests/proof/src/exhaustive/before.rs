//! Loader 0.1, which is replaced during its work: the items that it left, and what it may still do.

use loader_core::ids::StatementName;
use loader_core::tracker::item::{Item, SortKey};
use loader_core::tracker::slot::{RunningLoad, Slot};

use super::model::{Action, Protocol};
use super::state::{Durable, State};
use crate::fixture::{CONFIGS, START_MILLIS, TABLES, TICK_MILLIS, queue, source};
use crate::items::pendings_of;
use crate::old::{self, HOLDER, OldLoad, OldStep};
use crate::warehouse::Phase;

/// When loader 0.1 wrote its items.
const OLD_MILLIS: i64 = START_MILLIS - TICK_MILLIS;
/// Index of the table that it works on.
const TABLE: usize = 0;

/// The initial states: loader 0.1 has recorded the first message, and its load waits or is at any step. In the step `Prepared` the statement
/// may or may not have been submitted.
pub fn states(model: &Protocol, empty: &State) -> Vec<State> {
    let mut waits = empty.clone();
    let durable = &mut *waits.durable;
    let objects = model.objects(0);
    let items = durable.change(&TABLES[TABLE]);
    let pending = old::pending(&source(&queue(TABLE), &CONFIGS[TABLE]), &objects, OLD_MILLIS);
    items.insert(pending.key(), pending);
    for waiting in &objects {
        let entry = old::accepted(&TABLES[TABLE], &waiting.object, OLD_MILLIS);
        items.insert(entry.key(), entry);
    }
    durable.delivered.fill(1);
    durable.acknowledged[0] = true;
    let at = |step: OldStep, submitted: bool| {
        let mut state = waits.clone();
        state.budget.old_loads = 0;
        let durable = &mut *state.durable;
        let load = prepared(durable, submitted);
        durable.change(&TABLES[TABLE]).insert(SortKey::slot(), load.slot(step));
        state
    };
    vec![
        at(OldStep::Claimed, false),
        at(OldStep::Waiting, false),
        at(OldStep::Prepared, false),
        at(OldStep::Prepared, true),
        at(OldStep::Submitted(0), true),
        waits,
    ]
}

/// A load of all pending loads, with its manifest and, if it is submitted, its statement.
fn prepared(durable: &mut Durable, submitted: bool) -> OldLoad {
    let pendings: Vec<_> = pendings_of(durable.of(&TABLES[TABLE])).filter(|pending| pending.entered).cloned().collect();
    let keys = pendings.iter().map(|pending| pending.key.clone()).collect();
    let load = OldLoad::new(&source(&queue(TABLE), &CONFIGS[TABLE]), keys, OLD_MILLIS);
    let (manifest, content) = load.manifest(pendings.iter().flat_map(|pending| &pending.objects));
    durable.manifests.insert(manifest.clone(), content);
    let table = load.table.clone();
    let name = StatementName { prefix: "p".to_owned(), table, load_id: load.load_id(), attempt: 1 };
    if submitted {
        durable.warehouse.submit_old(&name, &manifest, OLD_MILLIS);
    }
    OldLoad { prepared: Some((name, manifest)), ..load }
}

/// Adds the actions that loader 0.1 can take.
pub fn actions(state: &State, actions: &mut Vec<Action>) {
    let Some(items) = state.durable.items.get(&TABLES[TABLE]) else { return };
    let waits = pendings_of(items).any(|pending| pending.entered);
    if state.budget.old_loads > 0 && waits && !items.contains_key(&SortKey::slot()) {
        actions.push(Action::OldTakes);
    }
    if running(state).is_some_and(|load| finished(state, load)) {
        actions.push(Action::OldSettles);
    }
}

/// The load that loader 0.1 has submitted and no one else has taken over.
fn running(state: &State) -> Option<&RunningLoad> {
    match state.durable.items.get(&TABLES[TABLE])?.get(&SortKey::slot()) {
        Some(Item::Slot(Slot { load: Some(load), .. })) if load.holder == HOLDER => Some(load),
        _ => None,
    }
}

fn finished(state: &State, load: &RunningLoad) -> bool {
    let statements = &state.durable.warehouse.statements;
    statements
        .iter()
        .any(|statement| Some(statement.id.as_str()) == load.statement_id() && statement.phase == Phase::Finished)
}

/// Loader 0.1 takes the slot, whose item does not exist, with everything that it has recorded, and submits.
pub fn takes(state: &mut State) {
    state.budget.old_loads -= 1;
    let durable = &mut *state.durable;
    let number = durable.warehouse.statements.len();
    let load = prepared(durable, true);
    durable.change(&TABLES[TABLE]).insert(SortKey::slot(), load.slot(OldStep::Submitted(number)));
}

/// Loader 0.1 removes the slot and its pending loads, in one transaction.
pub fn settles(state: &mut State) {
    let keys = running(state).map(|load| load.pending_keys.clone()).unwrap_or_default();
    let items = state.durable.change(&TABLES[TABLE]);
    items.remove(&SortKey::slot());
    for key in keys {
        items.remove(&key);
    }
}
