//! MicrobatchLoader: SQS messages become pending loads, and then their tables are reconciled.
//!
//! A message is acknowledged only when every object in it is recorded in the tracker. From then on, the tracker and the sweep take care of
//! it, so a failure to reconcile never returns a message to its queue.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::ids::{DbTable, WaitingObject};
use loader_core::s3_event;
use loader_core::tracker::item::ConfigSource;

use crate::ports::{ConfigError, World};
use crate::reconcile::{Invocation, reconcile};
use crate::record::{Origin, record};
use crate::report::Event;

/// One message of a batch.
#[derive(Clone, Debug)]
pub struct Message {
    /// SQS's message id, for the batch response.
    pub id: String,
    /// Name of the queue that it came from.
    pub queue: String,
    /// The body: an S3 notification.
    pub body: String,
}

/// Handles a batch. Returns the ids of the messages that must be delivered again.
pub async fn handle<W: World>(world: &W, messages: &[Message], invocation: &Invocation) -> Vec<String> {
    let mut queues: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
    for message in messages {
        queues.entry(&message.queue).or_default().push(message);
    }
    let mut refused: BTreeSet<String> = BTreeSet::new();
    let mut tables: BTreeSet<DbTable> = BTreeSet::new();
    for (queue, messages) in queues {
        let (recorded, failed) = record_queue(world, queue, &messages, invocation).await;
        tables.extend(recorded);
        for (message_id, Refusal { why, passes }) in failed {
            world.report(&Event::Refused { queue: queue.to_owned(), message_id: message_id.clone(), passes, why });
            refused.insert(message_id);
        }
    }
    for table in &tables {
        reconcile(world, table, invocation, None).await;
    }
    refused.into_iter().collect()
}

/// Why a message is not accepted.
#[derive(Clone)]
struct Refusal {
    why: String,
    /// Whether it may be accepted later without anyone's action.
    passes: bool,
}

impl Refusal {
    fn lasting(problem: &impl ToString) -> Self {
        Self { why: problem.to_string(), passes: false }
    }
}

/// Records the messages of one queue for its table, and each object also for every other table that the queue feeds. Returns these tables,
/// and the messages that failed with the reason. A message fails unless each of its objects is recorded for every table that it concerns.
async fn record_queue<W: World>(
    world: &W,
    queue: &str,
    messages: &[&Message],
    invocation: &Invocation,
) -> (BTreeSet<DbTable>, BTreeMap<String, Refusal>) {
    let (sources, unreadable) = sources(world, queue).await;
    let all = |why: Refusal| messages.iter().map(move |message| (message.id.clone(), why.clone()));
    let mut failed: BTreeMap<String, Refusal> = unreadable.into_iter().flat_map(all).collect();
    if sources.is_empty() {
        return (BTreeSet::new(), failed);
    }
    let mut objects: Vec<WaitingObject> = Vec::new();
    let mut created_millis = None;
    let mut origin = Origin { request_id: invocation.request_id(), ..Origin::default() };
    for message in messages {
        match s3_event::parse(&message.body) {
            Err(problem) => {
                failed.insert(message.id.clone(), Refusal::lasting(&problem));
            }
            Ok(notification) => {
                for skipped in notification.skipped {
                    world.report(&Event::Skipped { what: skipped.what, why: skipped.why.to_owned() });
                }
                if let Some(problem) = notification.problems.first() {
                    failed.insert(message.id.clone(), Refusal::lasting(problem));
                }
                created_millis = created_millis.into_iter().chain(notification.created_millis).min();
                for waiting in notification.objects {
                    origin.messages.entry(waiting.object.id()).or_default().push(&message.id);
                    objects.push(waiting);
                }
            }
        }
    }
    for source in &sources {
        let recorded = record(world, &objects_for(&objects, source), created_millis, source, &origin).await;
        for (object_id, error) in recorded.failed {
            for message_id in origin.messages.get(&object_id).into_iter().flatten() {
                failed.insert((*message_id).to_owned(), Refusal { why: error.to_string(), passes: error.passes() });
            }
        }
    }
    (sources.iter().map(|source| source.recorded.db_table()).collect(), failed)
}

/// The configuration of the queue's own table, and then those of the other tables that it feeds; and the reason if one is not available.
/// The other tables are not affected by it.
async fn sources<W: World>(world: &W, queue: &str) -> (Vec<ConfigSource>, Option<Refusal>) {
    let refusal =
        |what: String, error: &ConfigError| Refusal { why: format!("{what}: {error}"), passes: error.passes() };
    let own = match world.queue(queue).await {
        Ok(config) => config,
        Err(error) => return (Vec::new(), Some(refusal(format!("queue `{queue}`"), &error))),
    };
    let mut unreadable = None;
    let mut sources = vec![ConfigSource { queue: Some(queue.to_owned()), recorded: own.clone() }];
    for name in &own.feeds {
        match world.queue(name).await {
            Ok(config) => sources.push(ConfigSource { queue: Some(name.clone()), recorded: config }),
            Err(error) => unreadable = Some(refusal(format!("queue `{queue}` feeds `{name}`"), &error)),
        }
    }
    (sources, unreadable)
}

/// The objects for a table: all of them for the queue's own table; those in its source folder for a table that is fed by the queue.
fn objects_for(objects: &[WaitingObject], source: &ConfigSource) -> Vec<WaitingObject> {
    let config = &source.recorded;
    let is_for_table = |waiting: &&WaitingObject| match (&config.fed_by, &config.source) {
        (Some(_), Some(folder)) => folder.holds(&waiting.object.bucket, &waiting.object.key),
        (Some(_), None) => false,
        (None, _) => true,
    };
    objects.iter().filter(is_for_table).cloned().collect()
}
