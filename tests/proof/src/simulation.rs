//! The simulation: the real flows (`microbatch::handle`, `next::handle`, `bulk::handle`) over a world in memory, with virtual
//! time, one thread, one seed. The seed decides everything: what happens when, which call fails how, who dies where.

pub mod beginning;
pub mod engine;
pub mod faults;
pub mod happenings;
pub mod judge;
pub mod objects;
pub mod port;
pub mod queues;
pub mod stage;
pub mod tables;

use crate::mutant::Mutant;

/// How large and how rough.
#[derive(Clone, Debug)]
pub struct Options {
    /// Target tables.
    pub tables: usize,
    /// Changes in the bucket.
    pub changes: usize,
    /// Virtual minutes in which they happen.
    pub minutes: i64,
    /// Objects of a folder that is asked for, fewer than this.
    pub folder_max: usize,
    /// Faults per mille of calls.
    pub faults_per_mille: u32,
    /// Hours in which every call fails; 0: none.
    pub outage_hours: i64,
    /// A bug.
    pub mutant: Mutant,
}

impl Options {
    /// What a seed of the default run gets: small, and every eighth with an outage of hours.
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

    /// Hundreds of tables, thousands of files.
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

/// What a run was, and what was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Hash of everything that happened, in order.
    pub trace: u64,
    /// Loads that were committed.
    pub loads: usize,
    /// Object versions that were committed.
    pub objects: usize,
    /// Object versions in quarantine.
    pub quarantined: usize,
    /// Faults that were injected.
    pub faults: usize,
    /// Invocations that died.
    pub crashes: usize,
    /// Calls that were made.
    pub calls: usize,
    /// Violations of invariants; empty when all is well.
    pub violations: Vec<String>,
}

/// Runs a seed to its end.
pub fn simulate(seed: u64, options: &Options) -> Outcome {
    engine::Engine::new(seed, options.clone()).run()
}

/// Runs a seed; panics with the command that repeats it when an invariant is violated.
pub fn check(seed: u64, options: &Options) -> Outcome {
    let outcome = simulate(seed, options);
    assert!(
        outcome.violations.is_empty(),
        "seed {seed}: {:#?}\nthe same run again: cargo xtask simulate --seeds 1 --from {seed}",
        outcome.violations
    );
    outcome
}
