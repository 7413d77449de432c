//! What is told to the log and the metrics: one event per line, with table, load id and statement id where there is one.

use loader_core::tracker::change::Note;
use loader_core::tracker::item::Millis;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Objects were recorded for a table.
    Recorded {
        /// The target table, as the tracker spells its key.
        table: String,
        /// Object versions, repeated ones included.
        n_objects: usize,
    },
    /// A record was understood and is nothing to load.
    Skipped {
        /// The object or record that nobody loads.
        what: String,
        /// The reason, one line.
        why: String,
    },
    /// A message could not be taken and stays in its queue.
    Refused {
        /// The message's queue.
        queue: String,
        /// SQS's id of the message, which comes again.
        message_id: String,
        /// Whether it may be taken then without anybody's doing.
        passes: bool,
        /// The reason, one line.
        why: String,
    },
    /// The tracker moved.
    Moved {
        /// The target table, as the tracker spells its key.
        table: String,
        /// The load that moved.
        load_id: String,
        /// Its statement, once it has one.
        statement_id: Option<String>,
        /// The step that was written, with its figures.
        note: Note,
    },
    /// A service did not do what it was asked; the next reconcile goes on from the tracker.
    Stopped {
        /// The target table, as the tracker spells its key.
        table: String,
        /// The load that holds the slot, as far as that is known.
        load_id: Option<String>,
        /// The reason, one line.
        why: String,
    },
    /// Columns of files could not be compared with the target's: COPY decides about them, by position.
    NotCompared {
        /// The target table, as the tracker spells its key.
        table: String,
        /// How many files.
        n_objects: usize,
        /// The reason of the first, one line.
        why: String,
    },
    /// A load has added columns to its target: they came with its rows.
    ColumnsAdded {
        /// The target table, as the tracker spells its key.
        table: String,
        /// The load.
        load_id: String,
        /// Name and type of each.
        columns: Vec<String>,
    },
    /// A payload is not ours.
    NotOurs {
        /// The reason, one line.
        why: String,
    },
    /// An invocation has read a part of a folder.
    Listed {
        /// The target table, as the tracker spells its key.
        table: String,
        /// The folder, as the request has it.
        s3_path: String,
        /// Objects that were found so far.
        objects: u64,
        /// Objects that were recorded so far.
        new_objects: u64,
        /// Whether the folder is read to its end.
        ended: bool,
    },
    /// A source check found objects of which no event had told; they are recorded now.
    Missed {
        /// The target table, as the tracker spells its key.
        table: String,
        /// How many.
        n_objects: usize,
        /// The first of them, as a URL.
        first: String,
    },
    /// A sweep came to its end.
    Swept {
        /// Tables with work.
        n_tables: usize,
        /// How long the object has waited that waits longest, in milliseconds.
        oldest_millis: Millis,
        /// By how many seconds the first object is late.
        seconds_late: i64,
        /// Objects that wait.
        n_objects: usize,
        /// Tables whose load waits for somebody.
        n_stuck: usize,
    },
    /// What a sweep left waiting of a table.
    Waiting {
        /// The target table, as the tracker spells its key.
        table: String,
        /// How long its oldest object has waited, in milliseconds.
        oldest_millis: Millis,
        /// By how many seconds the first object is late by its queue's bound.
        seconds_late: i64,
        /// Objects that wait.
        n_objects: usize,
        /// Whether the load waits for somebody.
        is_stuck: bool,
    },
}
