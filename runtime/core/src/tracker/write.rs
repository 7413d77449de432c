//! Writes as data: actions and their conditions, before any call.
//!
//! The DynamoDB adapter translates them; [`apply`] executes the same values in memory, for the model checker and the simulation.

use std::collections::{BTreeMap, BTreeSet};

pub use super::condition::Condition;
use super::item::{Item, SortKey};
use super::slot::Slot;
use crate::ids::DbTable;
use crate::limits::TRANSACTION_ACTIONS_MAX;

/// One write of an item, or a check of its condition without a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WriteAction {
    /// Writes the whole item.
    Put(Box<Item>, Condition),
    /// Deletes the item.
    Delete(SortKey, Condition),
    /// Only checks the condition.
    Check(SortKey, Condition),
}

impl WriteAction {
    /// A write of the whole item.
    pub fn put(item: Item, condition: Condition) -> Self {
        Self::Put(Box::new(item), condition)
    }

    /// Key of the item.
    pub fn key(&self) -> SortKey {
        match self {
            Self::Put(item, _) => item.key(),
            Self::Delete(key, _) | Self::Check(key, _) => key.clone(),
        }
    }

    /// Condition of the action.
    pub const fn condition(&self) -> &Condition {
        match self {
            Self::Put(_, condition) | Self::Delete(_, condition) | Self::Check(_, condition) => condition,
        }
    }
}

/// Actions that take effect together or not at all. At most [`TRANSACTION_ACTIONS_MAX`]; no two on the same item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// The table whose items are written.
    pub table: DbTable,
    /// The actions.
    pub actions: Vec<WriteAction>,
}

impl Transaction {
    /// Creates a transaction that obeys the service's rules.
    ///
    /// # Panics
    /// If there are too many actions, none, or two on the same item. The service would refuse such a transaction every time, so the mistake
    /// must show at once, in Lambda too.
    pub fn new(table: DbTable, actions: Vec<WriteAction>) -> Self {
        assert!((1..=TRANSACTION_ACTIONS_MAX).contains(&actions.len()), "{} actions", actions.len());
        let keys: BTreeSet<SortKey> = actions.iter().map(WriteAction::key).collect();
        assert!(keys.len() == actions.len(), "two actions on one item");
        Self { table, actions }
    }
}

/// Result of a transaction that the service processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// All actions took effect.
    Done,
    /// No action took effect, because the conditions at these positions were false.
    Refused(Vec<usize>),
}

/// All items of one table, in memory.
pub type Items = BTreeMap<SortKey, Item>;

/// Executes a transaction in memory, with the semantics of DynamoDB.
pub fn apply(items: &mut Items, transaction: &Transaction) -> Written {
    let refused: Vec<usize> = transaction
        .actions
        .iter()
        .enumerate()
        .filter(|(_, action)| !holds(items.get(&action.key()), action.condition()))
        .map(|(index, _)| index)
        .collect();
    if !refused.is_empty() {
        return Written::Refused(refused);
    }
    for action in &transaction.actions {
        match action {
            WriteAction::Put(item, _) => {
                items.insert(item.key(), (**item).clone());
            }
            WriteAction::Delete(key, _) => {
                items.remove(key);
            }
            WriteAction::Check(..) => {}
        }
    }
    Written::Done
}

fn holds(item: Option<&Item>, condition: &Condition) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Absent | Condition::Version(0) | Condition::Slot { version: 0, .. } => item.is_none(),
        Condition::Present => item.is_some(),
        Condition::Version(version) => matches!(item, Some(Item::Listing(listing)) if listing.version == *version),
        Condition::Slot { version, load_id } => match item {
            Some(Item::Slot(slot)) => {
                slot.version == *version && slot.load.as_ref().map(|load| &load.load_id) == load_id.as_ref()
            }
            Some(
                Item::Pending(_)
                | Item::File(_)
                | Item::Failed(_)
                | Item::Loaded(_)
                | Item::Audit(_)
                | Item::Listing(_),
            )
            | None => false,
        },
    }
}

/// The slot among a table's items; the default if there is none.
pub fn slot_of(items: &Items) -> Slot {
    match items.get(&SortKey::slot()) {
        Some(Item::Slot(slot)) => slot.clone(),
        Some(
            Item::Pending(_) | Item::File(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_),
        )
        | None => Slot::default(),
    }
}
