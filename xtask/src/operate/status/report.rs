//! The JSON of `cargo xtask status`: an array with one entry per table. `docs/schema/status.schema.json` is generated from these types.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ground::output::Out;
use crate::operate::records::Quarantine;

/// The state of one target table, or of a queue whose configuration cannot be read.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TableReport {
    /// Target table, as the tracker spells its key; null for an entry without a table.
    pub table: Option<String>,
    /// Whether someone has to look at it.
    pub health: Health,
    /// What the table is doing.
    pub state: State,
    /// What is wrong and what to do, one sentence each.
    pub advice: Vec<String>,
    /// Number of pending loads in the tracker, including those of the running load.
    pub pending_loads: usize,
    /// Number of waiting files, including those of the running load.
    pub waiting_objects: usize,
    /// Size of these files in bytes.
    pub waiting_bytes: u64,
    /// When the oldest waiting file was recorded, in epoch milliseconds.
    pub oldest_waiting_since_millis: Option<i64>,
    /// When the first waiting file becomes or became late, in epoch milliseconds.
    pub late_at_millis: Option<i64>,
    /// The running load.
    pub running: Option<Running>,
    /// Present while an operator has paused the table.
    pub paused: Option<Paused>,
    /// The newest finished load.
    pub last_load: Option<LastLoad>,
    /// Loads of the last hour.
    pub loads_last_hour: usize,
    /// Nine out of ten files of the last hour were loaded within this time of being created, in milliseconds.
    pub freshness_p90_millis: Option<i64>,
    /// Files that could not be loaded.
    pub quarantine: Vec<Quarantine>,
    /// The queues that load into the table.
    pub queues: Vec<Queue>,
}

/// Whether someone has to look at a table. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing is wrong.
    Healthy,
    /// The oldest file has waited longer than it should.
    Late,
    /// Someone has to act.
    Broken,
}

impl Health {
    /// Exit code of the command; codes 1 to 3 mean that it failed.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Late => 4,
            Self::Broken => 5,
        }
    }

    /// A line in the color of this health.
    pub fn paint(self, out: Out, line: &str) -> String {
        match self {
            Self::Healthy => line.to_owned(),
            Self::Late => out.attention(line),
            Self::Broken => out.bad(line),
        }
    }

    /// One word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "ok",
            Self::Late => "LATE",
            Self::Broken => "BROKEN",
        }
    }
}

/// What a table is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing was ever recorded.
    New,
    /// Nothing is waiting.
    Idle,
    /// Files are waiting, and no load is running.
    Waiting,
    /// A load is running.
    Loading,
    /// An attempt failed, and another follows without anyone's action.
    Retrying,
    /// A load waits for an operator.
    Operator,
    /// An operator or the queue's file has paused the table.
    Paused,
    /// It is unknown whether the load was committed; it goes to quarantine.
    Unknown,
}

impl State {
    /// One word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Loading => "loading",
            Self::Retrying => "retrying",
            Self::Operator => "operator",
            Self::Paused => "paused",
            Self::Unknown => "unknown",
        }
    }
}

/// The load that holds a table's slot.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Running {
    /// Load id.
    pub load_id: String,
    /// Its number among the table's loads.
    pub number: u64,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The current step, in words.
    pub step: String,
    /// The running statement.
    pub statement_id: Option<String>,
    /// Since when the statement has been running, or else since when the load has held the slot, in epoch milliseconds.
    pub since_millis: i64,
    /// Earliest start of the next attempt, in epoch milliseconds.
    pub next_attempt_millis: Option<i64>,
}

/// An operator's pause.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Paused {
    /// Who paused it, as the ARN of the credentials.
    pub by: String,
    /// When it was paused, in epoch milliseconds.
    pub since_millis: i64,
    /// The reason, if given.
    pub reason: Option<String>,
}

/// A finished load.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct LastLoad {
    /// Load id.
    pub load_id: String,
    /// Number of files.
    pub objects: u64,
    /// Number of rows, if the service reports it.
    pub rows: Option<i64>,
    /// Size of the files in bytes.
    pub bytes: u64,
    /// Statement that loaded it.
    pub statement_id: String,
    /// When it ended, in epoch milliseconds.
    pub at_millis: i64,
}

/// A queue that loads into a table.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Queue {
    /// Name in SQS.
    pub name: String,
    /// Number of messages in its dead-letter queue; null if it has none of its own.
    pub dead_letters: Option<u64>,
    /// Whether its file sets `load.paused`.
    pub paused: bool,
    /// What is wrong with its file.
    pub problem: Option<String>,
}
