//! The stored progress of a bulk request through a folder, so that any invocation can continue it.
//!
//! A page is recorded before the position after it is stored. If an invocation dies in between, the page is read again, and objects that
//! are waiting or loaded by then are skipped. Each write is conditional on the previous one, so only one invocation at a time makes
//! progress.

use super::key::SortKey;
use crate::bulk_request::Position;
use crate::ids::{DbTable, Millis, listing_id};

/// Maximum number of invocations for one listing, so that none runs forever. Each may read for most of a minute: enough for tens of
/// millions of objects.
pub const TURNS_MAX: u32 = 1000;
/// Maximum number of folders listed for one table at the same time. More means that requests arrive faster than they can be handled.
pub const LISTINGS_MAX: usize = 20;

/// What was found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Objects that the request selects.
    pub objects: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Objects that were recorded, or in a dry run would be.
    pub new_objects: u64,
    /// Those of them that were loaded before and are loaded again.
    pub again_objects: u64,
}

/// A folder whose listing has not reached its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listing {
    /// Sort key; contains a digest of the request.
    pub key: SortKey,
    /// Number of writes of this item: the fence.
    pub version: u64,
    /// The bulk request with this path only, as compact JSON.
    pub request: String,
    /// All objects up to this position are recorded.
    pub position: Position,
    /// The invocation that wrote last.
    pub holder: String,
    /// When it wrote; 0 if it has released the listing.
    pub touched_millis: Millis,
    /// When the listing began.
    pub started_millis: Millis,
    /// Number of invocations that have continued it.
    pub turns: u32,
    /// What was found so far.
    pub counts: Counts,
    /// Why the last of them stopped early.
    pub error: Option<String>,
    /// If the listing was given up: when the item expires, in epoch seconds.
    pub given_up: Option<i64>,
}

impl Listing {
    /// The listing of a request whose first page is recorded. `by`: the invocation, and the time.
    pub fn begin(table: &DbTable, request: &str, position: Position, counts: Counts, by: (&str, Millis)) -> Self {
        let (holder, now) = by;
        Self {
            key: SortKey::listing(&listing_id(table, request)),
            version: 0,
            request: request.to_owned(),
            position,
            holder: holder.to_owned(),
            touched_millis: now,
            started_millis: now,
            turns: 0,
            counts,
            error: None,
            given_up: None,
        }
    }

    /// Whether an invocation may continue it: nobody has written it for the patience period, and it is not given up.
    pub const fn is_free(&self, now: Millis, patience_millis: Millis) -> bool {
        self.given_up.is_none() && self.touched_millis + patience_millis <= now
    }
}
