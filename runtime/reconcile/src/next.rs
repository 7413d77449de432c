//! NextLoader: a statement ended, or a minute is over. Records nothing; reconciles.

use futures::{StreamExt, stream};
use loader_core::ids::DbTable;
use loader_core::statement_event::Trigger;
use loader_core::tracker::decide::Idle;
use loader_core::tracker::item::Millis;

use crate::ports::{PortResult, World};
use crate::reconcile::{Ended, Invocation, Memory, reconcile, reconcile_with};
use crate::report::Event;

/// Waits of an event for a table that another invocation is working on: soon at first, because that one has only to record the
/// statement's id; about five seconds in all.
const HELD_MILLIS: [u64; 7] = [50, 100, 200, 400, 800, 1600, 1850];
/// Tables reconciled at the same time by a sweep.
const TABLES_AT_ONCE: usize = 8;

/// Handles a trigger. An error means that the sweep could not even start.
pub async fn handle<W: World>(world: &W, trigger: Trigger, invocation: &Invocation) -> PortResult<()> {
    match trigger {
        Trigger::StatementEnded { name, statement_id } => {
            statement_ended(world, &name.table, statement_id.as_deref(), invocation).await;
            Ok(())
        }
        Trigger::Sweep => sweep(world, invocation).await,
        Trigger::NotOurs { why } => {
            world.report(&Event::NotOurs { why });
            Ok(())
        }
    }
}

/// The event of a quick statement can be faster than who submitted it and is about to record its id: then it is worth a moment.
async fn statement_ended<W: World>(world: &W, table: &DbTable, statement_id: Option<&str>, invocation: &Invocation) {
    for millis in HELD_MILLIS {
        if reconcile(world, table, invocation, statement_id).await != Ended::Idle(Idle::Held) {
            return;
        }
        world.sleep(millis).await;
    }
    reconcile(world, table, invocation, statement_id).await;
}

/// Reconciles every table with work. One table that cannot go on does not hold up the others.
async fn sweep<W: World>(world: &W, invocation: &Invocation) -> PortResult<()> {
    let tables = world.tables_with_work().await?;
    let oldest: Vec<Option<Millis>> = stream::iter(&tables)
        .map(|table| async move {
            let mut memory = Memory::default();
            reconcile_with(world, table, invocation, None, &mut memory).await;
            if let Some(millis) = memory.oldest {
                world.report(&Event::Waiting { table: table.0.clone(), oldest_millis: world.now() - millis });
            }
            memory.oldest
        })
        .buffer_unordered(TABLES_AT_ONCE)
        .collect()
        .await;
    world.report(&Event::Swept { n_tables: tables.len(), oldest: oldest.into_iter().flatten().min() });
    Ok(())
}
