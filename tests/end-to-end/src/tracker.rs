//! The tracker from outside: its items, and what must always hold of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::AttributeValue;
use loader_aws::to_json;
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::ids::DbTable;
use loader_core::tracker::item::{History, Item, Quarantined, RunningLoad};
use loader_core::tracker::write::Items;
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
