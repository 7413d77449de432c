//! How many objects fit into one item, and how objects are grouped into items.

use super::item::PendingLoad;
use crate::config::LoadLimits;
use crate::ids::{Version, WaitingObject};
use crate::limits::PENDING_BYTES_MAX;

/// Bytes of an item besides its objects and its configuration: attribute names, numbers, the key.
const ITEM_BYTES: usize = 512;
/// Bytes of an object besides its names: brackets, quotes, commas, its size.
const OBJECT_BYTES: usize = 40;

/// Estimated size of a pending load's item in bytes. Never too low.
pub fn item_bytes(pending: &PendingLoad) -> usize {
    let objects: usize = pending.objects.iter().map(object_bytes).sum();
    ITEM_BYTES + pending.source.recorded.document.len() + objects
}

/// Upper bound: the item may store only the part of the key that differs from the previous one.
fn object_bytes(waiting: &WaitingObject) -> usize {
    let (Version::Id(version) | Version::ETag(version)) = &waiting.object.version;
    OBJECT_BYTES + escaped_bytes(&waiting.object.key) + escaped_bytes(version) + waiting.object.bucket.len()
}

/// JSON writes a control character as six bytes.
fn escaped_bytes(text: &str) -> usize {
    let byte = |byte: u8| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.bytes().map(byte).sum()
}

/// Groups objects in their order, so that each group fits into one item and, if limits are given, into one load. An object that exceeds the
/// limits on its own forms a group of its own.
pub fn groups(
    objects: impl IntoIterator<Item = WaitingObject>,
    document: &str,
    limits: Option<LoadLimits>,
) -> Vec<Vec<WaitingObject>> {
    let room = PENDING_BYTES_MAX.saturating_sub(ITEM_BYTES + document.len());
    let (mut files, mut size_bytes, mut bytes) = (0, 0_u64, 0);
    let mut groups: Vec<Vec<WaitingObject>> = Vec::new();
    for waiting in objects {
        files += 1;
        size_bytes = size_bytes.saturating_add(waiting.size_bytes);
        bytes += object_bytes(&waiting);
        let fits =
            bytes <= room && limits.is_none_or(|limits| files <= limits.files_max && size_bytes <= limits.bytes_max);
        match groups.last_mut() {
            Some(group) if fits => group.push(waiting),
            _ => {
                (files, size_bytes, bytes) = (1, waiting.size_bytes, object_bytes(&waiting));
                groups.push(vec![waiting]);
            }
        }
    }
    groups
}
