//! Recording objects: they become pending loads, each with one conditional put.

use std::collections::BTreeSet;

use loader_core::ids::WaitingObject;
use loader_core::tracker::enqueue;
use loader_core::tracker::item::{ConfigSource, Millis, PendingLoad};

use crate::ports::{PortError, World};
use crate::report::Event;

/// The result of recording objects.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Number of objects that are waiting now.
    pub n_recorded: usize,
    /// Ids of the objects that are not recorded, with the reason.
    pub failed: Vec<(String, PortError)>,
}

/// Records objects for a table; the oldest of them was created at `created_millis`. Errors are reported per object; all other objects are
/// recorded.
pub async fn record<W: World>(
    world: &W,
    objects: &[WaitingObject],
    created_millis: Option<Millis>,
    source: &ConfigSource,
) -> Recorded {
    let mut seen = BTreeSet::new();
    let distinct: Vec<WaitingObject> =
        objects.iter().filter(|waiting| seen.insert(waiting.object.id())).cloned().collect();
    let mut recorded = Recorded::default();
    for pending in enqueue::pendings(distinct, source, world.now()) {
        let pending = PendingLoad { created_millis, ..pending };
        let ids: Vec<String> = pending.objects.iter().map(|waiting| waiting.object.id()).collect();
        // Refused also means that they are waiting: the same objects were recorded in the same millisecond.
        match world.write(&enqueue::record(pending)).await {
            Ok(_) => recorded.n_recorded += ids.len(),
            Err(error) => recorded.failed.extend(ids.into_iter().map(|id| (id, error.clone()))),
        }
    }
    if recorded.n_recorded > 0 {
        let table = source.recorded.db_table().0;
        world.report(&Event::Recorded { table, n_objects: recorded.n_recorded });
    }
    recorded
}
