//! Conditions of writes.

use crate::ids::LoadId;

/// What must be true of an item for its action to take effect. If it is false, the whole transaction is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// No condition.
    Always,
    /// The item does not exist.
    Absent,
    /// The item exists.
    Present,
    /// The listing still has this version; 0: it does not exist yet.
    Version(u64),
    /// The slot still has this version and is held by this load: the fence. Version 0: the item does not exist yet.
    Slot {
        /// The version that was read.
        version: u64,
        /// The load that held the slot; `None`: the slot was free.
        load_id: Option<LoadId>,
    },
}
