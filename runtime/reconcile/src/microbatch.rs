//! MicrobatchLoader: SQS messages become pending loads; then their tables are reconciled.
//!
//! A message is acknowledged only when every object in it is in the tracker. Whatever happens afterwards, the tracker and
//! the sweep carry it on, so a failure to reconcile never brings a message back.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::ids::{DbTable, WaitingObject};
use loader_core::s3_event;
use loader_core::tracker::item::ConfigSource;

use crate::ports::{ConfigError, World};
use crate::reconcile::{Invocation, reconcile};
use crate::record::record;
use crate::report::Event;

/// One message of a batch.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id, for the batch response.
    pub id: String,
    /// Name of its queue.
    pub queue: String,
    /// An S3 notification, as SQS delivered it.
    pub body: String,
}

/// Handles a batch; returns the ids of the messages that must come again.
pub async fn handle<W: World>(world: &W, messages: &[Message], invocation: &Invocation) -> Vec<String> {
    let mut queues: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
    for message in messages {
        queues.entry(&message.queue).or_default().push(message);
    }
    let mut refused: BTreeSet<String> = BTreeSet::new();
    let mut tables: BTreeSet<DbTable> = BTreeSet::new();
    for (queue, messages) in queues {
        let (recorded, failed) = record_queue(world, queue, &messages).await;
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

/// Why a message is not taken.
#[derive(Clone)]
struct Refusal {
    why: String,
    /// Whether waiting alone may cure it.
    passes: bool,
}

impl Refusal {
    fn lasting(problem: &impl ToString) -> Self {
        Self { why: problem.to_string(), passes: false }
    }
}

/// Records the messages of one queue for its table, and each object for every table that the queue feeds too; returns these tables, and
/// the messages that failed with the reason. A message fails unless each of its objects is recorded for every table that it is for.
async fn record_queue<W: World>(
    world: &W,
    queue: &str,
    messages: &[&Message],
) -> (BTreeSet<DbTable>, BTreeMap<String, Refusal>) {
    let (sources, unreadable) = sources(world, queue).await;
    let mut failed = BTreeMap::new();
    if let Some(why) = unreadable {
        failed.extend(messages.iter().map(|message| (message.id.clone(), why.clone())));
    }
    if sources.is_empty() {
        return (BTreeSet::new(), failed);
    }
    let mut objects: Vec<WaitingObject> = Vec::new();
    let mut carriers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
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
                for waiting in notification.objects {
                    carriers.entry(waiting.object.id()).or_default().push(&message.id);
                    objects.push(waiting);
                }
            }
        }
    }
    for source in &sources {
        let recorded = record(world, &meant(&objects, source), source).await;
        for (object_id, error) in recorded.failed {
            for message_id in carriers.get(&object_id).into_iter().flatten() {
                failed.insert((*message_id).to_owned(), Refusal { why: error.to_string(), passes: error.passes() });
            }
        }
    }
    (sources.iter().map(|source| source.recorded.db_table()).collect(), failed)
}

/// The configurations of the queue's table, first, and of the tables that it feeds too; and why one of them cannot be had. The tables of
/// those that can be had are not held up by it.
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

/// The objects that are for a table: all for that of the queue itself, those of its folder for one that is fed too.
fn meant(objects: &[WaitingObject], source: &ConfigSource) -> Vec<WaitingObject> {
    let config = &source.recorded;
    let is_meant = |waiting: &&WaitingObject| match (&config.fed_by, &config.source) {
        (Some(_), Some(folder)) => folder.holds(&waiting.object.bucket, &waiting.object.key),
        (Some(_), None) => false,
        (None, _) => true,
    };
    objects.iter().filter(is_meant).cloned().collect()
}
