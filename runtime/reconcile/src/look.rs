//! Looking at the objects of a load before it is prepared: what the ledger knows of them, what is in S3 now, which columns the target has.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use loader_core::config::LoadConfig;
use loader_core::ids::WaitingObject;
use loader_core::outcome::FailureClass;
use loader_core::sql::columns::{TargetColumns, columns_query};
use loader_core::sql::merge;
use loader_core::tracker::item::{ConfigSource, LedgerMark, Millis, PendingLoad};
use loader_core::tracker::prepare::{self, ObjectState, Plan, Seen};
use loader_core::tracker::settle;
use loader_core::tracker::slot::{Held, KnownColumns, RunningLoad, Slot};
use loader_core::tracker::view::View;
use loader_core::tracker::wait::wait;

use crate::ports::{PortError, PortResult, World};
use crate::reconcile::{Next, Round};

/// Objects that are looked at at the same time.
const LOOKS_AT_ONCE: usize = 32;
/// Time for looking at objects, in milliseconds, and the part of the invocation's remaining time that it may take. What was not looked
/// at by then stays in the backlog. Shorter than the patience of other invocations, so that nobody else begins the same work.
const LOOK_MILLIS_MAX: i64 = 30_000;
const LOOK_PART: i64 = 2;
/// How long the target's columns are kept. A change of the table in between fails the transaction, and then they are read again.
const COLUMNS_MILLIS: i64 = 10 * 60_000;

/// Bucket and key.
type Place = (String, String);

impl<W: World> Round<'_, W> {
    /// Looks at every object and writes the manifest; the configuration of this attempt is the one that holds now.
    pub(crate) async fn look(
        &mut self,
        view: &View,
        load: RunningLoad,
        pendings: Option<Vec<PendingLoad>>,
    ) -> PortResult<Next> {
        let config = view.config(&load.source).clone();
        let load = RunningLoad { source: ConfigSource { queue: load.source.queue.clone(), recorded: config }, ..load };
        let pendings = match pendings {
            Some(pendings) => pendings,
            None => self.world.pendings(self.table, &load.pending_keys).await?,
        };
        let held = Held { slot: &view.state.slot, load: &load };
        let change = match self.see(held, &pendings).await {
            Ok(seen) => {
                let root = self.world.manifest_root();
                let Plan { manifest, change } =
                    prepare::plan(held.slot, &load, &pendings, &seen, &root, &self.context());
                if let Some(manifest) = manifest {
                    self.world.put_manifest(&manifest.key, &manifest.content).await?;
                }
                change
            }
            Err(Unseen::Port(error)) if error.passes() => return Err(error),
            Err(Unseen::Port(error)) => wait(held, FailureClass::OperatorsTurn, error.to_string(), &self.context()),
            Err(Unseen::Refused { objects, error }) => {
                settle::unreadable(held, &pendings, &objects, error.to_string(), &self.context())
            }
        };
        self.apply(view, Some(&load), change).await
    }

    /// The ledger, the objects and the columns, side by side. All of them are read after the slot was, so what they say holds until the
    /// slot's next write.
    async fn see(&self, held: Held<'_>, pendings: &[PendingLoad]) -> Result<Seen, Unseen> {
        let objects: Vec<&WaitingObject> = pendings.iter().flat_map(|pending| &pending.objects).collect();
        let ids: BTreeSet<String> = objects.iter().map(|waiting| waiting.object.id()).collect();
        let config = &held.load.source.recorded;
        let (ledger, states, columns) = futures::join!(
            self.world.ledger(self.table, &ids, self.world.now()),
            self.states(&objects, config.write_once && held.load.refreshes == 0),
            self.columns(held.slot, config),
        );
        let (mut ledger, states) = (ledger?, states?);
        ledger.extend(self.ledger_of_newer(&objects, &states, &ids).await?);
        if let Some(before) = config.again_before_millis {
            let loaded = prepare::loaded(&ledger);
            if !loaded.is_empty() {
                let entered = self.world.entered(self.table, &loaded).await?;
                prepare::leave_out_older(&mut ledger, &entered, before);
            }
        }
        Ok(Seen { states, ledger, columns: columns? })
    }

    /// What the ledger knows of newer versions that were found under the objects' keys.
    async fn ledger_of_newer(
        &self,
        objects: &[&WaitingObject],
        states: &[ObjectState],
        asked: &BTreeSet<String>,
    ) -> PortResult<BTreeMap<String, LedgerMark>> {
        let newer = objects.iter().zip(states).filter_map(|(waiting, state)| prepare::newer(waiting, state));
        let ids: BTreeSet<String> = newer.map(|object| object.id()).filter(|id| !asked.contains(id)).collect();
        if ids.is_empty() { Ok(BTreeMap::new()) } else { self.world.ledger(self.table, &ids, self.world.now()).await }
    }

    /// One state per object, in their order; fewer where the time for looking ended or a service was busy.
    ///
    /// Versions of one key share one look: two looks could see two versions, and both would be listed. Where keys are written once, only
    /// keys that occur twice are looked at: for them the promise does not hold.
    async fn states(&self, objects: &[&WaitingObject], write_once: bool) -> Result<Vec<ObjectState>, Unseen> {
        let mut places: BTreeMap<Place, usize> = BTreeMap::new();
        for waiting in objects {
            *places.entry(place(waiting)).or_default() += 1;
        }
        let mut wanted = BTreeSet::new();
        let is_looked_at = |waiting: &&&WaitingObject| !write_once || places[&place(waiting)] > 1;
        let order: Vec<Place> = objects
            .iter()
            .filter(is_looked_at)
            .map(|waiting| place(waiting))
            .filter(|place| wanted.insert(place.clone()))
            .collect();
        let (looked, stopped) = self.look_at(order).await;
        let mut states = Vec::new();
        let mut refused = BTreeSet::new();
        let mut refusal = None;
        for waiting in objects {
            let place = place(waiting);
            match looked.get(&place) {
                None if wanted.contains(&place) => break,
                None => states.push(ObjectState::AsNotified),
                Some(Ok(state)) => states.push(state.clone()),
                Some(Err(error)) => {
                    refused.insert(waiting.object.id());
                    refusal.get_or_insert_with(|| error.clone());
                }
            }
        }
        match (refusal, stopped) {
            (Some(error), _) => Err(Unseen::Refused { objects: refused, error }),
            (None, Some(error)) if states.is_empty() => Err(Unseen::Port(error)),
            (None, _) => Ok(states),
        }
    }

    /// Looks at places until the time is over or a service is busy; then the error says why.
    async fn look_at(&self, places: Vec<Place>) -> (BTreeMap<Place, PortResult<ObjectState>>, Option<PortError>) {
        let remaining = (self.invocation.deadline - self.world.now()) / LOOK_PART;
        let until: Millis = self.world.now() + remaining.min(LOOK_MILLIS_MAX);
        let mut looks = stream::iter(places)
            .map(|(bucket, key)| async move {
                let state = self.world.object(&bucket, &key).await;
                ((bucket, key), state)
            })
            .buffered(LOOKS_AT_ONCE);
        let mut looked = BTreeMap::new();
        while let Some((place, state)) = looks.next().await {
            match state {
                Err(error) if error.passes() => return (looked, Some(error)),
                state => looked.insert(place, state),
            };
            if self.world.now() >= until {
                break;
            }
        }
        (looked, None)
    }

    /// The target's columns, where the SQL names them: as they were kept, or read now.
    async fn columns(&self, slot: &Slot, config: &LoadConfig) -> PortResult<Option<KnownColumns>> {
        if !merge::needs_columns(config) {
            return Ok(None);
        }
        let asked_millis = self.world.now();
        let kept = slot.columns.clone().filter(|known| known.asked_millis + COLUMNS_MILLIS > asked_millis);
        if kept.is_some() {
            return Ok(kept);
        }
        let rows = self.world.query(config, &columns_query(&config.target.table)).await?;
        Ok(Some(KnownColumns { columns: TargetColumns::from_rows(&rows), asked_millis }))
    }
}

fn place(waiting: &WaitingObject) -> Place {
    (waiting.object.bucket.clone(), waiting.object.key.clone())
}

/// Why there is nothing to prepare from.
#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error(transparent)]
    Port(#[from] PortError),
    /// Some of the objects, or all, may not be looked at.
    #[error("{error}")]
    Refused {
        /// Ids of the object versions that the role may not read.
        objects: BTreeSet<String>,
        /// What the service says of the first.
        error: PortError,
    },
}
