//! Reads of the tracker for operators: a table's items by kind, time or object. The functions never read this much.

use std::ops::RangeInclusive;

use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::ids::DbTable;
use loader_core::tracker::item::{Item, LedgerEntry, Millis, SortKey};
use loader_reconcile::ports::PortResult;

use crate::{Aws, query};

/// A kind of items whose keys are contiguous within a table's part of the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The slot; at most one item.
    Slot,
    /// Pending loads: those of live files and then requested ones, each ordered by the time since which they have waited.
    Pending,
    /// Quarantined objects, ordered by the time of their last failure.
    Failed,
    /// Finished loads, ordered by the time of their settlement.
    Loaded,
    /// Audit records, ordered by time.
    Audit,
    /// Listings.
    Listing,
}

impl Kind {
    /// Prefix of the sort keys of these items.
    fn begins(self) -> &'static str {
        match self {
            Self::Slot => "RUNNING",
            Self::Pending => SortKey::PENDING,
            Self::Failed => "FAILED#",
            Self::Loaded => "LOADED#",
            Self::Audit => "AUDIT#",
            Self::Listing => SortKey::LISTING,
        }
    }
}

/// Order of the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ascending by time.
    OldestFirst,
    /// Descending by time.
    NewestFirst,
}

/// A selection of objects in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// The object with this key, in every version.
    Exactly(String),
    /// The objects whose keys have this prefix.
    Below(String),
}

impl Keys {
    /// Whether a key is selected.
    pub fn matches(&self, key: &str) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == key,
            Self::Below(prefix) => key.starts_with(prefix),
        }
    }

    /// The key or the prefix.
    pub fn text(&self) -> &str {
        match self {
            Self::Exactly(text) | Self::Below(text) => text,
        }
    }
}

impl Aws {
    /// Up to `limit` items of a kind, strongly consistent. An error if this version cannot read an item.
    pub async fn items(&self, table: &DbTable, kind: Kind, order: Order, limit: usize) -> PortResult<Vec<Item>> {
        let query = self
            .items_query(table, "#table = :table AND begins_with(#key, :from)", kind.begins().to_owned())
            .scan_index_forward(order == Order::OldestFirst);
        Ok(query::collect(query, limit, |_| false).await?.0)
    }

    /// Items of a kind whose keys contain a time in this range (both ends included), oldest first, strongly consistent.
    pub async fn items_of(&self, table: &DbTable, kind: Kind, times: RangeInclusive<Millis>) -> PortResult<Vec<Item>> {
        let begins = kind.begins();
        let (from, to) = (times.start().max(&0), times.end());
        let query = self
            .items_query(table, "#table = :table AND #key BETWEEN :from AND :to", format!("{begins}{from:014}"))
            // Sorts after everything that can follow the time in a key.
            .expression_attribute_values(":to", AttributeValue::S(format!("{begins}{to:014}~")));
        Ok(query::collect(query, usize::MAX, |_| false).await?.0)
    }

    /// The ledger entries of these objects, in every version. Reads the table's whole ledger, because the key of an entry is a digest.
    pub async fn ledger_of(&self, table: &DbTable, bucket: &str, keys: &Keys) -> PortResult<Vec<LedgerEntry>> {
        let filter = match keys {
            Keys::Exactly(_) => "#object.#bucket = :bucket AND #object.#name = :name",
            Keys::Below(_) => "#object.#bucket = :bucket AND begins_with(#object.#name, :name)",
        };
        let mut query = self
            .items_query(table, "#table = :table AND begins_with(#key, :from)", "FILE#".to_owned())
            .expression_attribute_names("#object", "object")
            .expression_attribute_names("#bucket", "bucket");
        if keys.text().is_empty() {
            query = query.filter_expression("#object.#bucket = :bucket");
        } else {
            query = query
                .filter_expression(filter)
                .expression_attribute_names("#name", "key")
                .expression_attribute_values(":name", AttributeValue::S(keys.text().to_owned()));
        }
        let query = query.expression_attribute_values(":bucket", AttributeValue::S(bucket.to_owned()));
        let entry = |item| if let Item::File(entry) = item { Some(entry) } else { None };
        let (items, _) = query::collect(query, usize::MAX, |_| false).await?;
        Ok(items.into_iter().filter_map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use loader_core::ids::LoadId;

    use super::*;

    #[test]
    fn keys_of_a_kind_have_its_prefix() {
        let id = LoadId("0123".to_owned());
        for (kind, key) in [
            (Kind::Slot, SortKey::slot()),
            (Kind::Pending, SortKey::pending(1, &id)),
            (Kind::Pending, SortKey::requested(1, &id)),
            (Kind::Failed, SortKey::failed(1, &id)),
            (Kind::Loaded, SortKey::loaded(1, &id)),
            (Kind::Audit, SortKey::audit(1, "0123")),
            (Kind::Listing, SortKey::listing("0123")),
        ] {
            assert!(key.0.starts_with(kind.begins()), "{kind:?}: {}", key.0);
        }
    }

    #[test]
    fn a_prefix_means_the_keys_below_it() {
        assert!(Keys::Below("a/".into()).matches("a/b") && !Keys::Below("a/".into()).matches("a"));
        assert!(Keys::Exactly("a".into()).matches("a") && !Keys::Exactly("a".into()).matches("ab"));
    }
}
