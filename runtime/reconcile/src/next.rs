//! NextLoader: reconciles after a statement has ended, every minute, and when an operator asks. It stores no facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, stream};
use loader_core::config::LoadConfig;
use loader_core::ids::DbTable;
use loader_core::statement_event::Trigger;
use loader_core::tracker::admit;
use loader_core::tracker::decide::Idle;
use loader_core::tracker::item::Millis;
use loader_core::tracker::waits::Waits;

use crate::listing::continue_listings;
use crate::ports::{PortResult, World};
use crate::reconcile::{Ended, Invocation, Memory, reconcile_with};
use crate::report::Event;

/// Waits for a table that another invocation is working on, in milliseconds. Short at first, because the other may only have to record the
/// statement's id; about five seconds in total.
const HELD_MILLIS: [u64; 7] = [50, 100, 200, 400, 800, 1600, 1850];
/// Time in which a sweep reads folders, in milliseconds. The rest of the minute belongs to the next sweep.
const LISTING_MILLIS: i64 = 40_000;
/// Number of tables that a sweep reconciles concurrently.
const TABLES_AT_ONCE: usize = 8;

/// Handles a trigger. An error means that the sweep could not start, or that a listing was given up.
pub async fn handle<W: World>(world: &W, trigger: Trigger, invocation: &Invocation) -> PortResult<()> {
    match trigger {
        Trigger::StatementEnded { name, statement_id } => {
            reconcile_soon(world, &name.table, statement_id.as_deref(), invocation).await;
            Ok(())
        }
        Trigger::Asked(table) => {
            reconcile_soon(world, &table, None, invocation).await;
            Ok(())
        }
        Trigger::Sweep => sweep(world, &Invocation { sweeps: true, ..invocation.clone() }).await,
        Trigger::NotOurs { why } => {
            world.report(&Event::NotOurs { why });
            Ok(())
        }
    }
}

/// An invocation that is working on the table may have read it before the trigger's cause, so it is worth waiting a moment. The event of a
/// quick statement can arrive before the invocation that submitted it has recorded its id.
async fn reconcile_soon<W: World>(world: &W, table: &DbTable, statement_id: Option<&str>, invocation: &Invocation) {
    let mut memory = Memory::default();
    for wait in HELD_MILLIS.map(Some).into_iter().chain([None]) {
        let ended = reconcile_with(world, table, invocation, statement_id, &mut memory).await;
        match wait {
            Some(millis) if ended == Ended::Idle(Idle::Held) => world.sleep(millis).await,
            Some(_) | None => {
                if let Some(config) = memory.settled {
                    start_others(world, table, &config, invocation).await;
                }
                return;
            }
        }
    }
}

/// The end of a load affects the other tables of its warehouse: there is room for another load, and if the load had started on its own, the
/// warehouse is awake anyway. If this fails, the sweep does it.
async fn start_others<W: World>(world: &W, table: &DbTable, config: &LoadConfig, invocation: &Invocation) {
    let Some(pace) = &config.pace else { return };
    let awake = config.starts_on_its_own();
    if !awake && pace.concurrent_loads_max.is_none() {
        return;
    }
    if let Ok(work) = world.tables_with_work().await {
        let others = admit::in_turn(table.warehouse(), &work).into_iter().filter(|other| other != table);
        let invocation = Invocation { awake, ..invocation.clone() };
        give_turns(world, others.collect(), &invocation, &mut Memories::new()).await;
    }
}

/// Lets these tables start, one after the other, until their warehouse is full.
async fn give_turns<W: World>(world: &W, tables: Vec<DbTable>, invocation: &Invocation, memories: &mut Memories) {
    let invocation = Invocation { turn: true, ..invocation.clone() };
    for table in tables {
        let memory = memories.entry(table.clone()).or_default();
        let ended = reconcile_with(world, &table, &invocation, None, memory).await;
        if matches!(ended, Ended::OutOfTime | Ended::Idle(Idle::WarehouseFull)) {
            return;
        }
    }
}

/// The memories of one invocation, for tables to which it returns.
type Memories = BTreeMap<DbTable, Memory>;

/// The state in which a sweep left a table.
struct Swept {
    table: DbTable,
    ended: Ended,
    waits: Option<Waits>,
    runs_on: Option<Arc<LoadConfig>>,
    probes: bool,
}

/// Reconciles every table with work, the longest wait first. A table that cannot proceed does not delay the others.
async fn sweep<W: World>(world: &W, invocation: &Invocation) -> PortResult<()> {
    let work = world.tables_with_work().await?;
    let mut tables: Vec<&DbTable> = work.keys().collect();
    tables.sort_by_key(|table| work[*table].since_millis);
    let (swept, mut memories): (Vec<Swept>, Memories) = stream::iter(tables)
        .map(|table| sweep_table(world, table, invocation))
        .buffer_unordered(TABLES_AT_ONCE)
        .unzip()
        .await;
    let of =
        |what: fn(&Swept) -> bool| swept.iter().filter(move |swept| what(swept)).map(|swept| swept.table.warehouse());
    let full: BTreeSet<&str> = of(|swept| swept.ended == Ended::Idle(Idle::WarehouseFull)).collect();
    for warehouse in full {
        give_turns(world, admit::in_turn(warehouse, &work), invocation, &mut memories).await;
    }
    let awake: BTreeSet<&str> = of(|swept| swept.ended == Ended::Idle(Idle::StatementRuns)).collect();
    let awake_invocation = Invocation { awake: true, ..invocation.clone() };
    for probe in swept.iter().filter(|swept| swept.probes && awake.contains(swept.table.warehouse())) {
        let memory = memories.entry(probe.table.clone()).or_default();
        reconcile_with(world, &probe.table, &awake_invocation, None, memory).await;
    }
    for event in awake_events(&swept, world.now()) {
        world.report(&event);
    }
    world.report(&summary(&swept, world.now()));
    let listed = work.iter().filter(|(_, work)| work.lists).map(|(table, _)| table);
    continue_bulk_requests(world, listed.collect(), invocation, memories).await
}

/// Continues bulk requests after all waiting loads have had their turn. All tables are tried; an error is one of theirs.
async fn continue_bulk_requests<W: World>(
    world: &W,
    tables: Vec<&DbTable>,
    invocation: &Invocation,
    mut memories: Memories,
) -> PortResult<()> {
    let until = world.now() + LISTING_MILLIS;
    let went: Vec<PortResult<()>> = stream::iter(tables)
        .map(|table| continue_listings(world, table, invocation, until, memories.remove(table).unwrap_or_default()))
        .buffer_unordered(TABLES_AT_ONCE)
        .collect()
        .await;
    went.into_iter().collect()
}

/// The warehouses that statements keep awake after their first minute, which was told when they were submitted; each once.
fn awake_events(swept: &[Swept], at_millis: Millis) -> Vec<Event> {
    let running = swept.iter().filter(|swept| swept.ended == Ended::Idle(Idle::StatementRuns));
    let of = |swept: &Swept| {
        let price = swept.runs_on.as_ref()?.pace.as_ref().and_then(|pace| pace.microdollars_per_second);
        Some((swept.table.warehouse().to_owned(), price))
    };
    let prices: BTreeMap<String, Option<u64>> = running.filter_map(of).collect();
    let event = |(warehouse, microdollars_per_second)| Event::Awake { warehouse, at_millis, microdollars_per_second };
    prices.into_iter().map(event).collect()
}

fn summary(swept: &[Swept], now: Millis) -> Event {
    let waits = || swept.iter().filter_map(|swept| swept.waits.as_ref());
    Event::Swept {
        n_tables: swept.len(),
        oldest_millis: waits().map(|waits| waits.age_millis(now)).max().unwrap_or(0),
        seconds_late: waits().map(|waits| waits.seconds_late(now)).max().unwrap_or(0),
        n_objects: waits().map(|waits| waits.n_objects).sum(),
        n_stuck: waits().filter(|waits| waits.is_stuck).count(),
    }
}

async fn sweep_table<W: World>(world: &W, table: &DbTable, invocation: &Invocation) -> (Swept, (DbTable, Memory)) {
    let mut memory = Memory::default();
    let ended = reconcile_with(world, table, invocation, None, &mut memory).await;
    if let Some(waits) = &memory.waits.0 {
        let now = world.now();
        world.report(&Event::Waiting {
            table: table.0.clone(),
            oldest_millis: waits.age_millis(now),
            seconds_late: waits.seconds_late(now),
            n_objects: waits.n_objects,
            is_stuck: waits.is_stuck,
        });
    }
    let (waits, runs_on) = (memory.waits.0.clone(), memory.runs_on.0.clone());
    let swept = Swept { table: table.clone(), ended, waits, runs_on, probes: memory.probes };
    (swept, (table.clone(), memory))
}
