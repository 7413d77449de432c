//! Looking at the objects of a load before it is prepared: their ledger entries, their current state in S3, and the target's columns.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use loader_core::config::{LoadConfig, SchemaChange};
use loader_core::drift;
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

use crate::compare::{Judged, Shape, ShapeRead, Shapes};
use crate::ports::{PortError, PortResult, World};
use crate::reconcile::{Next, Round};
use crate::unchanged::{Place, place, unchanged};

/// Maximum number of objects looked at concurrently.
pub(crate) const LOOKS_AT_ONCE: usize = 32;
/// Maximum time for looking at objects, in milliseconds, and the fraction of the invocation's remaining time that it may take. Objects that
/// were not looked at by then stay in the backlog. Shorter than the patience of other invocations, so that no other begins the same work.
const LOOK_MILLIS_MAX: i64 = 30_000;
const LOOK_PART: i64 = 2;
/// How long the target's columns are cached. If the table changes in the meantime, the transaction fails, and the columns are read again.
const COLUMNS_MILLIS: i64 = 10 * 60_000;

/// What was found at a place, with the columns if files are compared.
type Looked = (ObjectState, Option<Shape>);

/// What to find out about a file.
struct Glance<'a> {
    file: &'a WaitingObject,
    /// Whether the load has no other version of its key.
    alone: bool,
    /// Whether to look at its current state.
    state: bool,
    /// Whether to read its columns, as loaded with this configuration.
    shape: Option<&'a LoadConfig>,
}

/// What was found out about the objects of a load.
#[derive(Default)]
struct Looks {
    /// One state per object, in their order.
    states: Vec<ObjectState>,
    /// Columns of files, by the ledger id of the current version.
    shapes: BTreeMap<String, Shape>,
}

impl<W: World> Round<'_, W> {
    /// Looks at every object and writes the manifest. The attempt uses the current configuration.
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

    /// Reads the ledger and the objects concurrently, then the columns if something is left to load: that query may wake the warehouse. All are
    /// read after the slot, so they hold until the slot's next write.
    async fn see(&self, held: Held<'_>, pendings: &[PendingLoad]) -> Result<Seen, Unseen> {
        let objects: Vec<&WaitingObject> = pendings.iter().flat_map(|pending| &pending.objects).collect();
        let ids: BTreeSet<String> = objects.iter().map(|waiting| waiting.object.id()).collect();
        let config = &held.load.source.recorded;
        let began = self.world.now();
        let (ledger, looks) =
            futures::join!(self.world.ledger(self.table, &ids, began), self.looks(&objects, held.load),);
        let (mut ledger, Looks { states, shapes }) = (ledger?, looks?);
        ledger.extend(self.ledger_of_newer(&objects, &states, &ids).await?);
        if let Some(before) = config.again_before_millis {
            let loaded = prepare::loaded(&ledger);
            if !loaded.is_empty() {
                let entered = self.world.entered(self.table, &loaded).await?;
                prepare::leave_out_older(&mut ledger, &entered, before);
            }
        }
        let seen = Seen { states, ledger, ..Seen::default() };
        if !prepare::is_any_left(pendings, &seen) {
            return Ok(seen);
        }
        let columns = self.columns(held.slot, config).await?;
        let (columns, Judged { misfits, fits }) = self.compare(config, columns, shapes, began).await?;
        Ok(Seen { columns, misfits, fits, ..seen })
    }

    /// Ledger marks of newer versions that were found under the objects' keys.
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

    /// One state per object, in their order; fewer if the time ended or a service was busy. What a listing shows as it was notified is not
    /// looked at, unless an earlier attempt has failed: a listing does not show whether an object can be read.
    async fn looks(&self, objects: &[&WaitingObject], load: &RunningLoad) -> Result<Looks, Unseen> {
        let until = self.look_until();
        let mut glances = glances(objects, load);
        if load.attempt == 1 {
            let files = glances.iter().filter(|glance| glance.state && glance.alone).map(|glance| glance.file);
            let unchanged = unchanged(self.world, files, until).await;
            for glance in &mut glances {
                glance.state &= !unchanged.contains(&place(glance.file));
            }
        }
        glances.retain(|glance| glance.state || glance.shape.is_some());
        let order: BTreeSet<Place> = glances.iter().map(|glance| place(glance.file)).collect();
        let (looked, stopped) = self.look_at(glances, until).await;
        let mut looks = Looks::default();
        let mut refused = BTreeSet::new();
        let mut refusal = None;
        for waiting in objects {
            let place = place(waiting);
            match looked.get(&place) {
                None if order.contains(&place) => break,
                None => looks.states.push(ObjectState::AsNotified),
                Some(Ok((state, shape))) => {
                    looks.states.push(state.clone());
                    let file = shape.as_ref().and(prepare::current(waiting, state));
                    looks.shapes.extend(file.zip(shape.clone()).map(|(file, shape)| (file.object.id(), shape)));
                }
                Some(Err(error)) => {
                    refused.insert(waiting.object.id());
                    refusal.get_or_insert_with(|| error.clone());
                }
            }
        }
        match (refusal, stopped) {
            (Some(error), _) => Err(Unseen::Refused { objects: refused, error }),
            (None, Some(error)) if looks.states.is_empty() => Err(Unseen::Port(error)),
            (None, _) => Ok(looks),
        }
    }

    fn look_until(&self) -> Millis {
        let remaining = (self.invocation.deadline - self.world.now()) / LOOK_PART;
        self.world.now() + remaining.min(LOOK_MILLIS_MAX)
    }

    /// Looks at places until the time ends or a service is busy; the error is then the service's.
    async fn look_at(
        &self,
        glances: Vec<Glance<'_>>,
        until: Millis,
    ) -> (BTreeMap<Place, PortResult<Looked>>, Option<PortError>) {
        let mut looks = stream::iter(glances)
            .map(|glance| async move { (place(glance.file), self.glance(glance).await) })
            .buffered(LOOKS_AT_ONCE);
        let mut shapes = Shapes::default();
        let mut looked = BTreeMap::new();
        while let Some((place, found)) = looks.next().await {
            match found {
                Err(error) if error.passes() => return (looked, Some(error)),
                found => looked.insert(place, found.map(|(state, shape)| (state, shape.map(|it| shapes.one_of(it))))),
            };
            if self.world.now() >= until {
                break;
            }
        }
        (looked, None)
    }

    /// The current state and, if files are compared, the columns. If the columns cannot be fetched, the file is left to COPY; but with
    /// `add_columns` that is an error, because by position its values could go into other columns.
    async fn glance(&self, glance: Glance<'_>) -> PortResult<(ObjectState, Option<ShapeRead>)> {
        let Glance { file, state, shape, .. } = glance;
        let WaitingObject { object, .. } = file;
        let state = if state { self.world.object(&object.bucket, &object.key).await? } else { ObjectState::AsNotified };
        let shape = match prepare::current(file, &state).zip(shape) {
            Some((file, config)) => match self.world.columns(&file, &config.options).await {
                Err(error) if config.schema_change == SchemaChange::AddColumns => return Err(error),
                read => Some(read.unwrap_or_else(|error| Err(error.to_string()))),
            },
            None => None,
        };
        Ok((state, shape))
    }

    /// The target's columns, if the SQL names them or files are compared with them: cached, or read now. If they are only needed for a
    /// comparison, an error means to do without it, except with `add_columns`.
    async fn columns(&self, slot: &Slot, config: &LoadConfig) -> PortResult<Option<KnownColumns>> {
        let needed = merge::needs_columns(config) || config.schema_change == SchemaChange::AddColumns;
        if !needed && !drift::is_compared(config) {
            return Ok(None);
        }
        let kept = slot.columns.clone().filter(|known| known.asked_millis + COLUMNS_MILLIS > self.world.now());
        if kept.is_some() {
            return Ok(kept);
        }
        match self.ask_columns(config).await {
            Err(_) if !needed => Ok(None),
            asked => asked.map(Some),
        }
    }

    pub(crate) async fn ask_columns(&self, config: &LoadConfig) -> PortResult<KnownColumns> {
        let asked_millis = self.world.now();
        let rows = self.world.query(config, &columns_query(&config.target.table)).await?;
        Ok(KnownColumns { columns: TargetColumns::from_rows(&rows), asked_millis })
    }
}

/// What to find out about each key of a load.
///
/// Versions of one key share one look: two looks could see two versions, and both would be listed. If keys are written once, only keys
/// that occur twice are looked at, because the promise does not hold for them.
fn glances<'a>(objects: &[&'a WaitingObject], load: &'a RunningLoad) -> Vec<Glance<'a>> {
    let config = &*load.source.recorded;
    let write_once = config.write_once && load.refreshes == 0;
    let shape = drift::is_compared(config).then_some(config);
    let mut n_versions: BTreeMap<Place, usize> = BTreeMap::new();
    for waiting in objects {
        *n_versions.entry(place(waiting)).or_default() += 1;
    }
    let mut wanted = BTreeSet::new();
    let files = objects.iter().filter(|waiting| wanted.insert(place(waiting)));
    let glance = |file: &&'a WaitingObject| {
        let alone = n_versions[&place(file)] == 1;
        Glance { file, alone, state: !write_once || !alone, shape }
    };
    files.map(glance).collect()
}

/// Why the load cannot be prepared.
#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error(transparent)]
    Port(#[from] PortError),
    /// The role has no permission to look at some or all of the objects.
    #[error("{error}")]
    Refused {
        /// Ids of these object versions.
        objects: BTreeSet<String>,
        /// The service's error about the first one.
        error: PortError,
    },
}
