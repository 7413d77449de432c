//! Events for the log and the metrics: one per line, with the table, load id and statement id if there are any.

use std::collections::BTreeMap;

use loader_core::tracker::change::Note;
use loader_core::tracker::item::Millis;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Objects were recorded for a table.
    Recorded {
        /// The target table, as the tracker spells its key.
        table: String,
        /// Number of object versions, including repeated ones.
        n_objects: usize,
        /// Lambda's request id of the invocation that recorded them.
        request_id: String,
        /// Keys of the objects, at most a hundred, by the id of the SQS message that names them. Empty if the objects were listed.
        messages: BTreeMap<String, Vec<String>>,
        /// What a second awake of the table's warehouse costs, in millionths of a dollar, where the warehouse's file says it.
        microdollars_per_second: Option<u64>,
    },
    /// A record was understood and has nothing to load.
    Skipped {
        /// The object or event that is skipped.
        what: String,
        /// The reason, one line.
        why: String,
    },
    /// A message could not be accepted and stays in its queue.
    Refused {
        /// The message's queue.
        queue: String,
        /// SQS's message id. The message will be delivered again.
        message_id: String,
        /// Whether it may be accepted then without anyone's action.
        passes: bool,
        /// The reason, one line.
        why: String,
    },
    /// A write moved the table's state.
    Moved {
        /// The target table, as the tracker spells its key.
        table: String,
        /// The load concerned.
        load_id: String,
        /// Its statement, once it has one.
        statement_id: Option<String>,
        /// What was written, with its figures.
        note: Note,
    },
    /// A service failed. The next reconcile continues from the tracker.
    Stopped {
        /// The target table, as the tracker spells its key.
        table: String,
        /// The load that holds the slot, if known.
        load_id: Option<String>,
        /// The reason, one line.
        why: String,
    },
    /// Columns of files could not be compared with the target's, so COPY decides, by position.
    NotCompared {
        /// The target table, as the tracker spells its key.
        table: String,
        /// Number of files.
        n_objects: usize,
        /// The reason for the first one, one line.
        why: String,
    },
    /// A load added columns to its target, together with its rows.
    ColumnsAdded {
        /// The target table, as the tracker spells its key.
        table: String,
        /// The load.
        load_id: String,
        /// Name and type of each column.
        columns: Vec<String>,
    },
    /// A statement of ours keeps a warehouse awake, as far as the loader can tell: in the minute of this instant.
    Awake {
        /// The warehouse's part of the tracker's keys.
        warehouse: String,
        /// The instant.
        at_millis: Millis,
        /// What a second awake costs, in millionths of a dollar, where the warehouse's file says it.
        microdollars_per_second: Option<u64>,
    },
    /// A payload is not for this loader.
    NotOurs {
        /// The reason, one line.
        why: String,
    },
    /// An invocation has read a part of a folder.
    Listed {
        /// The target table, as the tracker spells its key.
        table: String,
        /// The folder, as in the request.
        s3_path: String,
        /// Number of objects found so far.
        objects: u64,
        /// Number of objects recorded so far.
        new_objects: u64,
        /// Whether the folder has been read to its end.
        ended: bool,
    },
    /// A source check found objects without an event; they are about to be recorded.
    Missed {
        /// The target table, as the tracker spells its key.
        table: String,
        /// Number of objects.
        n_objects: usize,
        /// `s3://` URL of the first one.
        first: String,
    },
    /// A sweep is complete.
    Swept {
        /// Number of tables with work.
        n_tables: usize,
        /// How long the oldest object has waited, in milliseconds.
        oldest_millis: Millis,
        /// By how many seconds the most overdue object is late.
        seconds_late: i64,
        /// Number of waiting objects.
        n_objects: usize,
        /// Number of tables whose load is stuck.
        n_stuck: usize,
    },
    /// What a sweep left waiting for a table.
    Waiting {
        /// The target table, as the tracker spells its key.
        table: String,
        /// How long its oldest object has waited, in milliseconds.
        oldest_millis: Millis,
        /// By how many seconds its most overdue object is late, by the queue's own limit.
        seconds_late: i64,
        /// Number of waiting objects.
        n_objects: usize,
        /// Whether the load is stuck: it waits for an operator.
        is_stuck: bool,
    },
}
