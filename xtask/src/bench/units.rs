//! Write and read units of the tracker: the counted calls, times the size of the items that the loader writes.
//!
//! Includes the index of tables with work: one unit when an item enters it and one when it leaves.

use loader_core::config::LoadConfig;
use loader_core::ids::{ObjectVersion, Version, WaitingObject};
use loader_core::limits::{LEDGER_ENTRIES_IN_TRANSACTION_MAX, LOAD_PENDINGS_MAX};
use loader_core::tracker::enqueue;
use loader_core::tracker::item::{ConfigSource, Item, PendingLoad};
use loader_core::tracker::wire::{self, WRITE_UNIT_BYTES, item_bytes};
use serde::Serialize;

const READ_UNIT_BYTES: usize = 4096;
/// A write in a transaction costs twice as much.
const TRANSACTION: f64 = 2.0;
/// Maximum number of pending loads that the first read of a table returns, besides the slot.
const LOOK_PENDINGS_MAX: usize = 9;
/// Bytes of a slot with a running load, besides its configuration and the keys of its pending loads.
const SLOT_BYTES: usize = 700;
const PENDING_KEY_BYTES: usize = 48;
const HISTORY_UNITS: f64 = 1.0;

/// Units that the tracker table consumed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Units {
    pub write: f64,
    pub read: f64,
}

/// The calls and loads of a measurement that units depend on.
#[derive(Debug)]
pub struct Activity<'a> {
    /// Configuration of the tables.
    pub config: &'a LoadConfig,
    /// Number of pending loads recorded.
    pub n_pendings: usize,
    /// Number of `PutItem` calls, for pending loads and slots.
    pub n_puts: usize,
    /// Number of `Query` calls.
    pub n_queries: usize,
    /// Number of objects of each settled load.
    pub loads: &'a [usize],
}

/// The units that these calls and loads consumed.
#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
pub fn of(activity: &Activity) -> Units {
    let Activity { config, n_pendings, n_puts, n_queries, loads } = *activity;
    let n_files: usize = loads.iter().sum();
    let pending_bytes = pending_bytes(config, n_files.div_ceil(n_pendings.max(1)));
    let pendings_a_load = n_pendings.div_ceil(loads.len().max(1)).min(LOAD_PENDINGS_MAX);
    let slot_bytes = SLOT_BYTES + config.document.len() + pendings_a_load * PENDING_KEY_BYTES;
    let write_units = |bytes: usize| bytes.div_ceil(WRITE_UNIT_BYTES) as f64;
    let (pending, slot) = (write_units(pending_bytes), write_units(slot_bytes));
    let (pendings, n_loads) = (n_pendings as f64, loads.len() as f64);
    let recorded = pendings * pending;
    let slots = n_puts.saturating_sub(n_pendings) as f64 * slot;
    let settled = TRANSACTION * (n_loads * (slot + HISTORY_UNITS) + pendings * pending);
    let entries: f64 = loads.iter().map(|n| ledger_units(*n)).sum();
    let index = 2.0 * (pendings + n_loads);
    let look_bytes = slot_bytes + pendings_a_load.min(LOOK_PENDINGS_MAX) * pending_bytes;
    let looks = n_queries as f64 * look_bytes.div_ceil(READ_UNIT_BYTES) as f64;
    let backlog = pendings * pending_bytes.div_ceil(READ_UNIT_BYTES) as f64;
    Units { write: recorded + slots + settled + entries + index, read: n_files as f64 + looks + backlog }
}

/// The ledger entries of one load.
#[expect(clippy::cast_precision_loss, reason = "objects of a load")]
fn ledger_units(n_objects: usize) -> f64 {
    if n_objects <= LEDGER_ENTRIES_IN_TRANSACTION_MAX { TRANSACTION * n_objects as f64 } else { n_objects as f64 }
}

/// A pending load with this many objects, as the loader writes it.
fn pending_bytes(config: &LoadConfig, n_objects: usize) -> usize {
    let object = |number: usize| WaitingObject {
        object: ObjectVersion {
            bucket: "rs-loader-bench".to_owned(),
            key: format!("bench/{number:06}.csv"),
            version: Version::ETag(format!("{number:032x}")),
        },
        size_bytes: 500,
    };
    let source = ConfigSource { queue: Some("bench".to_owned()), recorded: std::sync::Arc::new(config.clone()) };
    let pendings = enqueue::pendings((0..n_objects.max(1)).map(object).collect(), &source, 1_800_000_000_000);
    let recorded_by = Some("00000000-0000-0000-0000-000000000000".to_owned());
    let recorded = |pending| PendingLoad { recorded_by: recorded_by.clone(), ..pending };
    let bytes = |pending| item_bytes(&wire::encode(&config.db_table(), &Item::Pending(recorded(pending))));
    pendings.into_iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> std::sync::Arc<LoadConfig> {
        let document = serde_json::json!({
            "copy": {"table_name": "t", "role_arn": "default", "options": "CSV"},
            "cluster": {"identifier": "c", "db_name": "d"},
        });
        LoadConfig::from_value(&document).expect("valid")
    }

    #[test]
    fn one_file_costs_its_transaction_and_three_plain_writes() {
        let config = config();
        let units = of(&Activity { config: &config, n_pendings: 1, n_puts: 3, n_queries: 3, loads: &[1] });
        let (plain, settled, index) = (3.0, 2.0 * 4.0, 4.0);
        assert_eq!(units, Units { write: plain + settled + index, read: 1.0 + 3.0 + 1.0 });
    }

    #[test]
    fn an_item_has_the_size_that_dynamodb_counts() {
        let item = serde_json::json!({"key": "é!", "n": 123, "list": ["a", true, null], "map": {"k": "v"}});
        let (text, number, list, map) = (3 + 3, 1 + 3, 4 + 3 + 2 + 2 + 2, 3 + 3 + 1 + 1 + 1);
        assert_eq!(item_bytes(item.as_object().expect("an object")), text + number + list + map);
    }

    #[test]
    fn in_large_loads_a_file_costs_its_ledger_entry_and_little_more() {
        let config = config();
        let units = of(&Activity { config: &config, n_pendings: 10, n_puts: 13, n_queries: 12, loads: &[1000] });
        assert!((1_000.0..1_300.0).contains(&units.write), "{units:?}");
    }
}
