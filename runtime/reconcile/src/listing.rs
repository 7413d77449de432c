//! Reads folders, or inventories of them, page by page. Each page is recorded before the next is read, and then the position after it is
//! stored, so that the sweep can continue wherever an invocation ended or died.
//!
//! Memory does not grow with the folder, except for the identities of waiting objects, sixteen bytes each.

mod continued;

use std::collections::{BTreeSet, HashSet};

use loader_core::bulk_request::{BulkPath, Force, Position, instant_text};
use loader_core::ids::{DbTable, WaitingObject};
use loader_core::tracker::item::{ConfigSource, Millis, PendingLoad};
use loader_core::tracker::list;
use loader_core::tracker::listing::{Counts, LISTINGS_MAX, Listing};
use loader_core::tracker::operator::{Act, noted};
use loader_core::tracker::prepare;
use loader_core::tracker::write::Written;

pub(crate) use continued::continue_listings;

use crate::inventory::{Inventoried, still_there};
use crate::ports::{Listed, Page, PortError, PortResult, World};
use crate::reconcile::Invocation;
use crate::record::{Origin, Recorded, record};
use crate::report::Event;

/// Time reserved for starting the loads, in milliseconds: no page is read in it.
pub(crate) const RECONCILE_MILLIS: i64 = 20_000;

/// Command in the audit record about objects that a source check found.
const MISSED: &str = "missed event";

/// Identities of objects.
type Digests = HashSet<[u8; 16]>;

/// A folder that an invocation is reading.
pub(crate) struct Reading<'a, W> {
    world: &'a W,
    invocation: &'a Invocation,
    path: &'a BulkPath,
    table: DbTable,
    /// No page is read after this time.
    until: Millis,
    /// The stored progress; `None`: nothing is stored yet, because the first page may be the only one.
    listing: Option<Listing>,
    /// Identities of the waiting objects, once they have been read.
    waits: Option<Digests>,
    /// Whether the audit record of a `force` order is written.
    is_noted: bool,
    /// The inventory, once its first page was read.
    inventory: Option<Inventoried>,
    /// Where the next page begins.
    pub(crate) position: Option<Position>,
    /// What was found so far.
    pub(crate) counts: Counts,
    /// In a request with `force`: what was loaded before this instant is loaded again.
    pub(crate) again_before: Option<Millis>,
}

/// How the reading of a folder ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The end of the folder was reached.
    Whole,
    /// The time ended before that, or another invocation continues the folder. The position is stored, except in a dry run.
    Rest,
    /// An error stopped it.
    Failed(String),
}

impl<'a, W: World> Reading<'a, W> {
    /// Begins at the start of the folder, or at the position in the request.
    pub(crate) fn new(world: &'a W, path: &'a BulkPath, invocation: &'a Invocation) -> Self {
        Self {
            world,
            invocation,
            path,
            table: path.config.db_table(),
            until: invocation.deadline - RECONCILE_MILLIS,
            listing: None,
            waits: None,
            is_noted: false,
            inventory: None,
            position: path.position.clone(),
            counts: Counts::default(),
            again_before: path.force.as_ref().map(|force| force.before_millis.unwrap_or_else(|| world.now())),
        }
    }

    /// Whether progress is stored, so the sweep will continue the folder.
    pub(crate) const fn is_stored(&self) -> bool {
        self.listing.is_some()
    }

    /// Reads at least one page, and more until the time ends.
    pub(crate) async fn read(&mut self) -> End {
        let end = match self.pages().await {
            Ok(end) => end,
            Err(why) => {
                if let Some(listing) = self.listing.clone() {
                    // If this fails too, the sweep continues once the listing has not been written for the patience period.
                    let _ = self.store(Listing { touched_millis: 0, error: Some(why.clone()), ..listing }).await;
                }
                End::Failed(why)
            }
        };
        self.world.report(&Event::Listed {
            table: self.table.0.clone(),
            s3_path: self.path.s3_path.clone(),
            objects: self.counts.objects,
            new_objects: self.counts.new_objects,
            ended: end == End::Whole,
        });
        end
    }

    async fn pages(&mut self) -> Result<End, String> {
        if let Some(before) = self.again_before.filter(|before| *before > self.world.now()) {
            let rule = "files loaded until then would be loaded again, so name an instant in the past";
            return Err(format!("`force` is {}, which is in the future: {rule}", instant_text(before)));
        }
        loop {
            let page = self.page().await?;
            let selected =
                |listed: &Listed| self.path.selection.holds(listed.modified_millis).then(|| listed.waiting.clone());
            let objects: Vec<WaitingObject> = page.objects.iter().filter_map(selected).collect();
            self.record(&objects).await?;
            self.position = page.next;
            let is_over = self.world.now() >= self.until;
            let Some(position) = self.position.clone() else { return self.close().await };
            if !self.path.selection.dry_run && !self.advance(position, is_over).await? {
                return Ok(End::Rest);
            }
            if is_over {
                return Ok(End::Rest);
            }
        }
    }

    /// The next page of the inventory, if the request names one, or of the folder.
    async fn page(&mut self) -> Result<Page, String> {
        let BulkPath { folder, inventory: check, s3_path, .. } = self.path;
        let Some(check) = check else {
            let page = self.world.list(&folder.bucket, &folder.prefix, self.position.clone()).await;
            return page.map_err(|error| format!("cannot list {s3_path}: {error}"));
        };
        if self.inventory.is_none() {
            self.inventory = Some(Inventoried::open(self.world, check, folder, self.position.as_ref()).await?);
        }
        let Some(inventory) = &mut self.inventory else { return Ok(Page::default()) };
        inventory.page(self.world).await
    }

    /// Records the new objects of a page, or only counts them.
    async fn record(&mut self, objects: &[WaitingObject]) -> Result<(), String> {
        let ledger = |error: PortError| format!("cannot read the ledger, send the request again: {error}");
        let mut unknown = self.unknown(objects).await.map_err(ledger)?;
        if self.path.is_check && !unknown.is_empty() {
            // Check again, because objects that were being recorded between the two reads are in the tracker by now.
            self.waits = None;
            if self.path.inventory.is_some() {
                let looked = still_there(self.world, &unknown).await;
                unknown = looked.map_err(|error| format!("cannot check the objects of the inventory: {error}"))?;
            }
            unknown = self.unknown(&unknown).await.map_err(ledger)?;
            self.missed(&unknown).await?;
        }
        if let Some(force) = self.path.force.as_ref().filter(|_| !self.path.selection.dry_run && !unknown.is_empty()) {
            self.note(force).await?;
        }
        self.counts.objects += objects.len() as u64;
        self.counts.bytes += objects.iter().map(|waiting| waiting.size_bytes).sum::<u64>();
        if self.path.selection.dry_run {
            self.counts.new_objects += unknown.len() as u64;
            return Ok(());
        }
        let source = ConfigSource { queue: None, recorded: self.path.config.clone() };
        let origin = Origin { request_id: self.invocation.request_id(), ..Origin::default() };
        let Recorded { n_recorded, failed } = record(self.world, &unknown, None, &source, &origin).await;
        self.counts.new_objects += n_recorded as u64;
        failed.first().map_or(Ok(()), |(_, error)| {
            Err(format!("{} objects are not recorded, send the request again: {error}", failed.len()))
        })
    }

    /// Reports objects without an event before they are recorded: twice is better than never.
    async fn missed(&self, unknown: &[WaitingObject]) -> Result<(), String> {
        let Some(WaitingObject { object, .. }) = unknown.first() else { return Ok(()) };
        let (table, first) = (self.table.0.clone(), format!("s3://{}/{}", object.bucket, object.key));
        let others = if unknown.len() > 1 { format!(" and {} more", unknown.len() - 1) } else { String::new() };
        let act = Act {
            by: "source check",
            command: MISSED.to_owned(),
            what: format!("{first}{others}"),
            why: Some(format!("it had no event, under {}", self.path.s3_path)),
            now: self.world.now(),
            keep_millis: self.invocation.timing.history_millis,
        };
        self.world.report(&Event::Missed { table, n_objects: unknown.len(), first });
        let written = self.world.write(&noted(&self.table, &act)).await;
        written.map(drop).map_err(|error| format!("cannot write the note of missed events: {error}"))
    }

    /// Writes the audit record of a `force` order once, before anything is recorded.
    async fn note(&mut self, force: &Force) -> Result<(), String> {
        if self.is_noted || self.listing.is_some() {
            return Ok(());
        }
        let before = instant_text(self.again_before.unwrap_or_default());
        let act = Act {
            by: &force.by,
            command: "backfill --force".to_owned(),
            what: format!("{}: what was loaded before {before}", self.path.s3_path),
            why: force.reason.clone(),
            now: self.world.now(),
            keep_millis: self.invocation.timing.history_millis,
        };
        let written = self.world.write(&noted(&self.table, &act)).await;
        written.map_err(|error| format!("cannot write the audit record, send the request again: {error}"))?;
        self.is_noted = true;
        Ok(())
    }

    /// The objects that are neither waiting nor in the ledger. Skipping the others keeps the backlog short; that nothing is loaded twice
    /// does not depend on it.
    async fn unknown(&mut self, objects: &[WaitingObject]) -> PortResult<Vec<WaitingObject>> {
        let ids: BTreeSet<String> = objects.iter().map(|waiting| waiting.object.id()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let waits = match self.waits.take() {
            Some(waits) => waits,
            None => waiting(self.world, &self.table, self.again_before).await?,
        };
        let mut ledger = self.world.ledger(&self.table, &ids, self.world.now()).await?;
        let n_known = ledger.len();
        let loaded = prepare::loaded(&ledger);
        if let Some(before) = self.again_before.filter(|_| !loaded.is_empty()) {
            let entered = self.world.entered(&self.table, &loaded).await?;
            prepare::leave_out_older(&mut ledger, &entered, before);
        }
        let n_again = n_known - ledger.len();
        let is_new = |waiting: &&WaitingObject| {
            !ledger.contains_key(&waiting.object.id()) && !waits.contains(&waiting.object.digest())
        };
        let unknown: Vec<WaitingObject> = objects.iter().filter(is_new).cloned().collect();
        self.counts.again_objects += n_again.min(unknown.len()) as u64;
        self.waits = Some(waits);
        Ok(unknown)
    }

    /// Stores the position after the last page. Returns `false` if another invocation continues the folder.
    async fn advance(&mut self, position: Position, is_over: bool) -> Result<bool, String> {
        let now = self.world.now();
        let touched_millis = if is_over { 0 } else { now };
        let next = if let Some(listing) = &self.listing {
            Listing { position, touched_millis, counts: self.counts, error: None, ..listing.clone() }
        } else {
            let by = (self.invocation.holder.as_str(), now);
            let begun = Listing::begin(&self.table, &self.path.request, position, self.counts, by);
            Listing { touched_millis, version: self.version(&begun).await?, ..begun }
        };
        self.store(next).await
    }

    /// The version of a stored listing of the same request, which this one replaces; 0 if there is none.
    async fn version(&self, begun: &Listing) -> Result<u64, String> {
        let listings = self.world.listings(&self.table).await;
        let listings =
            listings.map_err(|error| format!("cannot read the running requests, send the request again: {error}"))?;
        if let Some(same) = listings.iter().find(|listing| listing.key == begun.key) {
            return Ok(same.version);
        }
        if listings.iter().filter(|listing| listing.given_up.is_none()).count() >= LISTINGS_MAX {
            return Err(format!(
                "{LISTINGS_MAX} requests for {} are already running: wait until one of them has ended",
                self.table
            ));
        }
        Ok(0)
    }

    /// Writes the listing's next version. Returns `false` if another invocation wrote it first.
    async fn store(&mut self, next: Listing) -> Result<bool, String> {
        let (stored, transaction) = list::store(&self.table, &next.clone(), next);
        let written = self.world.write(&transaction).await;
        match written.map_err(|error| format!("cannot store the position, send the request again: {error}"))? {
            Written::Done => self.listing = Some(stored),
            Written::Refused(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Removes the listing of a folder that has been read to its end.
    async fn close(&self) -> Result<End, String> {
        let Some(listing) = &self.listing else { return Ok(End::Whole) };
        match self.world.write(&list::end(&self.table, listing)).await {
            Ok(Written::Done) => Ok(End::Whole),
            Ok(Written::Refused(_)) => Ok(End::Rest),
            Err(error) => Err(format!("cannot remove the position behind the last page: {error}")),
        }
    }
}

/// Identities of all waiting objects. For a request with `force`, only those that wait for the same instant count, because others may be
/// dropped as already loaded.
async fn waiting<W: World>(world: &W, table: &DbTable, again_before: Option<Millis>) -> PortResult<Digests> {
    let (mut digests, mut after) = (Digests::new(), None);
    let counts =
        |pending: &&PendingLoad| again_before.is_none() || pending.source.recorded.again_before_millis == again_before;
    loop {
        let (pendings, last) = world.waiting(table, after).await?;
        let objects = pendings.iter().filter(counts).flat_map(|pending| &pending.objects);
        digests.extend(objects.map(|waiting| waiting.object.digest()));
        after = last;
        if after.is_none() {
            return Ok(digests);
        }
    }
}
