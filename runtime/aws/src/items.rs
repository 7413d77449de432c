//! What an operator reads of the tracker: the items of a table by kind, by time or by object. The functions never read so much.

use std::ops::RangeInclusive;

use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::ids::DbTable;
use loader_core::tracker::item::{Item, LedgerEntry, Millis, SortKey};
use loader_reconcile::ports::PortResult;

use crate::{Aws, query};

/// A kind of items that lie side by side in a table's part of the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The slot, at most one.
    Slot,
    /// Pending loads: those of live files, then requested ones, each by the time since which they wait.
    Pending,
    /// Quarantined objects, by the time of their last failure.
    Failed,
    /// Finished loads, by the time of their end.
    Loaded,
    /// What operators did, by time.
    Audit,
    /// Folders that are being listed.
    Listing,
}

impl Kind {
    /// What the sort keys of these items begin with.
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

/// Which end of a kind of items comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By time.
    OldestFirst,
    /// Against time.
    NewestFirst,
}

/// Which objects of a bucket are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// The one with this key, in every version.
    Exactly(String),
    /// Those whose keys begin so.
    Below(String),
}

impl Keys {
    /// Whether a key is meant.
    pub fn matches(&self, key: &str) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == key,
            Self::Below(prefix) => key.starts_with(prefix),
        }
    }

    /// The key, or what the keys begin with.
    pub fn text(&self) -> &str {
        match self {
            Self::Exactly(text) | Self::Below(text) => text,
        }
    }
}

impl Aws {
    /// Items of a kind, strongly consistent; at most `limit`. An item that this version cannot read is an error.
    pub async fn items(&self, table: &DbTable, kind: Kind, order: Order, limit: usize) -> PortResult<Vec<Item>> {
        let query = self
            .items_query(table, "#table = :table AND begins_with(#key, :from)", kind.begins().to_owned())
            .scan_index_forward(order == Order::OldestFirst);
        Ok(query::collect(query, limit, |_| false).await?.0)
    }

    /// Items of a kind whose keys hold a time of this range, both ends included, oldest first, strongly consistent.
    pub async fn items_of(&self, table: &DbTable, kind: Kind, times: RangeInclusive<Millis>) -> PortResult<Vec<Item>> {
        let begins = kind.begins();
        let (from, to) = (times.start().max(&0), times.end());
        let query = self
            .items_query(table, "#table = :table AND #key BETWEEN :from AND :to", format!("{begins}{from:014}"))
            // Sorts after everything that can follow the time.
            .expression_attribute_values(":to", AttributeValue::S(format!("{begins}{to:014}~")));
        Ok(query::collect(query, usize::MAX, |_| false).await?.0)
    }

    /// What the ledger has of these objects, in every version. Reads the whole ledger of the table: an entry's key is a digest.
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
    fn the_keys_of_a_kind_begin_so() {
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
