//! What a round reads of a backlog: the oldest pending loads, and of a long backlog in which none of these may start, more.

use loader_core::limits::LOAD_PENDINGS_MAX;
use loader_core::tracker::choose::is_ready;
use loader_core::tracker::item::Item;
use loader_core::tracker::view::View;
use loader_core::tracker::write::{Transaction, WriteAction};

use crate::ports::{PortResult, World};
use crate::reconcile::Round;

/// Number of pending loads to read at first from a long backlog; the search continues if none of these may start.
const BACKLOG_READ: usize = 2 * LOAD_PENDINGS_MAX;
/// Maximum number of pages that one reconcile reads of a backlog in which nothing may start. In DynamoDB a page has up to a megabyte: about
/// 6,000 files. The next reconcile continues.
pub const SEARCH_PAGES_MAX: usize = 16;

impl<W: World> Round<'_, W> {
    /// Reads the oldest pending loads, unless the whole backlog is known. Of a long one, the newest stay known.
    pub(crate) async fn read_backlog(&mut self, view: &mut View) -> PortResult<()> {
        if !view.state.complete {
            let (oldest, rest) = self.world.backlog(self.table, BACKLOG_READ).await?;
            match &rest {
                None => (view.state.backlog, view.state.complete) = (oldest, true),
                Some(_) => view.add(oldest),
            }
            self.memory.rest = rest.and_then(|rest| view.state.slot.searched.clone().max(Some(rest)));
        }
        Ok(())
    }

    /// Reads on in a backlog of which nothing that is known may start, and keeps what is ready: however much of it is paused, what is
    /// behind it is found. Returns whether a page was read. When the pages of this reconcile are used up, stores where the next one
    /// continues; at the end of the backlog, that it begins anew.
    pub(crate) async fn search(&mut self, view: &View) -> PortResult<bool> {
        let rest = self.memory.rest.clone();
        let Some(after) = rest.clone().filter(|_| self.memory.n_pages < SEARCH_PAGES_MAX) else {
            let slot = &view.state.slot;
            if !view.state.complete && slot.searched != rest {
                // If this is refused, another invocation is working on the table.
                let put = WriteAction::put(Item::Slot(slot.searched_to(rest)), slot.condition());
                self.world.write(&Transaction::new(self.table.clone(), vec![put])).await?;
            }
            return Ok(false);
        };
        let (mut page, rest) = self.world.waiting(self.table, Some(after)).await?;
        self.memory.rest = rest;
        self.memory.n_pages += 1;
        let mut view = view.clone();
        self.add_queues(&mut view, page.iter().filter_map(|pending| pending.source.queue.clone()).collect()).await;
        let context = self.context();
        page.retain(|pending| is_ready(&view, pending, &context));
        view.add(page);
        self.memory.view = Some(view);
        Ok(true)
    }
}
