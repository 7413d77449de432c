//! What an operator reads of the tracker: the items of a table by kind, oldest or newest first. The functions never read so much.

use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::ids::DbTable;
use loader_core::tracker::item::Item;
use loader_reconcile::ports::PortResult;

use crate::dynamodb::decode;
use crate::{Aws, errors};

/// A kind of items that lie side by side in a table's part of the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The slot, at most one.
    Slot,
    /// Pending loads, by the time since which they wait.
    Pending,
    /// Quarantined objects, by the time of their last failure.
    Failed,
    /// Finished loads, by the time of their end.
    Loaded,
}

impl Kind {
    /// What the sort keys of these items begin with.
    fn begins(self) -> &'static str {
        match self {
            Self::Slot => "RUNNING",
            Self::Pending => "PENDING#",
            Self::Failed => "FAILED#",
            Self::Loaded => "LOADED#",
        }
    }
}

/// Which end of a kind of items comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By time.
    OldestFirst,
    /// Against time.
    NewestFirst,
}

impl Aws {
    /// Items of a kind, strongly consistent; at most `limit`. An item that this version cannot read is an error.
    pub async fn items(&self, table: &DbTable, kind: Kind, order: Order, limit: usize) -> PortResult<Vec<Item>> {
        const OPERATION: &str = "dynamodb:Query";
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .dynamodb
                .query()
                .table_name(&self.settings.tracker_table)
                .consistent_read(true)
                .scan_index_forward(order == Order::OldestFirst)
                .key_condition_expression("#table = :table AND begins_with(#key, :begins)")
                .expression_attribute_names("#table", TRACKER_PARTITION_KEY)
                .expression_attribute_names("#key", TRACKER_SORT_KEY)
                .expression_attribute_values(":table", AttributeValue::S(table.0.clone()))
                .expression_attribute_values(":begins", AttributeValue::S(kind.begins().to_owned()))
                .limit(i32::try_from(limit - found.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| errors::sort(OPERATION, &error))?;
            for item in page.items.unwrap_or_default() {
                found.push(decode(OPERATION, item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() || found.len() >= limit {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use loader_core::ids::LoadId;
    use loader_core::tracker::item::SortKey;

    use super::*;

    #[test]
    fn the_keys_of_a_kind_begin_so() {
        let id = LoadId("0123".to_owned());
        for (kind, key) in [
            (Kind::Slot, SortKey::slot()),
            (Kind::Pending, SortKey::pending(1, &id)),
            (Kind::Failed, SortKey::failed(1, &id)),
            (Kind::Loaded, SortKey::loaded(1, &id)),
        ] {
            assert!(key.0.starts_with(kind.begins()), "{kind:?}: {}", key.0);
        }
    }
}
