//! The JSON of `cargo xtask status`: an array with one entry a table. `docs/schema/status.schema.json` is made of these types.

use schemars::JsonSchema;
use serde::Serialize;

use crate::operate::records::Quarantine;

/// What is known of one target table, or of a queue whose configuration cannot be read.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TableReport {
    /// Target table as the tracker spells its key; null for what belongs to no table.
    pub table: Option<String>,
    /// Whether somebody has to look at it.
    pub health: Health,
    /// What it does.
    pub state: State,
    /// What is wrong and what to do, one sentence each.
    pub advice: Vec<String>,
    /// Pending loads in the tracker, those of the running load included.
    pub pending_loads: usize,
    /// Files that wait, those of the running load included.
    pub waiting_objects: usize,
    /// Bytes of these files.
    pub waiting_bytes: u64,
    /// When the file was recorded that waits longest, epoch milliseconds.
    pub oldest_waiting_since_millis: Option<i64>,
    /// When the first of its waiting files is late, or was, epoch milliseconds.
    pub late_at_millis: Option<i64>,
    /// The load that holds the table's slot.
    pub running: Option<Running>,
    /// Set while an operator has paused the table.
    pub paused: Option<Paused>,
    /// The newest finished load.
    pub last_load: Option<LastLoad>,
    /// Loads of the last hour.
    pub loads_last_hour: usize,
    /// Nine of ten files of the last hour were loaded within this time of being recorded, in milliseconds.
    pub freshness_p90_millis: Option<i64>,
    /// What could not be loaded.
    pub quarantine: Vec<Quarantine>,
    /// The queues that load into the table.
    pub queues: Vec<Queue>,
}

/// Whether somebody has to look at a table. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nobody.
    Healthy,
    /// The oldest file waits longer than it should.
    Late,
    /// Somebody has to act.
    Broken,
}

impl Health {
    /// Exit code of the command; 1 to 3 mean that it could not answer.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Late => 4,
            Self::Broken => 5,
        }
    }

    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "ok",
            Self::Late => "LATE",
            Self::Broken => "BROKEN",
        }
    }
}

/// What a table does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing was ever recorded.
    New,
    /// Nothing waits.
    Idle,
    /// Files wait, no load runs.
    Waiting,
    /// A load runs.
    Loading,
    /// An attempt failed, another follows by itself.
    Retrying,
    /// A load waits for an operator.
    Operator,
    /// Nothing starts, because an operator or the queue's file says so.
    Paused,
    /// Nobody knows whether the load was committed: it goes to quarantine.
    Unknown,
}

impl State {
    /// In a word.
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
    /// Attempt, from 1.
    pub attempt: u32,
    /// How far it is, in words.
    pub step: String,
    /// Statement that runs.
    pub statement_id: Option<String>,
    /// Since when the statement runs, else since when the load holds the slot, epoch milliseconds.
    pub since_millis: i64,
    /// When the next attempt may start, epoch milliseconds.
    pub next_attempt_millis: Option<i64>,
}

/// An operator's pause.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Paused {
    /// Who.
    pub by: String,
    /// Since when, epoch milliseconds.
    pub since_millis: i64,
    /// Why.
    pub reason: Option<String>,
}

/// A finished load.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct LastLoad {
    /// Load id.
    pub load_id: String,
    /// Files.
    pub objects: u64,
    /// Rows, where the service says so.
    pub rows: Option<i64>,
    /// Bytes.
    pub bytes: u64,
    /// Statement that loaded it.
    pub statement_id: String,
    /// When it ended, epoch milliseconds.
    pub at_millis: i64,
}

/// A queue that loads into a table.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Queue {
    /// Name, as SQS has it.
    pub name: String,
    /// Messages in its dead-letter queue; null where it has none of its own.
    pub dead_letters: Option<u64>,
    /// Whether its file says `load.paused`.
    pub paused: bool,
    /// What is wrong with its file.
    pub problem: Option<String>,
}
