//! A folder that is being listed for a bulk request: how far, and what is asked for, so that whoever comes next goes on.
//!
//! A page is recorded before the position behind it is stored. Who dies in between leaves a page that is read again, and what of it waits
//! or is loaded by then is left out. Each write is conditional on the one before, so one invocation at a time goes on.

use super::key::SortKey;
use crate::bulk_request::Position;
use crate::ids::{DbTable, Millis, listing_id};

/// Invocations that go on with one listing at most, so that one that never ends does. Each may read for most of a minute: enough for tens
/// of millions of objects.
pub const TURNS_MAX: u32 = 1000;
/// Folders that are listed for one table at the same time at most: what asks for more comes faster than it is done.
pub const LISTINGS_MAX: usize = 20;

/// What was found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Objects that are meant.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were recorded, or would be.
    pub new_objects: u64,
    /// Those of them that were loaded before, and are loaded again.
    pub again_objects: u64,
}

/// A folder whose listing has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listing {
    /// Sort key: a digest of the request.
    pub key: SortKey,
    /// Counts the writes of this item: the fence.
    pub version: u64,
    /// The bulk request with this path only, as compact JSON.
    pub request: String,
    /// Everything up to here is recorded.
    pub position: Position,
    /// The invocation that wrote last.
    pub holder: String,
    /// When it wrote; 0 where it has left the rest to others.
    pub touched_millis: Millis,
    /// When the request began.
    pub started_millis: Millis,
    /// Invocations that went on with it.
    pub turns: u32,
    /// What was found so far.
    pub counts: Counts,
    /// Why the last of them came no further.
    pub error: Option<String>,
    /// It was given up; when this item may be forgotten, epoch seconds.
    pub given_up: Option<i64>,
}

impl Listing {
    /// The listing of a request of which a first page is recorded.
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

    /// Whether somebody may go on with it: nobody else has written it for so long, and it is not given up.
    pub const fn is_free(&self, now: Millis, patience_millis: Millis) -> bool {
        self.given_up.is_none() && self.touched_millis + patience_millis <= now
    }
}
