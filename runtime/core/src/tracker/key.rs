//! Sort keys, and where a load's configuration comes from: what the slot and all other items share.

use std::fmt;
use std::sync::Arc;

use crate::config::LoadConfig;
use crate::ids::{LoadId, Millis, ObjectVersion};

/// Sort key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SortKey(pub String);

impl SortKey {
    /// Prefix of the keys of all pending loads.
    pub const PENDING: &'static str = "PENDING#";

    /// Prefix of the keys of bulk requests' pending loads. They sort after those of live files, so reading from the start of a long backlog
    /// finds live files first, even if requested ones have waited longer.
    pub const REQUESTED: &'static str = "PENDING#bulk#";

    /// Prefix of the keys of all listings.
    pub const LISTING: &'static str = "LISTING#";

    /// Key of the slot. It sorts after every pending load, so one query in descending order reads the slot first and then the backlog.
    pub fn slot() -> Self {
        Self("RUNNING".into())
    }

    /// Key of a pending load of live files. The time has a fixed width, so keys sort by it.
    pub fn pending(since: Millis, load_id: &LoadId) -> Self {
        Self(format!("{}{since:014}#{load_id}", Self::PENDING))
    }

    /// Key of a pending load of a bulk request.
    pub fn requested(since: Millis, load_id: &LoadId) -> Self {
        Self(format!("{}{since:014}#{load_id}", Self::REQUESTED))
    }

    /// Whether this is the key of a bulk request's pending load. Loads recorded by old versions have no key of their own kind, and give
    /// `false`.
    pub fn is_requested(&self) -> bool {
        self.0.starts_with(Self::REQUESTED)
    }

    /// The time in the key of a pending load: since when it has waited. `None` for other items.
    pub fn since_millis(&self) -> Option<Millis> {
        let rest = self.0.strip_prefix(Self::REQUESTED).or_else(|| self.0.strip_prefix(Self::PENDING))?;
        rest.split('#').next()?.parse().ok()
    }

    /// Key of an object version's ledger entry.
    pub fn file(object: &ObjectVersion) -> Self {
        Self::file_of(&object.id())
    }

    /// Key of the ledger entry with this id ([`ObjectVersion::id`]).
    pub fn file_of(object_id: &str) -> Self {
        Self(format!("FILE#{object_id}"))
    }

    /// Key of a quarantined load.
    pub fn failed(at: Millis, load_id: &LoadId) -> Self {
        Self(format!("FAILED#{at:014}#{load_id}"))
    }

    /// Key of a listing; `id` is derived from its request.
    pub fn listing(id: &str) -> Self {
        Self(format!("{}{id}", Self::LISTING))
    }

    /// Key of an audit record.
    pub fn audit(at: Millis, id: &str) -> Self {
        Self(format!("AUDIT#{at:014}#{id}"))
    }

    /// The time in the key of a quarantined load, a finished load or an audit record.
    pub fn at_millis(&self) -> Option<Millis> {
        self.0.split('#').nth(1)?.parse().ok()
    }

    /// Key of a finished load.
    pub fn loaded(at: Millis, load_id: &LoadId) -> Self {
        Self(format!("LOADED#{at:014}#{load_id}"))
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a load's configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigSource {
    /// The queue whose file is read again when the load starts; `None` for a bulk request.
    pub queue: Option<String>,
    /// The configuration when the load was recorded. It is used for bulk requests, and if the queue's file is missing, invalid, or now
    /// names another table.
    pub recorded: Arc<LoadConfig>,
}

impl ConfigSource {
    /// Whether the objects come from a bulk request rather than from notifications.
    pub const fn is_requested(&self) -> bool {
        self.queue.is_none()
    }

    /// The key of a pending load from this source that has waited since `since`.
    pub fn pending_key(&self, since: Millis, load_id: &LoadId) -> SortKey {
        if self.is_requested() { SortKey::requested(since, load_id) } else { SortKey::pending(since, load_id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_loads_sort_before_requested_ones_and_all_before_the_slot() {
        let id = LoadId("0123".to_owned());
        let keys = [SortKey::pending(9, &id), SortKey::requested(1, &id), SortKey::requested(2, &id), SortKey::slot()];
        assert!(keys.is_sorted());
        assert_eq!(keys.each_ref().map(SortKey::since_millis), [Some(9), Some(1), Some(2), None]);
        assert_eq!(keys.each_ref().map(SortKey::is_requested), [false, true, true, false]);
    }
}
