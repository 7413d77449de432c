//! Recording objects: they become pending loads, each with one conditional put.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::ids::WaitingObject;
use loader_core::tracker::enqueue;
use loader_core::tracker::item::{ConfigSource, Millis, PendingLoad};

use crate::ports::{PortError, World};
use crate::report::Event;

/// Maximum number of objects that the log line names; the others are only counted.
const NAMED_MAX: usize = 100;

/// How objects came to an invocation.
#[derive(Clone, Debug, Default)]
pub struct Origin<'a> {
    /// Lambda's request id of the invocation.
    pub request_id: &'a str,
    /// Ids of the SQS messages that name an object, by the object's id. Empty if the objects were listed.
    pub messages: BTreeMap<String, Vec<&'a str>>,
}

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
    origin: &Origin<'_>,
) -> Recorded {
    let mut seen = BTreeSet::new();
    let distinct: Vec<WaitingObject> =
        objects.iter().filter(|waiting| seen.insert(waiting.object.id())).cloned().collect();
    let messages = origin.messages_of(&distinct);
    let recorded_by = Some(origin.request_id.to_owned()).filter(|id| !id.is_empty());
    let mut recorded = Recorded::default();
    for pending in enqueue::pendings(distinct, source, world.now()) {
        let pending = PendingLoad { created_millis, recorded_by: recorded_by.clone(), ..pending };
        let ids: Vec<String> = pending.objects.iter().map(|waiting| waiting.object.id()).collect();
        // Refused also means that they are waiting: the same objects were recorded in the same millisecond.
        match world.write(&enqueue::record(pending)).await {
            Ok(_) => recorded.n_recorded += ids.len(),
            Err(error) => recorded.failed.extend(ids.into_iter().map(|id| (id, error.clone()))),
        }
    }
    if recorded.n_recorded > 0 {
        world.report(&Event::Recorded {
            table: source.recorded.db_table().0,
            n_objects: recorded.n_recorded,
            request_id: origin.request_id.to_owned(),
            messages,
            microdollars_per_second: source.recorded.pace.as_ref().and_then(|pace| pace.microdollars_per_second),
        });
    }
    recorded
}

impl Origin<'_> {
    /// The messages that name these objects, each with their keys.
    fn messages_of(&self, objects: &[WaitingObject]) -> BTreeMap<String, Vec<String>> {
        let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for WaitingObject { object, .. } in objects.iter().take(NAMED_MAX) {
            for message in self.messages.get(&object.id()).into_iter().flatten() {
                messages.entry((*message).to_owned()).or_default().push(object.key.clone());
            }
        }
        messages
    }
}
