//! The configurations of the model: a script of changes in the bucket, messages, instants, and faults.

use std::collections::BTreeSet;

use loader_core::limits::LOAD_PENDINGS_MAX;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Millis;

use super::state::Budget;
use crate::fixture::{Blob, CONFIGS, GROWING, HOUR_MILLIS, MERGED, START_MILLIS, TICK_MILLIS, TIMED};
use crate::mutant::Mutant;

mod paced;

/// A change in the bucket.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object is written.
    Put(&'static str, Blob),
    /// An object is deleted.
    Delete(&'static str),
    /// A column is added to the target tables.
    AddColumn(&'static str),
}

/// The tracker's content at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// No items.
    Empty,
    /// Items of loader 0.1: the first message is recorded and acknowledged, and its load waits or is at any step.
    Old,
}

/// What the model explores.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Name, for messages.
    pub name: &'static str,
    /// Changes in the bucket, which happen in this order at any time.
    pub script: Vec<Change>,
    /// Number of steps of the script that are done at the beginning.
    pub done: usize,
    /// For each message, the steps of the script that it is about.
    pub messages: Vec<Vec<usize>>,
    /// The table of each message; 0 if the list is shorter.
    pub tables: Vec<usize>,
    /// Positions of the messages that are a bulk request's; the others tell of live files.
    pub requested: Vec<usize>,
    /// The tracker's content at the beginning.
    pub beginning: Beginning,
    /// How many pending loads, the newest, a read of the slot returns with it.
    pub page: usize,
    /// How many pending loads a load takes.
    pub load_pendings_max: usize,
    /// The instants of the run. Time passes from one to the next.
    pub instants: Vec<Millis>,
    /// How far the clocks of the invocations are off, in turn.
    pub skews: Vec<Millis>,
    /// Maximum concurrent invocations.
    pub invocations: usize,
    /// Maximum deliveries of a message.
    pub deliveries: u8,
    /// Maximum deliveries of a completion event.
    pub events: u8,
    /// Whether there are sweeps.
    pub sweep: bool,
    /// Whether `NextLoader` also runs from its trigger to its end in one step: all tables of a sweep, and who follows a load that ended.
    pub whole: bool,
    /// The faults.
    pub budget: Budget,
    /// The failure class of a refused submit.
    pub refusal: FailureClass,
    /// The error of a statement that fails although its files are good.
    pub failure: &'static str,
    /// Whether the error text names a bad file.
    pub names_bad_files: bool,
    /// A seeded bug.
    pub mutant: Mutant,
}

/// A good object.
pub fn blob(etag: &str, size_bytes: u64) -> Blob {
    Blob { etag: etag.to_owned(), size_bytes, bad: false, misfit: false, names: &[], versioned: false }
}

/// An object with columns of these names.
pub fn shaped(etag: &str, size_bytes: u64, names: &'static [&'static str]) -> Blob {
    Blob { names, ..blob(etag, size_bytes) }
}

/// An object that COPY cannot load.
pub fn bad(etag: &str, size_bytes: u64) -> Blob {
    Blob { bad: true, ..blob(etag, size_bytes) }
}

/// An object whose columns show that COPY cannot load it.
pub fn misfit(etag: &str, size_bytes: u64) -> Blob {
    Blob { misfit: true, ..bad(etag, size_bytes) }
}

/// Three objects, of which this one is the second.
fn among_three(second: Blob) -> Vec<Change> {
    vec![Change::Put("a", blob("a1", 1)), Change::Put("b", second), Change::Put("c", blob("c1", 3))]
}

/// The instants of the first `count` ticks.
pub fn ticks(count: i64) -> Vec<Millis> {
    (0..count).map(|tick| START_MILLIS + tick * TICK_MILLIS).collect()
}

impl Configuration {
    fn base(name: &'static str) -> Self {
        Self {
            name,
            script: vec![Change::Put("a", blob("a1", 1)), Change::Put("b", blob("b1", 2))],
            done: 2,
            messages: vec![vec![0], vec![1]],
            tables: Vec::new(),
            requested: Vec::new(),
            beginning: Beginning::Empty,
            page: usize::MAX,
            load_pendings_max: LOAD_PENDINGS_MAX,
            instants: ticks(2),
            skews: vec![0],
            invocations: 2,
            deliveries: 1,
            events: 1,
            sweep: true,
            whole: false,
            budget: Budget::default(),
            refusal: FailureClass::OperatorsTurn,
            failure: "serializable isolation violation",
            names_bad_files: false,
            mutant: Mutant::None,
        }
    }

    /// Two loaders and the completion event, without failures, crashes and sweeps.
    pub fn quiet() -> Self {
        Self { instants: ticks(1), sweep: false, ..Self::base("quiet") }
    }

    /// Two messages that are delivered twice each, two invocations at a time, the completion event, and sweeps.
    pub fn contention() -> Self {
        Self { deliveries: 2, instants: ticks(1), ..Self::base("contention") }
    }

    /// Two tables in one tracker: an object for both, and another for the second table.
    pub fn two_tables() -> Self {
        Self { messages: vec![vec![0], vec![0, 1]], tables: vec![0, 1], ..Self::base("two tables") }
    }

    /// Three concurrent invocations.
    pub fn three() -> Self {
        Self { messages: vec![vec![0, 1]], invocations: 3, ..Self::base("three invocations") }
    }

    /// Invocations crash before and after every step; messages and events are delivered twice.
    pub fn crashes() -> Self {
        let budget = Budget { crashes: 2, ..Budget::default() };
        Self { messages: vec![vec![0, 1]], deliveries: 2, events: 2, budget, ..Self::base("crashes") }
    }

    /// Every outcome of a submit, and takeovers.
    pub fn submits() -> Self {
        let budget = Budget { crashes: 1, refusals: 1, lost_answers: 1, ..Budget::default() };
        Self {
            script: vec![Change::Put("a", blob("a1", 1))],
            done: 1,
            messages: vec![vec![0]],
            instants: ticks(3),
            budget,
            ..Self::base("submits")
        }
    }

    /// A statement fails although its files are good, and is repeated.
    pub fn failures() -> Self {
        let budget = Budget { crashes: 1, failures: 1, ..Budget::default() };
        Self { messages: vec![vec![0, 1]], instants: ticks(3), budget, ..Self::base("failures") }
    }

    /// An object is overwritten at any time.
    pub fn overwrite() -> Self {
        Self {
            script: vec![
                Change::Put("a", blob("a1", 1)),
                Change::Put("b", blob("b1", 2)),
                Change::Put("a", blob("a2", 3)),
            ],
            messages: vec![vec![0, 1], vec![2]],
            ..Self::base("overwrite")
        }
    }

    /// An object is deleted and written again.
    pub fn delete() -> Self {
        Self {
            script: vec![
                Change::Put("a", blob("a1", 1)),
                Change::Put("b", blob("b1", 2)),
                Change::Delete("a"),
                Change::Put("a", blob("a2", 3)),
            ],
            messages: vec![vec![0, 1], vec![3]],
            ..Self::base("delete")
        }
    }

    /// One bad file among three.
    pub fn bad_file() -> Self {
        let budget = Budget { crashes: 1, ..Budget::default() };
        Self {
            script: among_three(bad("b1", 2)),
            done: 3,
            messages: vec![vec![0, 1], vec![2]],
            instants: ticks(1),
            budget,
            ..Self::base("bad file")
        }
    }

    /// One bad file among three, which the warehouse's error names.
    pub fn named_bad_file() -> Self {
        Self {
            names_bad_files: true,
            messages: vec![vec![0, 1, 2]],
            ..Self { name: "named bad file", ..Self::bad_file() }
        }
    }

    /// One misfit among three files; the others are loaded without it.
    pub fn misfit() -> Self {
        Self { script: among_three(misfit("b1", 2)), tables: vec![MERGED, MERGED], ..Self::bad_file().named("misfit") }
    }

    /// Files of an older and a newer shape wait together; the table gets the newer one's column.
    pub fn shapes() -> Self {
        let budget = Budget { crashes: 1, ..Budget::default() };
        Self {
            script: vec![
                Change::Put("a", shaped("a1", 1, &["id", "at"])),
                Change::Put("b", shaped("b1", 2, &["id", "more", "at"])),
            ],
            messages: vec![vec![0, 1]],
            tables: vec![GROWING],
            budget,
            ..Self::base("shapes")
        }
    }

    /// Hours pass between steps, so that the service forgets client tokens and statements. No invocation lives that long.
    pub fn hours() -> Self {
        let at = |hours: i64, minutes: i64| START_MILLIS + hours * HOUR_MILLIS + minutes * TICK_MILLIS;
        let budget = Budget { lost_answers: 1, ..Budget::default() };
        let instants = vec![at(0, 0), at(7, 29), at(7, 43), at(8, 0), at(23, 0), at(24, 30)];
        Self { instants, budget, ..Self::submits().named("hours") }
    }

    /// A statement may run longer than its queue allows; its cancellation may be refused, be lost, or come too late.
    pub fn timeout() -> Self {
        let budget = Budget { cancels: 1, ..Budget::default() };
        Self { tables: vec![TIMED], events: 0, budget, ..Self::submits().named("timeout") }
    }

    /// Like `timeout`, but two attempts in turn may run too long; one invocation at a time.
    pub fn timeout_twice() -> Self {
        Self { invocations: 1, instants: ticks(4), ..Self::timeout().named("timeout twice") }
    }

    /// One clock is minutes behind the other.
    pub fn skew() -> Self {
        Self { skews: vec![0, -5 * TICK_MILLIS], ..Self::submits().named("skew") }
    }

    /// A day later, the service has forgotten the statement by one clock and not by the other.
    pub fn hours_apart() -> Self {
        let instants = vec![START_MILLIS, START_MILLIS + 23 * HOUR_MILLIS + 2 * TICK_MILLIS];
        let budget = Budget { lost_answers: 1, crashes: 1, ..Budget::default() };
        Self { instants, budget, ..Self::skew().named("hours apart") }
    }

    /// A bad file goes to quarantine, is repaired without a new version, and is retried by an operator; its message is delivered again.
    pub fn retry() -> Self {
        let budget = Budget { retries: 1, ..Budget::default() };
        Self {
            script: vec![Change::Put("b", bad("b1", 2)), Change::Put("b", blob("b1", 2))],
            done: 1,
            messages: vec![vec![0]],
            deliveries: 2,
            instants: ticks(1),
            budget,
            ..Self::base("retry")
        }
    }

    /// More objects than the settling transaction can contain ledger entries for, so that they are entered before it.
    pub fn many() -> Self {
        let keys = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let budget = Budget { crashes: 1, ..Budget::default() };
        Self {
            script: keys
                .iter()
                .enumerate()
                .map(|(number, key)| Change::Put(key, blob(key, 1 + number as u64)))
                .collect(),
            done: keys.len(),
            messages: vec![(0..keys.len()).collect(), vec![0]],
            deliveries: 2,
            instants: ticks(1),
            budget,
            ..Self::base("many objects")
        }
    }

    /// Only the newest pending load is read with the slot, so that the oldest must be read by a separate call.
    pub fn long_backlog() -> Self {
        Self { page: 1, deliveries: 2, instants: ticks(1), ..Self::base("long backlog") }
    }

    /// A load takes only one pending load, so that two are gathered first.
    pub fn gathering() -> Self {
        let budget = Budget { crashes: 1, ..Budget::default() };
        Self { load_pendings_max: 1, deliveries: 2, instants: ticks(1), budget, ..Self::base("gathering") }
    }

    /// A column is added to a merged table at any time.
    pub fn columns() -> Self {
        Self {
            script: vec![Change::Put("a", blob("a1", 1)), Change::Put("b", blob("b1", 2)), Change::AddColumn("more")],
            tables: vec![MERGED, MERGED],
            ..Self::base("columns")
        }
    }

    /// The message of a merged file comes again, when the columns of its table are not known any more.
    pub fn known_columns() -> Self {
        Self {
            script: vec![Change::Put("a", blob("a1", 1))],
            done: 1,
            messages: vec![vec![0]],
            tables: vec![MERGED],
            deliveries: 2,
            instants: vec![START_MILLIS, START_MILLIS + 11 * TICK_MILLIS],
            ..Self::base("known columns")
        }
    }

    /// Loader 0.1 is replaced during its work, and may run one more load.
    pub fn upgrade() -> Self {
        let budget = Budget { old_loads: 1, ..Budget::default() };
        Self {
            deliveries: 2,
            script: vec![Change::Put("a", blob("a1", 1))],
            done: 1,
            messages: vec![vec![0]],
            beginning: Beginning::Old,
            budget,
            ..Self::base("upgrade")
        }
    }

    /// The tables that messages are for.
    pub fn tables_in_play(&self) -> BTreeSet<usize> {
        (0..self.messages.len()).map(|message| self.tables.get(message).copied().unwrap_or(0)).collect()
    }

    /// Whether they have a warehouse's file.
    pub fn is_paced(&self) -> bool {
        self.tables_in_play().into_iter().any(|table| CONFIGS[table].pace.is_some())
    }

    /// The configuration with another name.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The configuration with a seeded bug.
    #[must_use]
    pub fn with(self, mutant: Mutant) -> Self {
        Self { mutant, ..self }
    }
}
