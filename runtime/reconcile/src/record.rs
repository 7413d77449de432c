//! Recording facts: objects into the tracker, each chunk with its ledger entries in one transaction.

use std::collections::BTreeSet;

use loader_core::tracker::enqueue;
use loader_core::tracker::item::{ConfigSource, WaitingObject};
use loader_core::tracker::write::Written;

use crate::ports::{Answer, PortError, World};
use crate::reconcile::Invocation;
use crate::report::Event;

/// What became of the objects.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Objects that are waiting now and were not known before.
    pub new: usize,
    /// Objects that were accepted before: waiting, loaded or in quarantine.
    pub known: usize,
    /// Ids of the objects that are not recorded, with the reason.
    pub failed: Vec<(String, PortError)>,
}

/// Records objects for a table. What fails is reported per object; everything else is recorded.
pub async fn record<W: World>(
    world: &W,
    objects: &[WaitingObject],
    source: &ConfigSource,
    invocation: &Invocation,
) -> Recorded {
    let mut seen = BTreeSet::new();
    let distinct: Vec<WaitingObject> =
        objects.iter().filter(|waiting| seen.insert(waiting.object.id())).cloned().collect();
    let mut recorded = Recorded::default();
    for chunk in enqueue::chunks(&distinct, source.recorded.limits) {
        match record_chunk(world, &chunk, source, invocation).await {
            Ok(new) => {
                recorded.new += new;
                recorded.known += chunk.len() - new;
            }
            Err(error) => {
                recorded.failed.extend(chunk.iter().map(|waiting| (waiting.object.id(), error.clone())));
            }
        }
    }
    if recorded.new + recorded.known > 0 {
        world.report(&Event::Recorded {
            table: source.recorded.db_table().0,
            n_new: recorded.new,
            n_known: recorded.known,
        });
    }
    recorded
}

/// Leaves out what was accepted before until the rest is accepted. Every round leaves out one object at least.
async fn record_chunk<W: World>(
    world: &W,
    chunk: &[WaitingObject],
    source: &ConfigSource,
    invocation: &Invocation,
) -> Answer<usize> {
    let mut rest = chunk.to_vec();
    while !rest.is_empty() {
        let transaction = enqueue::record(&rest, source, invocation.timing.ledger_millis, world.now());
        match world.write(&transaction).await? {
            Written::Done => return Ok(rest.len()),
            // Only the pending item itself: somebody else recorded the same objects in the same millisecond.
            Written::Refused(refused) if refused.iter().all(|index| *index >= rest.len()) => world.sleep(1).await,
            Written::Refused(refused) => rest = enqueue::without(&rest, &refused),
        }
    }
    Ok(0)
}
