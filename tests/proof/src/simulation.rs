//! The simulation: the flows of the functions (`microbatch::handle`, `next::handle`, `bulk::handle`) over a world in memory, in virtual time
//! and on one thread. The seed determines everything: what happens when, which calls fail and how, and where invocations die.

pub mod beginning;
pub mod engine;
pub mod faults;
pub mod happenings;
pub mod inventory;
pub mod judge;
pub mod objects;
pub mod port;
pub mod queues;
pub mod stage;
pub mod tables;

use crate::mutant::Mutant;

/// Size and faults of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Target tables.
    pub tables: usize,
    /// Number of changes in the bucket.
    pub changes: usize,
    /// Virtual minutes within which they happen.
    pub minutes: i64,
    /// Upper bound (exclusive) of the objects in a requested folder.
    pub folder_max: usize,
    /// Faults per thousand calls.
    pub faults_per_mille: u32,
    /// Hours in which every call fails; 0 for none.
    pub outage_hours: i64,
    /// A seeded bug.
    pub mutant: Mutant,
}

impl Options {
    /// The options of a seed in the default run: a small world, every eighth with an outage of hours.
    pub fn of_seed(seed: u64) -> Self {
        let outages = [3, 9, 20, 30];
        Self {
            tables: 1 + usize::try_from(seed % 5).unwrap_or(0),
            changes: 60,
            minutes: 40,
            folder_max: if seed % 10 == 4 { 3_000 } else { 120 },
            faults_per_mille: [0, 20, 60, 120][usize::try_from(seed / 5 % 4).unwrap_or(0)],
            outage_hours: if seed % 8 == 7 { outages[usize::try_from(seed / 8 % 4).unwrap_or(0)] } else { 0 },
            mutant: Mutant::None,
        }
    }

    /// Options for hundreds of tables and thousands of files.
    pub fn big() -> Self {
        Self {
            tables: 300,
            changes: 6000,
            minutes: 120,
            folder_max: 200,
            faults_per_mille: 40,
            outage_hours: 0,
            mutant: Mutant::None,
        }
    }
}

/// The results of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Hash of everything that happened, in order.
    pub trace: u64,
    /// Committed loads.
    pub loads: usize,
    /// Committed object versions.
    pub objects: usize,
    /// Object versions in quarantine.
    pub quarantined: usize,
    /// Injected faults.
    pub faults: usize,
    /// Invocations that died.
    pub crashes: usize,
    /// Number of calls.
    pub calls: usize,
    /// Violations of invariants; empty if there are none.
    pub violations: Vec<String>,
}

/// Runs a seed to the end.
pub fn simulate(seed: u64, options: &Options) -> Outcome {
    engine::Engine::new(seed, options.clone()).run()
}

/// Runs a seed. Panics with the command that repeats it if an invariant is violated.
pub fn check(seed: u64, options: &Options) -> Outcome {
    let outcome = simulate(seed, options);
    assert!(
        outcome.violations.is_empty(),
        "seed {seed}: {:#?}\nthe same run again: cargo xtask simulate --seeds 1 --from {seed}",
        outcome.violations
    );
    outcome
}
