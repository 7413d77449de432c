//! How an item is found, and where its configuration comes from: what the slot and every other item share.

use std::fmt;
use std::sync::Arc;

use crate::config::LoadConfig;
use crate::ids::{LoadId, Millis, ObjectVersion};

/// Sort key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SortKey(pub String);

impl SortKey {
    /// Begin of every waiting load's key.
    pub const PENDING: &'static str = "PENDING#";

    /// Begin of the key of a waiting load of a bulk request. They sort after those of live files, so that who reads the begin of a long
    /// backlog finds live files, however many requested ones wait longer.
    pub const REQUESTED: &'static str = "PENDING#bulk#";

    /// Begin of every listing's key.
    pub const LISTING: &'static str = "LISTING#";

    /// The slot. Sorts after every waiting load, so that one query, newest first, reads the slot and then the loads that wait.
    pub fn slot() -> Self {
        Self("RUNNING".into())
    }

    /// A waiting load; keys sort by time because the number is of fixed width.
    pub fn pending(since: Millis, load_id: &LoadId) -> Self {
        Self(format!("{}{since:014}#{load_id}", Self::PENDING))
    }

    /// A waiting load of a bulk request.
    pub fn requested(since: Millis, load_id: &LoadId) -> Self {
        Self(format!("{}{since:014}#{load_id}", Self::REQUESTED))
    }

    /// Whether it is a waiting load's of a bulk request, recorded since these have keys of their own.
    pub fn is_requested(&self) -> bool {
        self.0.starts_with(Self::REQUESTED)
    }

    /// Since when a waiting load waits, as its key says.
    pub fn since_millis(&self) -> Option<Millis> {
        let rest = self.0.strip_prefix(Self::REQUESTED).or_else(|| self.0.strip_prefix(Self::PENDING))?;
        rest.split('#').next()?.parse().ok()
    }

    /// An object version in the ledger.
    pub fn file(object: &ObjectVersion) -> Self {
        Self::file_of(&object.id())
    }

    /// The ledger's entry of this id ([`ObjectVersion::id`]).
    pub fn file_of(object_id: &str) -> Self {
        Self(format!("FILE#{object_id}"))
    }

    /// A quarantined load.
    pub fn failed(at: Millis, load_id: &LoadId) -> Self {
        Self(format!("FAILED#{at:014}#{load_id}"))
    }

    /// A folder that is being listed, by what was asked for.
    pub fn listing(id: &str) -> Self {
        Self(format!("{}{id}", Self::LISTING))
    }

    /// The record of what an operator did.
    pub fn audit(at: Millis, id: &str) -> Self {
        Self(format!("AUDIT#{at:014}#{id}"))
    }

    /// The time in the key of a quarantined load, a finished one or an audit record.
    pub fn at_millis(&self) -> Option<Millis> {
        self.0.split('#').nth(1)?.parse().ok()
    }

    /// A finished load.
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
    /// The configuration as it was when the load was recorded: used for bulk requests, and when the queue's file is gone,
    /// broken, or names another table by now.
    pub recorded: Arc<LoadConfig>,
}

impl ConfigSource {
    /// Whether a bulk request asked for it; else it is of live files.
    pub const fn is_requested(&self) -> bool {
        self.queue.is_none()
    }

    /// The key of a load of this source that waits since then.
    pub fn pending_key(&self, since: Millis, load_id: &LoadId) -> SortKey {
        if self.is_requested() { SortKey::requested(since, load_id) } else { SortKey::pending(since, load_id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_loads_are_before_requested_ones_and_all_before_the_slot() {
        let id = LoadId("0123".to_owned());
        let keys = [SortKey::pending(9, &id), SortKey::requested(1, &id), SortKey::requested(2, &id), SortKey::slot()];
        assert!(keys.is_sorted());
        assert_eq!(keys.each_ref().map(SortKey::since_millis), [Some(9), Some(1), Some(2), None]);
        assert_eq!(keys.each_ref().map(SortKey::is_requested), [false, true, true, false]);
    }
}
