//! The tracker's items of one table. Each kind has its own map, so that a day with a million files is fast.
//!
//! Writes follow the rules of `tracker::write::apply`, and have a price.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use loader_core::ids::{DbTable, LoadId};
use loader_core::pace;
use loader_core::tracker::item::{Item, LedgerMark, PendingLoad, SortKey};
use loader_core::tracker::slot::Slot;
use loader_core::tracker::view::Work;
use loader_core::tracker::wire;
use loader_core::tracker::write::{Condition, Transaction, WriteAction, Written};
use serde_json::to_string;

/// Bytes of a write unit.
const WRITE_UNIT_BYTES: u64 = 1024;
/// Prefix of a ledger entry's sort key.
const FILE: &str = "FILE#";

/// The items of one table.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The slot.
    pub slot: Slot,
    slot_bytes: u64,
    /// Pending loads with their bytes, oldest first.
    pub pendings: BTreeMap<SortKey, (PendingLoad, u64)>,
    /// The ledger: load ids by object id.
    ledger: HashMap<u128, u128>,
    /// Number of loads in the history.
    pub loads: u64,
    /// Start and end of the loads that its files would have been at once, as `cargo xtask cost` tells from the history.
    pub at_once: Vec<(i64, i64)>,
    /// Items that must not be written on a day without faults.
    pub unexpected: Vec<String>,
}

impl Shelf {
    /// Whether the table has work for the sweep.
    pub fn has_work(&self) -> bool {
        self.slot.load.is_some() || !self.pendings.is_empty()
    }

    /// The table's work for the sweep.
    pub fn work(&self) -> Work {
        let since_millis = self.pendings.keys().next().and_then(SortKey::since_millis);
        Work { held: self.slot.load.is_some(), since_millis, lists: false }
    }

    /// The marks of these objects in the ledger.
    pub fn known(&self, ids: &BTreeSet<String>) -> BTreeMap<String, LedgerMark> {
        let mark = |id: &String| {
            let load = self.ledger.get(&number(id))?;
            Some((id.clone(), LedgerMark::Loaded(LoadId(format!("{load:032x}")))))
        };
        ids.iter().filter_map(mark).collect()
    }

    /// Bytes of the slot's item.
    pub const fn slot_bytes(&self) -> u64 {
        self.slot_bytes
    }

    /// Write units of a transaction, including those of the index of tables with work.
    pub fn write_units(&self, table: &DbTable, transaction: &Transaction) -> u64 {
        let twice = if transaction.actions.len() == 1 { 1 } else { 2 };
        transaction.actions.iter().map(|action| twice * self.item_units(table, action) + self.index_units(action)).sum()
    }

    fn item_units(&self, table: &DbTable, action: &WriteAction) -> u64 {
        let bytes = match action {
            WriteAction::Put(item, _) => match &**item {
                Item::File(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => WRITE_UNIT_BYTES,
                Item::Slot(_) | Item::Pending(_) | Item::Failed(_) => item_bytes(table, item),
            },
            WriteAction::Delete(key, _) | WriteAction::Check(key, _) => {
                self.pendings.get(key).map_or(WRITE_UNIT_BYTES, |(_, bytes)| *bytes)
            }
        };
        bytes.div_ceil(WRITE_UNIT_BYTES).max(1)
    }

    fn index_units(&self, action: &WriteAction) -> u64 {
        let changes = match action {
            WriteAction::Put(item, _) => match &**item {
                Item::Slot(slot) => slot.load.is_some() != self.slot.load.is_some(),
                Item::Pending(_) => true,
                Item::File(_) | Item::Loaded(_) | Item::Failed(_) | Item::Audit(_) | Item::Listing(_) => false,
            },
            WriteAction::Delete(key, _) => self.pendings.contains_key(key),
            WriteAction::Check(..) => false,
        };
        u64::from(changes)
    }

    /// Applies a transaction, all or nothing.
    pub fn apply(&mut self, transaction: &Transaction) -> Written {
        let holds = |action: &WriteAction| self.holds(&action.key(), action.condition());
        let refused: Vec<usize> =
            transaction.actions.iter().enumerate().filter(|(_, a)| !holds(a)).map(|(index, _)| index).collect();
        if !refused.is_empty() {
            return Written::Refused(refused);
        }
        for action in &transaction.actions {
            match action {
                WriteAction::Put(item, _) => self.put(&transaction.table, item),
                WriteAction::Delete(key, _) => self.pendings.remove(key).map_or((), drop),
                WriteAction::Check(..) => {}
            }
        }
        Written::Done
    }

    /// Puts an item.
    pub fn put(&mut self, table: &DbTable, item: &Item) {
        match item {
            Item::Slot(slot) => {
                self.slot = slot.clone();
                self.slot_bytes = item_bytes(table, item);
            }
            Item::Pending(pending) => {
                let bytes = item_bytes(table, item);
                self.pendings.insert(pending.key.clone(), (pending.clone(), bytes));
            }
            Item::File(entry) => match &entry.mark {
                LedgerMark::Loaded(load) => {
                    self.ledger.insert(number(&entry.object.id()), number(&load.0));
                }
                LedgerMark::Accepted | LedgerMark::Quarantined => self.unexpected.push(format!("{entry:?}")),
            },
            Item::Loaded(load) => {
                self.loads += 1;
                let claimed = load.key.at_millis().unwrap_or(0) - load.load_millis;
                self.at_once.extend(pace::at_once(claimed, load.queue_wait_millis, load.load_millis, load.n_objects));
            }
            Item::Failed(quarantined) => self.unexpected.push(format!("{quarantined:?}")),
            Item::Audit(audit) => self.unexpected.push(format!("{audit:?}")),
            Item::Listing(listing) => self.unexpected.push(format!("{listing:?}")),
        }
    }

    fn holds(&self, key: &SortKey, condition: &Condition) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Absent => !self.has(key),
            Condition::Present => self.has(key),
            Condition::Version(version) => *version == 0 && !self.has(key),
            Condition::Slot { version, load_id } => {
                self.slot.version == *version && self.slot.load.as_ref().map(|load| &load.load_id) == load_id.as_ref()
            }
        }
    }

    fn has(&self, key: &SortKey) -> bool {
        match key.0.strip_prefix(FILE) {
            Some(id) => self.ledger.contains_key(&number(id)),
            None if *key == SortKey::slot() => self.slot.version > 0,
            None => self.pendings.contains_key(key),
        }
    }
}

/// Parses an id of 32 hexadecimal digits.
fn number(id: &str) -> u128 {
    u128::from_str_radix(id, 16).unwrap_or_default()
}

/// Approximate bytes of an item: those of its JSON.
fn item_bytes(table: &DbTable, item: &Item) -> u64 {
    to_string(&wire::encode(table, item)).map_or(0, |text| text.len() as u64)
}
