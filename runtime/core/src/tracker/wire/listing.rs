//! The format of a listing in DynamoDB.

use serde::{Deserialize, Serialize};

use super::slot::SLOT_VERSION;
use crate::bulk_request::Position;
use crate::tracker::item::SortKey;
use crate::tracker::listing::{Counts, Listing};

#[derive(Serialize, Deserialize)]
pub(super) struct ListingWire {
    version: u64,
    request: String,
    position: Position,
    holder: String,
    touched_millis: i64,
    started_millis: i64,
    #[serde(default)]
    turns: u32,
    #[serde(default)]
    objects: u64,
    #[serde(default)]
    size_bytes: u64,
    #[serde(default)]
    new_objects: u64,
    #[serde(default)]
    again_objects: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

// A write's condition uses one attribute name for both the slot and listings.
const _: () = assert!(matches!(SLOT_VERSION.as_bytes(), b"version"));

impl From<&Listing> for ListingWire {
    fn from(listing: &Listing) -> Self {
        Self {
            version: listing.version,
            request: listing.request.clone(),
            position: listing.position.clone(),
            holder: listing.holder.clone(),
            touched_millis: listing.touched_millis,
            started_millis: listing.started_millis,
            turns: listing.turns,
            objects: listing.counts.objects,
            size_bytes: listing.counts.bytes,
            new_objects: listing.counts.new_objects,
            again_objects: listing.counts.again_objects,
            error: listing.error.clone(),
        }
    }
}

impl ListingWire {
    /// `expires_at` is present only if the listing was given up.
    pub(super) fn into_item(self, key: SortKey, expires_at: Option<i64>) -> Listing {
        Listing {
            key,
            version: self.version,
            request: self.request,
            position: self.position,
            holder: self.holder,
            touched_millis: self.touched_millis,
            started_millis: self.started_millis,
            turns: self.turns,
            counts: Counts {
                objects: self.objects,
                bytes: self.size_bytes,
                new_objects: self.new_objects,
                again_objects: self.again_objects,
            },
            error: self.error,
            given_up: expires_at,
        }
    }
}
