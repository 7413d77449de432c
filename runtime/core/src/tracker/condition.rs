//! What must be true of an item for a write to take effect.

use crate::ids::LoadId;

/// What must be true of an item for its action, and so for the whole transaction, to take effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing.
    Always,
    /// There is no such item.
    Absent,
    /// There is such an item.
    Present,
    /// The listing was last written as this version; 0: there is none yet.
    Version(u64),
    /// The slot was last written as this version and is held by this load: the fence. Version 0: there is no slot yet.
    Slot {
        /// Its version.
        version: u64,
        /// The load that holds it; `None`: it is free.
        load_id: Option<LoadId>,
    },
}
