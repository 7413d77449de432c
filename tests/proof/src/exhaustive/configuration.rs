//! What one exhaustive run explores: a script of changes in the bucket, messages, instants, faults.

use std::collections::BTreeSet;

use loader_core::limits::LOAD_PENDINGS_MAX;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Millis;

use super::state::Budget;
use crate::fixture::{AGED, Blob, GROWING, HOUR_MILLIS, MERGED, START_MILLIS, TICK_MILLIS};
use crate::mutant::Mutant;

/// A change in the bucket.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object is written.
    Put(&'static str, Blob),
    /// An object is deleted.
    Delete(&'static str),
    /// The target tables get one more column.
    AddColumn(&'static str),
}

/// How the tracker is when the run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Empty.
    Empty,
    /// As loader 0.1 left it: the first message is recorded and acknowledged, and its load is at any step, or waits.
    Old,
}

/// One exhaustive run.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Its name.
    pub name: &'static str,
    /// Changes in the bucket, in this order, at any time.
    pub script: Vec<Change>,
    /// Steps of the script that were done before the run begins.
    pub done: usize,
    /// Messages: the positions in the script of the objects that each tells of.
    pub messages: Vec<Vec<usize>>,
    /// The table that each message is for, by its position; 0 where this ends.
    pub tables: Vec<usize>,
    /// How the tracker is at first.
    pub beginning: Beginning,
    /// Waiting loads that one read of the slot returns with it, the newest.
    pub page: usize,
    /// Waiting loads that one load takes.
    pub load_pendings_max: usize,
    /// The instants; time goes from one to the next.
    pub instants: Vec<Millis>,
    /// How far each holder's clock is off, in turn.
    pub skews: Vec<Millis>,
    /// Invocations at the same time.
    pub invocations: usize,
    /// Deliveries of a message.
    pub deliveries: u8,
    /// Deliveries of a completion event.
    pub events: u8,
    /// Whether the sweep runs.
    pub sweep: bool,
    /// Faults.
    pub budget: Budget,
    /// With what a submit may be refused.
    pub refusal: FailureClass,
    /// With what a statement may fail without a fault of its files.
    pub failure: &'static str,
    /// Whether the error text names a bad file.
    pub names_bad_files: bool,
    /// A bug.
    pub mutant: Mutant,
}

/// An object.
pub fn blob(etag: &str, size_bytes: u64) -> Blob {
    Blob { etag: etag.to_owned(), size_bytes, bad: false, misfit: false, names: &[], versioned: false }
}

/// An object with columns of these names.
pub fn shaped(etag: &str, size_bytes: u64, names: &'static [&'static str]) -> Blob {
    Blob { names, ..blob(etag, size_bytes) }
}

/// An object over which COPY stumbles.
pub fn bad(etag: &str, size_bytes: u64) -> Blob {
    Blob { bad: true, ..blob(etag, size_bytes) }
}

/// An object whose columns tell that COPY would stumble over it.
pub fn misfit(etag: &str, size_bytes: u64) -> Blob {
    Blob { misfit: true, ..bad(etag, size_bytes) }
}

/// So many ticks from the start.
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
            beginning: Beginning::Empty,
            page: usize::MAX,
            load_pendings_max: LOAD_PENDINGS_MAX,
            instants: ticks(2),
            skews: vec![0],
            invocations: 2,
            deliveries: 1,
            events: 1,
            sweep: true,
            budget: Budget::default(),
            refusal: FailureClass::OperatorsTurn,
            failure: "serializable isolation violation",
            names_bad_files: false,
            mutant: Mutant::None,
        }
    }

    /// Two loaders and the completion event; nothing fails, nobody dies, nobody sweeps.
    pub fn quiet() -> Self {
        Self { instants: ticks(1), sweep: false, ..Self::base("quiet") }
    }

    /// Two loaders for two messages that come twice each, the completion event, the sweep.
    pub fn contention() -> Self {
        Self { deliveries: 2, instants: ticks(1), ..Self::base("contention") }
    }

    /// One object for two tables, another one for the second of them, side by side in one tracker.
    pub fn two_tables() -> Self {
        Self { messages: vec![vec![0], vec![0, 1]], tables: vec![0, 1], ..Self::base("two tables") }
    }

    /// Three invocations at the same time.
    pub fn three() -> Self {
        Self { messages: vec![vec![0, 1]], invocations: 3, ..Self::base("three invocations") }
    }

    /// Invocations die, before and after every step; messages and events come twice.
    pub fn crashes() -> Self {
        let budget = Budget { crashes: 2, ..Budget::default() };
        Self { messages: vec![vec![0, 1]], deliveries: 2, events: 2, budget, ..Self::base("crashes") }
    }

    /// Every answer of a submit, and takeovers.
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

    /// A statement fails for no fault of its files and is repeated.
    pub fn failures() -> Self {
        let budget = Budget { crashes: 1, failures: 1, ..Budget::default() };
        Self { messages: vec![vec![0, 1]], instants: ticks(3), budget, ..Self::base("failures") }
    }

    /// A newer version of a key comes at any time.
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

    /// An object is overwritten, another one deleted.
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
            script: vec![
                Change::Put("a", blob("a1", 1)),
                Change::Put("b", bad("b1", 2)),
                Change::Put("c", blob("c1", 3)),
            ],
            done: 3,
            messages: vec![vec![0, 1], vec![2]],
            instants: ticks(1),
            budget,
            ..Self::base("bad file")
        }
    }

    /// The same, and the warehouse says which it is.
    pub fn named_bad_file() -> Self {
        Self {
            names_bad_files: true,
            messages: vec![vec![0, 1, 2]],
            ..Self { name: "named bad file", ..Self::bad_file() }
        }
    }

    /// One file among three does not fit its table, and the others are loaded without it.
    pub fn misfit() -> Self {
        Self {
            script: vec![
                Change::Put("a", blob("a1", 1)),
                Change::Put("b", misfit("b1", 2)),
                Change::Put("c", blob("c1", 3)),
            ],
            tables: vec![MERGED, MERGED],
            ..Self::bad_file().named("misfit")
        }
    }

    /// Files of an older and of a newer shape wait together; the table gets what the newer ones have.
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

    /// Hours pass between the steps: the service forgets tokens and statements. No invocation lives that long.
    pub fn hours() -> Self {
        let at = |hours: i64, minutes: i64| START_MILLIS + hours * HOUR_MILLIS + minutes * TICK_MILLIS;
        let budget = Budget { lost_answers: 1, ..Budget::default() };
        let instants = vec![at(0, 0), at(7, 29), at(7, 43), at(8, 0), at(23, 0), at(24, 30)];
        Self { instants, budget, ..Self::submits().named("hours") }
    }

    /// One clock is minutes behind the other.
    pub fn skew() -> Self {
        Self { skews: vec![0, -5 * TICK_MILLIS], ..Self::submits().named("skew") }
    }

    /// A day later, one clock says that the service has forgotten the statement and the other that it has not.
    pub fn hours_apart() -> Self {
        let instants = vec![START_MILLIS, START_MILLIS + 23 * HOUR_MILLIS + 2 * TICK_MILLIS];
        let budget = Budget { lost_answers: 1, crashes: 1, ..Budget::default() };
        Self { instants, budget, ..Self::skew().named("hours apart") }
    }

    /// A file that seems bad goes to quarantine, the table is mended, an operator sends it back; its message comes again.
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

    /// More objects than the settling transaction holds ledger entries for: they are entered before it.
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

    /// Of the loads that wait, only the newest are read with the slot: the oldest are read by a call of their own.
    pub fn long_backlog() -> Self {
        Self { page: 1, deliveries: 2, instants: ticks(1), ..Self::base("long backlog") }
    }

    /// A load takes one waiting load: the two become one first.
    pub fn gathering() -> Self {
        let budget = Budget { crashes: 1, ..Budget::default() };
        Self { load_pendings_max: 1, deliveries: 2, instants: ticks(1), budget, ..Self::base("gathering") }
    }

    /// Files wait for one another; nobody comes for them but the sweep, and it comes late.
    pub fn waits() -> Self {
        Self { tables: vec![AGED, AGED], instants: ticks(4), events: 0, ..Self::base("waits") }
    }

    /// A merged table gets a column at any time.
    pub fn columns() -> Self {
        Self {
            script: vec![Change::Put("a", blob("a1", 1)), Change::Put("b", blob("b1", 2)), Change::AddColumn("more")],
            tables: vec![MERGED, MERGED],
            ..Self::base("columns")
        }
    }

    /// Loader 0.1 is replaced in the middle of its work, and may run one load more.
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

    /// Tables in play.
    pub fn tables_in_play(&self) -> BTreeSet<usize> {
        (0..self.messages.len()).map(|message| self.tables.get(message).copied().unwrap_or(0)).collect()
    }

    /// Under another name.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// With a bug.
    #[must_use]
    pub fn with(self, mutant: Mutant) -> Self {
        Self { mutant, ..self }
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        vec![
            Self::quiet(),
            Self::contention(),
            Self::two_tables(),
            Self::three(),
            Self::crashes(),
            Self::submits(),
            Self::failures(),
            Self::overwrite(),
            Self::delete(),
            Self::bad_file(),
            Self::named_bad_file(),
            Self::misfit(),
            Self::shapes(),
            Self::hours(),
            Self::skew(),
            Self::hours_apart(),
            Self::retry(),
            Self::many(),
            Self::long_backlog(),
            Self::gathering(),
            Self::waits(),
            Self::columns(),
            Self::upgrade(),
        ]
    }
}
