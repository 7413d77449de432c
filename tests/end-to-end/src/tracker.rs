//! The tracker from outside: its items, and what must always hold of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use loader_aws::{to_attributes, to_json};
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::ids::DbTable;
use loader_core::tracker::item::{History, Item, Quarantined, RunningLoad};
use loader_core::tracker::write::{Condition, Items, Transaction, WriteAction};
use loader_core::tracker::{invariant, wire};

use crate::clients::Clients;

/// All items of one table.
pub async fn items(clients: &Clients, tracker: &str, table: &DbTable) -> Result<Items> {
    let mut pages = clients
        .dynamodb
        .query()
        .table_name(tracker)
        .consistent_read(true)
        .key_condition_expression("#table = :table")
        .expression_attribute_names("#table", TRACKER_PARTITION_KEY)
        .expression_attribute_values(":table", AttributeValue::S(table.0.clone()))
        .into_paginator()
        .items()
        .send();
    let mut items = BTreeMap::new();
    while let Some(attributes) = pages.next().await {
        let attributes = attributes.context("the tracker does not answer")?;
        let key = attributes.get(TRACKER_SORT_KEY).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
        let item = wire::decode(to_json(attributes)).map_err(|error| anyhow::anyhow!("item {key}: {error}"))?;
        items.insert(item.key(), item);
    }
    Ok(items)
}

/// Applies a transaction of an operator: what must be there is there, what must be absent is absent, or nothing happens.
pub async fn write(clients: &Clients, tracker: &str, transaction: &Transaction) -> Result<()> {
    let mut actions = Vec::new();
    for action in &transaction.actions {
        let condition = match action.condition() {
            Condition::Present => "attribute_exists(db_table)",
            Condition::Absent => "attribute_not_exists(db_table)",
            other => bail!("no operator's command has the condition {other:?}"),
        };
        let item = TransactWriteItem::builder();
        actions.push(match action {
            WriteAction::Put(whole, _) => {
                let put = Put::builder().table_name(tracker).condition_expression(condition);
                item.put(put.set_item(Some(to_attributes(wire::encode(&transaction.table, whole)))).build()?).build()
            }
            WriteAction::Delete(key, _) => {
                let delete = Delete::builder().table_name(tracker).condition_expression(condition);
                let delete = delete.key(TRACKER_PARTITION_KEY, AttributeValue::S(transaction.table.0.clone()));
                item.delete(delete.key(TRACKER_SORT_KEY, AttributeValue::S(key.0.clone())).build()?).build()
            }
            WriteAction::Check(..) => bail!("no operator's command checks without a change"),
        });
    }
    clients.dynamodb.transact_write_items().set_transact_items(Some(actions)).send().await?;
    Ok(())
}

/// What a test asks of items.
pub trait Tracked {
    /// The slot.
    fn running(&self) -> Option<&RunningLoad>;
    /// Number of waiting loads.
    fn n_pending(&self) -> usize;
    /// Finished loads, oldest first.
    fn loaded(&self) -> Vec<&History>;
    /// Quarantine, oldest first.
    fn failed(&self) -> Vec<&Quarantined>;
    /// Whether nothing runs and nothing waits.
    fn is_drained(&self) -> bool {
        self.running().is_none() && self.n_pending() == 0
    }
    /// Panics when something does not hold that always holds.
    fn assert_invariants(&self);
}

impl Tracked for Items {
    fn running(&self) -> Option<&RunningLoad> {
        self.values().find_map(|item| if let Item::Running(running) = item { Some(running) } else { None })
    }

    fn n_pending(&self) -> usize {
        self.values().filter(|item| matches!(item, Item::Pending(_))).count()
    }

    fn loaded(&self) -> Vec<&History> {
        self.values().filter_map(|item| if let Item::Loaded(history) = item { Some(history) } else { None }).collect()
    }

    fn failed(&self) -> Vec<&Quarantined> {
        self.values().filter_map(|item| if let Item::Failed(failed) = item { Some(failed) } else { None }).collect()
    }

    fn assert_invariants(&self) {
        let violations = invariant::violations(self);
        assert!(violations.is_empty(), "{violations:#?}");
    }
}
