//! Continues the listings of a table that earlier invocations began, and gives up those that do not end.

use loader_core::bulk_request::{BulkPath, parse_stored};
use loader_core::ids::DbTable;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Millis;
use loader_core::tracker::list;
use loader_core::tracker::listing::{Listing, TURNS_MAX};
use loader_core::tracker::write::Written;

use super::{End, RECONCILE_MILLIS, Reading};
use crate::ports::{PortError, PortResult, World};
use crate::reconcile::{Invocation, Memory, reconcile_with};
use crate::report::Event;

/// Operation in the error about a listing that was given up.
const GIVEN_UP: &str = "a bulk request";

/// Continues a table's listings until this time. An error says that one of them was given up, so that an alarm is raised; after any other
/// failure, the next sweep tries again.
pub(crate) async fn continue_listings<W: World>(
    world: &W,
    table: &DbTable,
    invocation: &Invocation,
    until: Millis,
    memory: Memory,
) -> PortResult<()> {
    match continue_each(world, table, invocation, until, memory).await {
        Err(error) if error.operation != GIVEN_UP => {
            world.report(&Event::Stopped { table: table.0.clone(), load_id: None, why: error.to_string() });
            Ok(())
        }
        outcome => outcome,
    }
}

async fn continue_each<W: World>(
    world: &W,
    table: &DbTable,
    invocation: &Invocation,
    until: Millis,
    mut memory: Memory,
) -> PortResult<()> {
    let until = until.min(invocation.deadline - RECONCILE_MILLIS);
    let mut listings = world.listings(table).await?;
    listings.sort_by_key(|listing| (listing.turns, listing.started_millis));
    let mut outcome = Ok(());
    for listing in listings {
        let now = world.now();
        if now >= until || !listing.is_free(now, invocation.timing.patience_millis) {
            continue;
        }
        let path = if listing.turns < TURNS_MAX { parse_stored(&listing.request) } else { Err(exhausted(&listing)) };
        match path {
            Ok(path) => continue_listing(world, table, invocation, until, (&path, listing), &mut memory).await?,
            Err(why) => outcome = outcome.and(give_up(world, table, invocation, listing, why).await),
        }
    }
    outcome
}

fn exhausted(listing: &Listing) -> String {
    let last = listing.error.as_deref().unwrap_or("the folder is too large");
    format!("not finished after {TURNS_MAX} invocations: {last}")
}

async fn continue_listing<W: World>(
    world: &W,
    table: &DbTable,
    invocation: &Invocation,
    until: Millis,
    (path, listing): (&BulkPath, Listing),
    memory: &mut Memory,
) -> PortResult<()> {
    let turns = listing.turns + 1;
    let taken =
        Listing { holder: invocation.holder.clone(), touched_millis: world.now(), turns, error: None, ..listing };
    let (taken, transaction) = list::store(table, &taken.clone(), taken);
    if world.write(&transaction).await? != Written::Done {
        return Ok(());
    }
    let (position, counts) = (Some(taken.position.clone()), taken.counts);
    let mut reading =
        Reading { until, position, counts, listing: Some(taken), ..Reading::new(world, path, invocation) };
    if let End::Failed(why) = reading.read().await {
        world.report(&Event::Stopped { table: table.0.clone(), load_id: None, why });
    }
    reconcile_with(world, table, invocation, None, memory).await;
    Ok(())
}

/// Marks a listing as given up. It is no longer continued, and its item remains readable for people until it expires.
async fn give_up<W: World>(
    world: &W,
    table: &DbTable,
    invocation: &Invocation,
    listing: Listing,
    why: String,
) -> PortResult<()> {
    let expires_at = (world.now() + invocation.timing.history_millis) / 1000;
    let next = Listing { given_up: Some(expires_at), error: Some(why.clone()), ..listing };
    let (_, transaction) = list::store(table, &next.clone(), next);
    world.write(&transaction).await?;
    let message = format!("a bulk request for {table} was given up: {why}");
    Err(PortError { operation: GIVEN_UP, unknown: false, class: FailureClass::OperatorsTurn, message })
}
