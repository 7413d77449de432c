//! A write is data before it is a call: conditions and changes as a value.
//!
//! The DynamoDB adapter translates it; [`apply`] executes the same value in memory, for the model checker and the simulation.

use std::collections::{BTreeMap, BTreeSet};

pub use super::condition::Condition;
use super::item::{Item, SortKey};
use super::slot::Slot;
use crate::ids::DbTable;
use crate::limits::TRANSACTION_ACTIONS_MAX;

/// One change, or one check without a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WriteAction {
    /// Writes the whole item.
    Put(Box<Item>, Condition),
    /// Removes the item.
    Delete(SortKey, Condition),
    /// Only checks.
    Check(SortKey, Condition),
}

impl WriteAction {
    /// Writes the whole item.
    pub fn put(item: Item, condition: Condition) -> Self {
        Self::Put(Box::new(item), condition)
    }

    /// Key of the item it is about.
    pub fn key(&self) -> SortKey {
        match self {
            Self::Put(item, _) => item.key(),
            Self::Delete(key, _) | Self::Check(key, _) => key.clone(),
        }
    }

    /// Its condition.
    pub const fn condition(&self) -> &Condition {
        match self {
            Self::Put(_, condition) | Self::Delete(_, condition) | Self::Check(_, condition) => condition,
        }
    }
}

/// Actions that take effect together or not at all. At most [`TRANSACTION_ACTIONS_MAX`], no two on one item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// The table whose items it writes.
    pub table: DbTable,
    /// The actions.
    pub actions: Vec<WriteAction>,
}

impl Transaction {
    /// A transaction that keeps the service's rules.
    ///
    /// # Panics
    /// If it does not: the service would refuse it for ever, so this must be seen at once, in Lambda too.
    pub fn new(table: DbTable, actions: Vec<WriteAction>) -> Self {
        assert!((1..=TRANSACTION_ACTIONS_MAX).contains(&actions.len()), "{} actions", actions.len());
        let keys: BTreeSet<SortKey> = actions.iter().map(WriteAction::key).collect();
        assert!(keys.len() == actions.len(), "two actions on one item");
        Self { table, actions }
    }
}

/// Answer to a transaction that was processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Everything took effect.
    Done,
    /// Nothing took effect: these conditions were false (positions in the transaction).
    Refused(Vec<usize>),
}

/// All items of one table, in memory.
pub type Items = BTreeMap<SortKey, Item>;

/// Executes a transaction in memory with DynamoDB's meaning.
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

/// The slot among a table's items.
pub fn slot_of(items: &Items) -> Slot {
    match items.get(&SortKey::slot()) {
        Some(Item::Slot(slot)) => slot.clone(),
        Some(
            Item::Pending(_) | Item::File(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_),
        )
        | None => Slot::default(),
    }
}
