//! Reads an inventory in place of a listing: in the same pages, but each unknown object is checked before it counts as missed.
//!
//! An inventory is hours old, so an unknown object may have been deleted or overwritten since, and its version id may be missing. A deleted
//! object is not a missed event. An overwritten one has an event of its own and is in the next inventory. Any other gets the identity
//! that its event would have had.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use loader_core::bulk_request::{InventoryCheck, Position, Selection};
use loader_core::config::SourceFolder;
use loader_core::ids::{ObjectVersion, Version, WaitingObject};
use loader_core::inventory::{self, Inventory, Line, MANIFEST_BYTES_MAX, Next, Scan};
use loader_core::tracker::item::Millis;
use loader_core::tracker::prepare::ObjectState;

use crate::look::LOOKS_AT_ONCE;
use crate::ports::{Objects, Page, PortResult};

/// Objects per page, as in a listing.
const PAGE_OBJECTS: usize = 1000;

/// An inventory that is being read.
pub(crate) struct Inventoried {
    bucket: String,
    manifest_key: String,
    scan: Scan,
    selection: Selection,
}

/// The newest complete inventory started at or after this time: the key of its manifest, and the manifest.
pub async fn newest<O: Objects + Sync>(
    world: &O,
    folder: &SourceFolder,
    source: &SourceFolder,
    since: Millis,
) -> Result<(String, Inventory), String> {
    let url = format!("s3://{}/{}", folder.bucket, folder.prefix);
    let mut keys = BTreeSet::new();
    let key = inventory::key_of(folder, since);
    let mut after = Some(Position { key, version_id: None, line: None });
    while after.is_some() {
        let page = world.list(&folder.bucket, &inventory::prefix_of_all(folder), after).await;
        let page = page.map_err(|error| format!("cannot list the inventories in {url}: {error}"))?;
        keys.extend(page.objects.into_iter().map(|listed| listed.waiting.object.key));
        after = page.next;
    }
    let Some(manifest_key) = inventory::newest(folder, &keys) else {
        let since = loader_core::bulk_request::instant_text(since);
        return Err(format!(
            "{url} has no complete inventory started after {since}: check that S3 still writes it, and that `every` is its interval"
        ));
    };
    let inventory = manifest(world, folder, source, &manifest_key).await?;
    Ok((manifest_key, inventory))
}

async fn manifest<O: Objects + Sync>(
    world: &O,
    folder: &SourceFolder,
    source: &SourceFolder,
    key: &str,
) -> Result<Inventory, String> {
    let read = async |key: &str| {
        let part = world.part(&folder.bucket, key, 0, MANIFEST_BYTES_MAX).await;
        part.map_err(|error| format!("cannot read s3://{}/{key}: {error}", folder.bucket))
    };
    let (manifest, checksum) = (read(key).await?, read(&inventory::checksum_key(key)).await?);
    Inventory::read(&manifest, &checksum, &source.bucket)
        .map_err(|why| format!("the inventory s3://{}/{key} cannot be used: {why}", folder.bucket))
}

impl Inventoried {
    /// Opens the inventory of this position or, without one, the newest.
    pub(crate) async fn open<O: Objects + Sync>(
        world: &O,
        check: &InventoryCheck,
        source: &SourceFolder,
        position: Option<&Position>,
    ) -> Result<Self, String> {
        let (manifest_key, inventory) = match position {
            Some(position) => (position.key.clone(), manifest(world, &check.folder, source, &position.key).await?),
            None => newest(world, &check.folder, source, check.every.inventory_since(check.scheduled)).await?,
        };
        let from = position.and_then(|position| position.line).unwrap_or_default();
        let selection = check.selection(inventory.started_millis);
        let scan = Scan::new(inventory, source.clone(), from);
        Ok(Self { bucket: check.folder.bucket.clone(), manifest_key, scan, selection })
    }

    /// Reads the next page. A page ends before the next part of a data file at the latest, so that positions are stored even if no line
    /// describes an object to load.
    pub(crate) async fn page<O: Objects + Sync>(&mut self, world: &O) -> Result<Page, String> {
        let (mut objects, mut is_begun) = (Vec::new(), false);
        while objects.len() < PAGE_OBJECTS {
            match self.scan.advance()? {
                Next::Object(listed) if self.selection.holds(listed.modified_millis) => objects.push(listed),
                Next::Object(_) | Next::Other => {}
                Next::Part { .. } if is_begun => break,
                Next::Part { key, from, length } => {
                    let part = world.part(&self.bucket, &key, from, length).await;
                    let part = part.map_err(|error| format!("cannot read s3://{}/{key}: {error}", self.bucket))?;
                    if part.len() as u64 != length {
                        return Err(format!("s3://{}/{key} is shorter than its manifest says", self.bucket));
                    }
                    self.scan.feed(part);
                    continue;
                }
                Next::End => return Ok(Page { objects, next: None }),
            }
            is_begun = true;
        }
        let line: Option<Line> = Some(self.scan.position());
        let next = Some(Position { key: self.manifest_key.clone(), version_id: None, line });
        Ok(Page { objects, next })
    }
}

/// The objects that still exist with the same content, with their current identity and size.
pub(crate) async fn still_there<O: Objects + Sync>(
    world: &O,
    listed: &[WaitingObject],
) -> PortResult<Vec<WaitingObject>> {
    let look = |waiting: &WaitingObject| {
        let waiting = waiting.clone();
        async move {
            let state = world.object(&waiting.object.bucket, &waiting.object.key).await?;
            Ok(same(waiting, &state))
        }
    };
    let looked = stream::iter(listed.iter().map(look)).buffered(LOOKS_AT_ONCE);
    looked.try_filter_map(|same| async { Ok(same) }).try_collect().await
}

fn same(listed: WaitingObject, state: &ObjectState) -> Option<WaitingObject> {
    let ObjectState::Found { version_id, etag, size_bytes } = state else { return None };
    let version = Version::new(version_id.as_deref(), etag.as_deref())?;
    let is_same = listed.object.version == version
        || Some(&listed.object.version) == Version::new(None, etag.as_deref()).as_ref();
    let object = ObjectVersion { version, ..listed.object };
    (is_same && *size_bytes > 0).then_some(WaitingObject { object, size_bytes: *size_bytes })
}
