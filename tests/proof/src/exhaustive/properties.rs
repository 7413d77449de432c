//! Properties of the model: what must hold in every state, and what must happen in some state.

use std::collections::BTreeSet;

use loader_core::ids::{DbTable, ObjectVersion, Version, WaitingObject};
use loader_core::limits::STATEMENT_MILLIS;
use loader_core::outcome::FailureClass;
use loader_core::tracker::invariant;
use loader_core::tracker::item::{Item, LedgerMark, SortKey};
use loader_core::tracker::slot::{Slot, Step};
use loader_core::tracker::write::{Items, slot_of};
use stateright::Property;

use super::configuration::{Change, Configuration};
use super::drain;
use super::model::Protocol;
use super::shared::Shared;
use super::state::{Durable, State};
use super::world::{ASKED_FOR_NOTHING, OLD_STATE};
use crate::fixture::{COLUMNS, GROWING, START_MILLIS, TABLES, TIMED, TIMEOUT_MILLIS};
use crate::items::pendings_at;
use crate::warehouse::{Phase, Statement, Warehouse};

mod paced;

/// The properties of a configuration.
pub fn all(configuration: &Configuration) -> Vec<Property<Protocol>> {
    [everywhere(), of_deliveries(configuration), paced::all(configuration), of_script(configuration)]
        .into_iter()
        .flatten()
        .collect()
}

/// Properties of every configuration.
fn everywhere() -> Vec<Property<Protocol>> {
    vec![
        Property::always("1 nothing lost", |model: &Protocol, state: &State| {
            model.holds("1", &state.durable, || nothing_lost(model, &state.durable))
        }),
        Property::always("2 at most once", |_, state: &State| {
            state.durable.warehouse.committed.values().all(|times| *times <= 1)
        }),
        Property::always("2 the ledger knows what is loaded", |model: &Protocol, state: &State| {
            let Durable { items, warehouse, .. } = &*state.durable;
            let is_known =
                |(table, items): (&DbTable, &Shared<Items>)| forgotten_by_ledger(table, items, warehouse).is_empty();
            model.holds("2 knows", (items, warehouse), || items.iter().all(is_known))
        }),
        Property::always("2 the ledger states facts", |model: &Protocol, state: &State| {
            let Durable { items, warehouse, .. } = &*state.durable;
            let is_true = |(table, items): (&DbTable, &Shared<Items>)| {
                false_entries(table, items, warehouse, &BTreeSet::new()).is_empty()
            };
            model.holds("2 facts", (items, warehouse), || items.iter().all(is_true))
        }),
        Property::always("2 a repeat is the same to the letter", |_, state: &State| {
            !state.durable.warehouse.differing_repeat
        }),
        Property::always("3 one load per table", |_, state: &State| {
            state.durable.warehouse.unfinished().values().all(|statements| *statements <= 1)
        }),
        Property::always("columns come with the rows of their load, once", |model: &Protocol, state: &State| {
            model.holds("columns", &state.durable, || columns_come_with_rows(model, &state.durable))
        }),
        Property::always("values go into their own columns", |_, state: &State| !state.durable.warehouse.misplaced),
        Property::always("6 fencing", |_, state: &State| state.broken != Some(OLD_STATE)),
        Property::always("nobody asks the warehouse where nothing is to be loaded", |_, state: &State| {
            state.broken != Some(ASKED_FOR_NOTHING)
        }),
        Property::always("6 items agree", |model: &Protocol, state: &State| {
            let items = &state.durable.items;
            model.holds("6", items, || items.values().all(|items| invariant::violations(items).is_empty()))
        }),
        Property::always("4 and 5 drains", |model: &Protocol, state: &State| {
            model.holds("4 and 5", (&state.durable, state.tick), || drain::drain(model, state).is_ok())
        }),
        Property::sometimes("a load finishes", |_, state: &State| {
            state.durable.all_items().any(|item| matches!(item, Item::Loaded(_)))
        }),
    ]
}

/// Properties that depend on deliveries, sweeps, faults and instants.
fn of_deliveries(configuration: &Configuration) -> Vec<Property<Protocol>> {
    let mut all = Vec::new();
    if !configuration.sweep {
        all.push(Property::always("nobody waits for the sweep", |_, state: &State| !forgotten(state)));
    }
    if configuration.deliveries > 1 {
        all.push(Property::sometimes("a duplicate notification is dropped", |_, state: &State| {
            duplicate_dropped(state)
        }));
    }
    if configuration.budget.crashes > 0 && configuration.instants.len() > 1 {
        all.push(Property::sometimes("a takeover happens", |_, state: &State| taken_over(state)));
    }
    if configuration.budget.retries > 0 {
        all.push(Property::sometimes("what was sent back is loaded", |_, state: &State| {
            state.budget.retries == 0 && !state.durable.warehouse.committed.is_empty()
        }));
    }
    if configuration.instants.iter().any(|instant| *instant >= START_MILLIS + STATEMENT_MILLIS) {
        all.push(Property::sometimes("nobody can know any more", |_, state: &State| {
            quarantined(state, FailureClass::OutcomeUnknown)
        }));
    }
    if configuration.tables_in_play().contains(&TIMED) {
        all.extend(of_timeout());
    }
    if configuration.tables_in_play().len() > 1 && !configuration.is_paced() {
        all.push(Property::sometimes("two tables load at the same time", |_, state: &State| {
            state.durable.warehouse.unfinished().len() > 1
        }));
    }
    all
}

/// Of a table whose statements are cancelled when they have run for too long.
fn of_timeout() -> Vec<Property<Protocol>> {
    vec![
        Property::always("no statement is cancelled before its timeout", |model: &Protocol, state: &State| {
            let is_early = |it: &Statement| it.cancelled && model.instant(state) < it.submitted_millis + TIMEOUT_MILLIS;
            !state.durable.warehouse.statements.iter().any(is_early)
        }),
        Property::always("what is said to be cancelled is", |_, state: &State| {
            let statements = &state.durable.warehouse.statements;
            let is_spared =
                |id: &str| statements.iter().any(|it| it.id == id && it.phase == Phase::Running && !it.cancelled);
            !state.durable.items.values().any(|items| cancelled(items).is_some_and(|id| is_spared(&id)))
        }),
        Property::sometimes("a cancelled statement is repeated, and the repeat loads", |_, state: &State| {
            let phases = || state.durable.warehouse.statements.iter().map(|it| &it.phase);
            phases().any(|phase| *phase == Phase::Aborted) && phases().any(|phase| *phase == Phase::Finished)
        }),
        Property::sometimes("a statement finishes although it is being cancelled", |_, state: &State| {
            state.durable.warehouse.statements.iter().any(|it| it.cancelled && it.phase == Phase::Finished)
        }),
    ]
}

/// The statement that the tracker says is being cancelled.
fn cancelled(items: &Items) -> Option<String> {
    match slot_of(items).load?.step {
        Step::Submitted { statement_id, cancelled_millis: Some(_), .. } => Some(statement_id),
        Step::Submitted { .. } | Step::Claimed | Step::Waiting { .. } | Step::Prepared(_) | Step::GivenUp { .. } => {
            None
        }
    }
}

/// Properties that depend on the script.
fn of_script(configuration: &Configuration) -> Vec<Property<Protocol>> {
    let mut all = Vec::new();
    if configuration.script.iter().any(|change| matches!(change, Change::AddColumn(_))) {
        all.push(Property::sometimes("a merge fails by its columns", |_, state: &State| {
            let is_failed = |phase: &Phase| matches!(phase, Phase::Failed(error) if error.contains("UNION"));
            state.durable.warehouse.statements.iter().any(|statement| is_failed(&statement.phase))
        }));
    }
    let shapes = |change: &Change| if let Change::Put(_, blob) = change { Some(blob.names) } else { None };
    if configuration.script.iter().filter_map(shapes).collect::<BTreeSet<_>>().len() > 1 {
        all.push(Property::sometimes("files of all shapes are loaded", |model: &Protocol, state: &State| {
            state.durable.warehouse.committed.len() == model.configuration.script.len()
        }));
    }
    let puts = configuration.script.iter().filter(|change| matches!(change, Change::Put(..))).count();
    let is_bad =
        |wanted: bool| move |change: &Change| matches!(change, Change::Put(_, it) if it.bad && it.misfit == wanted);
    if puts > 2 && configuration.script.iter().any(is_bad(false)) {
        all.push(Property::sometimes("a split happens", |_, state: &State| {
            state.durable.all_items().any(|item| matches!(item, Item::Pending(pending) if pending.group.is_some()))
        }));
    }
    if puts > 2 && configuration.script.iter().any(|change| is_bad(false)(change) || is_bad(true)(change)) {
        all.push(Property::sometimes("quarantine happens", |_, state: &State| {
            quarantined(state, FailureClass::BadInput)
        }));
    }
    if configuration.script.iter().any(is_bad(true)) {
        all.push(Property::always("no statement fails for a misfit", |_, state: &State| {
            let is_failed = |phase: &Phase| matches!(phase, Phase::Failed(_));
            !state.durable.warehouse.statements.iter().any(|statement| is_failed(&statement.phase))
        }));
    }
    if configuration.script.iter().any(|change| matches!(change, Change::Put(_, blob) if blob.etag == "a2")) {
        all.push(Property::sometimes("a newer version replaces", |_, state: &State| newer_replaces(state)));
    }
    all
}

/// Whether the columns of the tables are the initial ones, those added by the script, and those added by finished statements.
fn columns_come_with_rows(model: &Protocol, durable: &Durable) -> bool {
    let script = &model.configuration.script[..durable.scripted];
    let n_scripted = script.iter().filter(|change| matches!(change, Change::AddColumn(_))).count();
    let finished = durable.warehouse.statements.iter().filter(|statement| statement.phase == Phase::Finished);
    let n_added: usize = finished.map(|statement| statement.added.len()).sum();
    let columns = durable.warehouse.columns_of(&TABLES[GROWING]);
    let distinct: BTreeSet<&String> = columns.iter().collect();
    distinct.len() == columns.len() && columns.len() == COLUMNS.len() + n_scripted + n_added
}

/// Whether every object of an acknowledged message, or a newer version of it, is committed, waiting or in quarantine.
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

/// For the object version of this step of the script and all later versions of its key, whether they are committed, waiting or in quarantine.
fn versions_from<'a>(
    model: &'a Protocol,
    durable: &'a Durable,
    table: &'a DbTable,
    position: usize,
) -> impl Iterator<Item = bool> + 'a {
    let script = &model.configuration.script;
    let name = match &script[position] {
        Change::Put(key, _) | Change::Delete(key) | Change::AddColumn(key) => *key,
    };
    script[position..durable.scripted].iter().filter_map(move |change| match change {
        Change::Put(key, blob) if *key == name => {
            let version = blob.version(key);
            let holds = |item: &Item| match item {
                Item::Pending(pending) => pending.objects.iter().any(|waiting| waiting.object == version),
                Item::Failed(quarantined) => quarantined.objects.iter().any(|waiting| waiting.object == version),
                Item::Slot(_) | Item::File(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => false,
            };
            let items = durable.items.get(table);
            let held = items.is_some_and(|items| items.values().any(holds));
            Some(held || durable.warehouse.times(table, &version) > 0)
        }
        Change::Put(..) | Change::Delete(_) | Change::AddColumn(_) => None,
    })
}

/// Object versions that are committed to a table, but are neither in its ledger nor in the load that holds its slot.
pub fn forgotten_by_ledger(table: &DbTable, items: &Items, warehouse: &Warehouse) -> Vec<String> {
    let keys = slot_of(items).load.map(|load| load.pending_keys).unwrap_or_default();
    let held = pendings_at(items, &keys);
    let is_held = |object: &ObjectVersion| {
        held.iter().flat_map(|pending| &pending.objects).any(|waiting| waiting.object == *object)
    };
    let first = ObjectVersion { bucket: String::new(), key: String::new(), version: Version::Id(String::new()) };
    let from_table = warehouse.committed.range((table.clone(), first)..).map(|((of, object), _)| (of, object));
    let committed = from_table.take_while(|(of, _)| *of == table).map(|(_, object)| object);
    let forgotten = committed.filter(|object| !items.contains_key(&SortKey::file(object)) && !is_held(object));
    forgotten.map(|object| format!("{object} is committed and not in the ledger")).collect()
}

/// False ledger entries: marked loaded but not committed; or marked quarantined but neither in quarantine, nor in a load that is given up, nor
/// retried from quarantine. `was_out` contains what has been retried.
pub fn false_entries(
    table: &DbTable,
    items: &Items,
    warehouse: &Warehouse,
    was_out: &BTreeSet<(DbTable, ObjectVersion)>,
) -> Vec<String> {
    let load = slot_of(items).load;
    let given_up = load.filter(|load| matches!(load.step, Step::GivenUp { .. })).map(|load| load.pending_keys);
    let doomed = pendings_at(items, &given_up.unwrap_or_default());
    let is_out = |object: &ObjectVersion| {
        let holds = |objects: &[WaitingObject]| objects.iter().any(|w| w.object == *object);
        doomed.iter().any(|pending| holds(&pending.objects))
            || was_out.contains(&(table.clone(), object.clone()))
            || items.values().any(|item| match item {
                Item::Failed(quarantined) => holds(&quarantined.objects),
                Item::Pending(pending) => pending.entered && holds(&pending.objects),
                Item::Slot(_) | Item::File(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => false,
            })
    };
    let is_false = |item: &Item| match item {
        Item::File(entry) => match &entry.mark {
            LedgerMark::Accepted => None,
            LedgerMark::Loaded(_) if warehouse.times(table, &entry.object) > 0 => None,
            LedgerMark::Quarantined if is_out(&entry.object) => None,
            LedgerMark::Loaded(_) | LedgerMark::Quarantined => Some(format!("{}: {:?}", entry.object, entry.mark)),
        },
        Item::Slot(_) | Item::Pending(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => {
            None
        }
    };
    items.values().filter_map(is_false).collect()
}

/// Whether no invocation is running, the slot is free, and a load waits.
fn forgotten(state: &State) -> bool {
    let waits =
        |items: &Items| slot_of(items).load.is_none() && items.values().any(|item| matches!(item, Item::Pending(_)));
    state.locals.is_empty() && state.durable.items.values().any(|items| waits(items))
}

fn duplicate_dropped(state: &State) -> bool {
    let durable = &state.durable;
    let twice = durable.delivered.iter().zip(&durable.acknowledged).any(|(n, done)| *n > 1 && *done);
    let works = |item: &Item| matches!(item, Item::Slot(Slot { load: Some(_), .. }) | Item::Pending(_));
    let loaded = durable.warehouse.statements.iter().any(|statement| statement.phase == Phase::Finished);
    twice && loaded && state.locals.is_empty() && !durable.all_items().any(works)
}

fn quarantined(state: &State, class: FailureClass) -> bool {
    state.durable.all_items().any(|item| matches!(item, Item::Failed(quarantined) if quarantined.class == class))
}

fn taken_over(state: &State) -> bool {
    let touched = |slot: &Slot| slot.load.as_ref().is_some_and(|load| load.touched_millis > load.claimed_millis);
    state.durable.all_items().any(|item| matches!(item, Item::Slot(slot) if touched(slot)))
}

fn newer_replaces(state: &State) -> bool {
    let entered = state.durable.all_items().any(
        |item| matches!(item, Item::File(entry) if entry.object == super::configuration::blob("a2", 3).version("a")),
    );
    entered && state.durable.delivered.last() == Some(&0)
}
