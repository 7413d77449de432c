//! What is told to the log and the metrics: one event per line, with table, load id and statement id where there is one.

use loader_core::tracker::change::Note;
use loader_core::tracker::item::Millis;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Objects were recorded for a table.
    Recorded {
        /// The table.
        table: String,
        /// Object versions, repeated ones included.
        n_objects: usize,
    },
    /// A record was understood and is nothing to load.
    Skipped {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// A message could not be taken and stays in its queue.
    Refused {
        /// Its message id.
        message_id: String,
        /// Why.
        why: String,
    },
    /// The tracker moved.
    Moved {
        /// The table.
        table: String,
        /// The load.
        load_id: String,
        /// Its statement, once it has one.
        statement_id: Option<String>,
        /// What happened.
        note: Note,
    },
    /// A service did not do what it was asked; the next reconcile goes on from the tracker.
    Stopped {
        /// The table.
        table: String,
        /// Why.
        why: String,
    },
    /// A payload is not ours.
    NotOurs {
        /// Why.
        why: String,
    },
    /// A sweep came to its end.
    Swept {
        /// Tables with work.
        n_tables: usize,
        /// When the object was recorded that waits longest.
        oldest: Option<Millis>,
    },
    /// How long a table's oldest object waits.
    Waiting {
        /// The table.
        table: String,
        /// For how long.
        oldest_millis: i64,
    },
}
