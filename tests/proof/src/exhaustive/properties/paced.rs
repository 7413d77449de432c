//! What must hold where loads wait: they start when they may, and not before.

use loader_core::tracker::item::{Item, Millis};
use loader_core::tracker::slot::RunningLoad;
use loader_core::tracker::write::slot_of;
use stateright::Property;

use crate::exhaustive::configuration::Configuration;
use crate::exhaustive::drain;
use crate::exhaustive::model::Protocol;
use crate::exhaustive::state::State;
use crate::exhaustive::world::OUT_OF_TURN;
use crate::fixture::{
    ADMITTED, AGE_MILLIS, AGED, AHEAD, MORNING_MILLIS, NIGHT, NIGHT_AHEAD, SHARED, SHARED_MILLIS, START_MILLIS, TABLES,
    TICK_MILLIS,
};
use crate::items::pendings_of;

/// The properties of a configuration in which loads wait.
pub(super) fn all(configuration: &Configuration) -> Vec<Property<Protocol>> {
    let tables = configuration.tables_in_play();
    let mut all = Vec::new();
    if tables.contains(&AGED) {
        all.extend(of_age());
    }
    if tables.contains(&SHARED) {
        all.extend(if tables.contains(&AHEAD) { of_rides() } else { of_instant() });
    }
    if tables.contains(&NIGHT) {
        all.extend(of_night());
    }
    if tables.contains(&ADMITTED[0]) {
        all.extend(of_admission(configuration));
    }
    if !configuration.requested.is_empty() {
        all.push(Property::always("live and requested files take turns", |_, state: &State| {
            state.broken != Some(OUT_OF_TURN)
        }));
    }
    all
}

fn of_age() -> Vec<Property<Protocol>> {
    vec![
        Property::always("no load starts before its age", |model: &Protocol, state: &State| {
            model.instant(state) >= START_MILLIS + AGE_MILLIS || nothing_started(state)
        }),
        Property::always("a look after its age starts it", |model: &Protocol, state: &State| {
            let is_ripe = waits_since(state, AGED).is_some_and(|since| model.instant(state) - since >= AGE_MILLIS);
            !is_ripe || starts(model, state, AGED, false)
        }),
        together(),
    ]
}

/// Of one table whose files wait for the instant of their warehouse.
fn of_instant() -> Vec<Property<Protocol>> {
    vec![
        Property::always("no load starts before its instant", |model: &Protocol, state: &State| {
            model.instant(state) >= SHARED_MILLIS || nothing_started(state)
        }),
        Property::always("the sweep of its instant starts it", |model: &Protocol, state: &State| {
            !is_due(model, state, SHARED, SHARED_MILLIS) || starts(model, state, SHARED, true)
        }),
        Property::always("its minute is left to the sweep", |model: &Protocol, state: &State| {
            let is_over = model.instant(state) >= SHARED_MILLIS + TICK_MILLIS;
            is_over || waits_since(state, SHARED).is_none() || !starts(model, state, SHARED, false)
        }),
        Property::always("a sweep that is lost is not waited for", |model: &Protocol, state: &State| {
            let is_over = model.instant(state) >= SHARED_MILLIS + TICK_MILLIS;
            !(is_over && is_due(model, state, SHARED, SHARED_MILLIS)) || starts(model, state, SHARED, false)
        }),
        together(),
    ]
}

/// Of a table that waits beside one that does not.
fn of_rides() -> Vec<Property<Protocol>> {
    vec![
        Property::always("a load starts before its instant only where another one did", |_, state: &State| {
            first_of(state, SHARED).is_none_or(|rides| first_of(state, AHEAD).is_some_and(|ahead| ahead < rides))
        }),
        Property::sometimes("a load rides along", |_, state: &State| first_of(state, SHARED).is_some()),
    ]
}

/// Of tables whose warehouse sleeps until the morning.
fn of_night() -> Vec<Property<Protocol>> {
    vec![
        Property::always("nothing starts while the warehouse shall sleep", |model: &Protocol, state: &State| {
            model.instant(state) >= MORNING_MILLIS || nothing_started(state)
        }),
        Property::always("a sweep in the morning starts all", |model: &Protocol, state: &State| {
            let due = |table: &usize| is_due(model, state, *table, MORNING_MILLIS);
            [NIGHT, NIGHT_AHEAD].into_iter().filter(due).all(|table| starts(model, state, table, true))
        }),
        Property::always("a sweep that is lost in the morning is not waited for", |model: &Protocol, state: &State| {
            let is_over = model.instant(state) >= MORNING_MILLIS + TICK_MILLIS;
            !(is_over && is_due(model, state, NIGHT, MORNING_MILLIS)) || starts(model, state, NIGHT, false)
        }),
    ]
}

/// Of tables whose warehouse runs one load at a time.
fn of_admission(configuration: &Configuration) -> Vec<Property<Protocol>> {
    if configuration.invocations > 1 {
        return vec![Property::sometimes("for moments there is a load too many", |_, state: &State| {
            running(state).count() > 1
        })];
    }
    let mut all = vec![
        Property::always("as many loads as the warehouse takes", |_, state: &State| running(state).count() <= 1),
        Property::always(
            "a sweep starts who may start, whoever has waited longer",
            |model: &Protocol, state: &State| {
                let may_start = ADMITTED[..2].iter().any(|table| waits_since(state, *table).is_some());
                !may_start || running(state).count() > 0 || sweep_starts(model, state)
            },
        ),
    ];
    if !configuration.tables_in_play().contains(&ADMITTED[2]) {
        all.push(Property::sometimes("a load waits for another one", |_, state: &State| {
            running(state).count() > 0 && ADMITTED[..2].iter().any(|table| waits_since(state, *table).is_some())
        }));
        all.push(Property::always("the longest wait is first", |_, state: &State| {
            let since = ADMITTED.iter().filter_map(|table| waits_since(state, *table)).min().unwrap_or(Millis::MAX);
            running(state).all(|load| load.recorded_millis <= since)
        }));
    }
    all
}

fn together() -> Property<Protocol> {
    Property::sometimes("two messages are loaded together", |_, state: &State| {
        let together = |item: &Item| matches!(item, Item::Loaded(loaded) if loaded.n_objects == 2);
        state.durable.all_items().any(together)
    })
}

fn nothing_started(state: &State) -> bool {
    state.durable.warehouse.statements.is_empty()
}

/// Since when a table's oldest file waits, where nobody is at work and no load holds the slot.
fn waits_since(state: &State, table: usize) -> Option<Millis> {
    let items = state.durable.items.get(&TABLES[table])?;
    let is_free = state.locals.is_empty() && slot_of(items).load.is_none();
    pendings_of(items).next().filter(|_| is_free).map(|pending| pending.recorded_millis)
}

/// Whether it is this instant or later, and a file waits that came before it.
fn is_due(model: &Protocol, state: &State, table: usize, at: Millis) -> bool {
    model.instant(state) >= at && waits_since(state, table).is_some_and(|since| since < at)
}

/// Whether a look at the table starts a load; `sweeps`: by the schedule.
fn starts(model: &Protocol, state: &State, table: usize, sweeps: bool) -> bool {
    drain::look_starts(model, state, table, sweeps) == Ok(true)
}

/// Whether a sweep of all tables starts a load.
fn sweep_starts(model: &Protocol, state: &State) -> bool {
    let swept = drain::sweep(model, (*state.durable).clone(), model.instant(state));
    swept.is_ok_and(|durable| durable.items.values().any(|items| slot_of(items).load.is_some()))
}

/// The loads that hold slots.
fn running(state: &State) -> impl Iterator<Item = RunningLoad> {
    state.durable.items.values().filter_map(|items| slot_of(items).load)
}

/// Position of a table's first statement among all.
fn first_of(state: &State, table: usize) -> Option<usize> {
    state.durable.warehouse.statements.iter().position(|statement| statement.name.table == TABLES[table])
}
