//! NextLoader: a statement ended, or a minute is over. Records nothing; reconciles.

use futures::{StreamExt, stream};
use loader_core::ids::DbTable;
use loader_core::statement_event::Trigger;
use loader_core::tracker::decide::Idle;

use crate::ports::{Answer, World};
use crate::reconcile::{Ended, Invocation, reconcile};
use crate::report::Event;

/// How often, and how long after each other, an event looks at a table that another invocation is working on.
const HELD_LOOKS_MAX: usize = 10;
const HELD_MILLIS: u64 = 500;
/// Tables reconciled at the same time by a sweep.
const TABLES_AT_ONCE: usize = 8;

/// Handles a trigger. An error means that the sweep could not even start.
pub async fn handle<W: World>(world: &W, trigger: Trigger, invocation: &Invocation) -> Answer<()> {
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
    for _ in 0..HELD_LOOKS_MAX {
        if reconcile(world, table, invocation, statement_id).await != Ended::Idle(Idle::Held) {
            return;
        }
        world.sleep(HELD_MILLIS).await;
    }
}

/// Reconciles every table with work. One table that cannot go on does not hold up the others.
async fn sweep<W: World>(world: &W, invocation: &Invocation) -> Answer<()> {
    let tables = world.tables_with_work().await?;
    stream::iter(&tables)
        .for_each_concurrent(TABLES_AT_ONCE, |table| async move {
            reconcile(world, table, invocation, None).await;
        })
        .await;
    let oldest = oldest_waiting(world, &tables).await?;
    world.report(&Event::Swept { n_tables: tables.len(), oldest });
    Ok(())
}

async fn oldest_waiting<W: World>(world: &W, tables: &std::collections::BTreeSet<DbTable>) -> Answer<Option<i64>> {
    let mut oldest: Option<i64> = None;
    for table in tables {
        let running = world.running(table).await?.map(|running| running.recorded_millis);
        let waiting = world.backlog(table, 1).await?.first().map(|pending| pending.recorded_millis);
        if let Some(millis) = running.into_iter().chain(waiting).min() {
            world.report(&Event::Waiting { table: table.0.clone(), oldest_millis: world.now() - millis });
            oldest = Some(oldest.map_or(millis, |known| known.min(millis)));
        }
    }
    Ok(oldest)
}
