//! What seeded bugs make of waits: of the settings, the clock and the index that decide when a load starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::ids::DbTable;
use loader_core::tracker::item::{Millis, PendingLoad};
use loader_core::tracker::view::Work;
use serde_json::json;

use super::Mutant;
use crate::fixture::{AGE_MILLIS, AGED, CONFIGS, NIGHT, NIGHT_AHEAD, aged, asleep};

impl Mutant {
    /// The configuration that the caller is told.
    pub fn config(self, table: usize) -> Arc<LoadConfig> {
        // The window ends before the first instant.
        const SHORT: &str = "22:05";
        match self {
            Self::AgeIgnored if table == AGED => aged(0),
            Self::AgeDoubled if table == AGED => aged(2 * AGE_MILLIS),
            Self::WindowIgnored if table == NIGHT => asleep("n", SHORT, &json!({})),
            Self::WindowIgnored if table == NIGHT_AHEAD => asleep("na", SHORT, &json!({"load": {"age_seconds": 0}})),
            Self::WindowLonger if table == NIGHT => asleep("n", "23:00", &json!({})),
            _ => CONFIGS[table].clone(),
        }
    }

    /// The waiting loads that the caller is told.
    pub fn backlog(self, backlog: &mut [PendingLoad], now: Millis) {
        if self == Self::InstantMovesOn {
            for pending in backlog {
                pending.recorded_millis = now;
            }
        }
    }

    /// Whether an invocation is told that it sweeps.
    pub fn sweeps(self, sweeps: bool) -> bool {
        match self {
            Self::SweepNotTold => false,
            Self::EverybodySweeps => true,
            _ => sweeps,
        }
    }

    /// The index of tables with work that the caller is told.
    pub fn work(self, mut work: BTreeMap<DbTable, Work>) -> BTreeMap<DbTable, Work> {
        match self {
            Self::AdmissionIgnored => work.clear(),
            Self::AdmissionCountsItself => {
                let itself =
                    |(table, work): (&DbTable, &Work)| (DbTable(format!("{}_", table.0)), Work { held: true, ..*work });
                let more: Vec<_> = work.iter().map(itself).collect();
                work.extend(more);
            }
            Self::AdmissionCountsWaiting => {
                for work in work.values_mut() {
                    work.held = true;
                }
            }
            Self::YoungestFirst => {
                for work in work.values_mut() {
                    work.since_millis = work.since_millis.map(|since| Millis::MAX - since);
                }
            }
            _ => {}
        }
        work
    }
}
