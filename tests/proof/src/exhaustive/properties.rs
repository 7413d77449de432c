//! What must hold in every state, and what must happen in some.

use loader_core::ids::DbTable;
use loader_core::limits::STATEMENT_MILLIS;
use loader_core::outcome::FailureClass;
use loader_core::tracker::invariant;
use loader_core::tracker::item::{Item, SortKey};
use loader_core::tracker::write::Items;
use stateright::Property;

use super::configuration::{Change, Configuration};
use super::drain;
use super::model::Protocol;
use super::state::{Durable, State};
use crate::fixture::{START_MILLIS, TABLES};
use crate::warehouse::Phase;

/// The properties of a configuration.
pub fn all(configuration: &Configuration) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always("1 nothing lost", |model: &Protocol, state: &State| nothing_lost(model, &state.durable)),
        Property::always("2 at most once", |_, state: &State| {
            state.durable.warehouse.committed.values().all(|times| *times <= 1)
        }),
        Property::always("3 one load per table", |_, state: &State| {
            state.durable.warehouse.unfinished().values().all(|statements| *statements <= 1)
        }),
        Property::always("6 fencing", |_, state: &State| state.broken.is_none()),
        Property::always("6 items agree", |_, state: &State| {
            state.durable.items.values().all(|items| invariant::violations(items).is_empty())
        }),
        Property::always("4 and 5 drains", |model: &Protocol, state: &State| drain::drains(model, state).is_ok()),
        Property::sometimes("a load finishes", |_, state: &State| {
            state.durable.all_items().any(|item| matches!(item, Item::Loaded(_)))
        }),
    ];
    if !configuration.sweep {
        all.push(Property::always("nobody waits for the sweep", |_, state: &State| !forgotten(state)));
    }
    if configuration.deliveries > 1 {
        all.push(Property::sometimes("a duplicate notification is refused", |_, state: &State| {
            duplicate_refused(state)
        }));
    }
    if configuration.budget.crashes > 0 && configuration.instants.len() > 1 {
        all.push(Property::sometimes("a takeover happens", |_, state: &State| taken_over(state)));
    }
    if configuration.script.iter().any(|change| matches!(change, Change::Put(_, blob) if blob.bad)) {
        all.push(Property::sometimes("a split happens", |_, state: &State| {
            state.durable.all_items().any(|item| matches!(item, Item::Pending(pending) if pending.group.is_some()))
        }));
        all.push(Property::sometimes("quarantine happens", |_, state: &State| {
            quarantined(state, FailureClass::BadInput)
        }));
    }
    if configuration.instants.iter().any(|instant| *instant >= START_MILLIS + STATEMENT_MILLIS) {
        all.push(Property::sometimes("nobody can know any more", |_, state: &State| {
            quarantined(state, FailureClass::OutcomeUnknown)
        }));
    }
    if configuration.n_tables() > 1 {
        all.push(Property::sometimes("two tables load at the same time", |_, state: &State| {
            state.durable.warehouse.unfinished().len() > 1
        }));
    }
    if configuration.script.iter().any(|change| matches!(change, Change::Put(_, blob) if blob.etag == "a2")) {
        all.push(Property::sometimes("a newer version replaces", |_, state: &State| newer_replaces(state)));
    }
    all
}

/// Every object of an acknowledged message is committed, waits, or is in quarantine; or a newer version of its key is.
fn nothing_lost(model: &Protocol, durable: &Durable) -> bool {
    let acknowledged = durable.acknowledged.iter().enumerate().filter(|(_, acknowledged)| **acknowledged);
    acknowledged
        .flat_map(|(message, _)| {
            model.configuration.messages[message].iter().map(move |position| (model.table(message), *position))
        })
        .all(|(table, position)| {
            position >= durable.scripted || versions_from(model, durable, &TABLES[table], position).any(|known| known)
        })
}

/// For the version of this step of the script and the later ones of its key: whether it is accounted for.
fn versions_from<'a>(
    model: &'a Protocol,
    durable: &'a Durable,
    table: &'a DbTable,
    position: usize,
) -> impl Iterator<Item = bool> + 'a {
    let script = &model.configuration.script;
    let name = match &script[position] {
        Change::Put(key, _) | Change::Delete(key) => *key,
    };
    script[position..durable.scripted].iter().filter_map(move |change| match change {
        Change::Put(key, blob) if *key == name => {
            let version = blob.version(key);
            let holds = |item: &Item| match item {
                Item::Pending(pending) => pending.objects.iter().any(|waiting| waiting.object == version),
                Item::Failed(quarantined) => quarantined.objects.iter().any(|waiting| waiting.object == version),
                Item::Running(_) | Item::File(_) | Item::Loaded(_) => false,
            };
            let items = durable.items.get(table);
            let held = items.is_some_and(|items| items.values().any(holds));
            Some(held || durable.warehouse.times(table, &version) > 0)
        }
        Change::Put(..) | Change::Delete(_) => None,
    })
}

/// Nobody is at work, the slot is free, and something waits.
fn forgotten(state: &State) -> bool {
    let waits = |items: &Items| {
        !items.contains_key(&SortKey::running()) && items.values().any(|item| matches!(item, Item::Pending(_)))
    };
    state.locals.is_empty() && state.durable.items.values().any(waits)
}

fn duplicate_refused(state: &State) -> bool {
    let twice = state.durable.delivered.iter().zip(&state.durable.acknowledged).any(|(n, done)| *n > 1 && *done);
    twice && state.locals.is_empty() && state.durable.warehouse.statements.iter().any(|s| s.phase == Phase::Finished)
}

fn quarantined(state: &State, class: FailureClass) -> bool {
    state.durable.all_items().any(|item| matches!(item, Item::Failed(quarantined) if quarantined.class == class))
}

fn taken_over(state: &State) -> bool {
    state.durable.all_items().any(
        |item| matches!(item, Item::Running(running) if running.version > 1 && running.touched_millis > running.claimed_millis),
    )
}

fn newer_replaces(state: &State) -> bool {
    let entered = state.durable.all_items().any(
        |item| matches!(item, Item::File(entry) if entry.object == super::configuration::blob("a2", 3).version("a")),
    );
    entered && state.durable.delivered.last() == Some(&0)
}
