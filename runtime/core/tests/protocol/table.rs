//! One table's items in memory, and the steps of an invocation that works on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::drift::Misfit;
use loader_core::fit::Fit;
use loader_core::ids::{DbTable, ObjectVersion, Version, WaitingObject};
use loader_core::settings::Timing;
use loader_core::tracker::change::{Change, Committed, Note};
use loader_core::tracker::choose::{Choice, choose};
use loader_core::tracker::decide::{Action, Context, decide};
use loader_core::tracker::enqueue;
use loader_core::tracker::invariant::violations;
use loader_core::tracker::item::{ConfigSource, Item, LedgerEntry, LedgerMark, PendingLoad, Quarantined, SortKey};
use loader_core::tracker::prepare::{self, ObjectState, Seen};
use loader_core::tracker::settle::{self, StatementStatus, SubmitOutcome};
use loader_core::tracker::slot::{Held, KnownColumns, Prepared, RunningLoad, Slot, Step};
use loader_core::tracker::view::{TableState, View};
use loader_core::tracker::write::{Items, Written, apply, slot_of};
use serde_json::{Value, json};

pub const HOUR: i64 = 3_600_000;

pub struct Table {
    pub items: Items,
    pub config: Arc<LoadConfig>,
    pub timing: Timing,
    pub now: i64,
    /// The target's columns in the catalog.
    pub columns: Option<KnownColumns>,
    /// Files whose columns do not match the target's, by ledger id.
    pub misfits: BTreeMap<String, Misfit>,
    pub fits: BTreeMap<String, Fit>,
}

impl Table {
    pub fn new() -> Self {
        Self::with(json!({}))
    }

    /// A table with these additional fields in its configuration.
    pub fn with(fields: Value) -> Self {
        let mut document =
            json!({"copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "c", "db_name": "d"}});
        let Value::Object(fields) = fields else { panic!("{fields}") };
        document.as_object_mut().unwrap().extend(fields);
        let config = LoadConfig::from_value(&document).unwrap();
        let (columns, misfits, fits) = (None, BTreeMap::new(), BTreeMap::new());
        Self { items: Items::new(), config, timing: Timing::default(), now: 1_000_000, columns, misfits, fits }
    }

    pub fn name(&self) -> DbTable {
        self.config.db_table()
    }

    pub fn source(&self) -> ConfigSource {
        ConfigSource { queue: None, recorded: self.config.clone() }
    }

    pub fn context(&self) -> Context<'_> {
        Context {
            now: self.now,
            holder: "me",
            timing: &self.timing,
            prefix: Some("dev"),
            ended: None,
            awake: false,
            sweeps: false,
        }
    }

    pub fn record(&mut self, keys: &[&str]) -> Written {
        self.record_objects(keys.iter().map(|key| object(key, "1")).collect())
    }

    pub fn record_objects(&mut self, objects: Vec<WaitingObject>) -> Written {
        let mut written = Written::Done;
        for pending in enqueue::pendings(objects, &self.source(), self.now) {
            written = apply(&mut self.items, &enqueue::record(pending));
        }
        self.now += 1;
        written
    }

    /// Records objects that had entered the ledger with this mark.
    pub fn record_entered(&mut self, keys: &[&str], mark: &LedgerMark) {
        let objects: Vec<WaitingObject> = keys.iter().map(|key| object(key, "1")).collect();
        for waiting in &objects {
            self.know(&waiting.object, mark.clone());
        }
        for pending in enqueue::pendings(objects, &self.source(), self.now) {
            self.items.insert(pending.key.clone(), Item::Pending(PendingLoad { entered: true, ..pending }));
        }
        self.now += 1;
    }

    /// Writes a ledger entry.
    pub fn know(&mut self, object: &ObjectVersion, mark: LedgerMark) {
        let entry = LedgerEntry {
            object: object.clone(),
            mark,
            entered_millis: self.now,
            expires_at: i64::MAX / 1000,
            recorded: None,
        };
        self.items.insert(SortKey::file(object), Item::File(entry));
    }

    /// The ledger mark of an object.
    pub fn mark(&self, object: &ObjectVersion) -> Option<LedgerMark> {
        match self.items.get(&SortKey::file(object)) {
            Some(Item::File(entry)) => Some(entry.mark.clone()),
            _ => None,
        }
    }

    /// When each object was entered in the ledger.
    fn entered(&self) -> BTreeMap<String, i64> {
        let entry = |item: &Item| if let Item::File(entry) = item { Some(entry.clone()) } else { None };
        self.items.values().filter_map(entry).map(|entry| (entry.object.id(), entry.entered_millis)).collect()
    }

    pub fn slot(&self) -> Slot {
        slot_of(&self.items)
    }

    pub fn load(&self) -> RunningLoad {
        self.slot().load.expect("a load that holds the slot")
    }

    pub fn prepared(&self) -> Prepared {
        match self.load().step {
            Step::Prepared(prepared) => prepared,
            step => panic!("{step:?}"),
        }
    }

    pub fn backlog(&self) -> Vec<PendingLoad> {
        let pending = |item: &Item| if let Item::Pending(pending) = item { Some(pending.clone()) } else { None };
        self.items.values().filter_map(pending).collect()
    }

    pub fn quarantine(&self) -> Vec<Quarantined> {
        let failed = |item: &Item| if let Item::Failed(failed) = item { Some(failed.clone()) } else { None };
        self.items.values().filter_map(failed).collect()
    }

    pub fn n_loaded(&self) -> usize {
        self.items.values().filter(|item| matches!(item, Item::Loaded(_))).count()
    }

    pub fn waiting_keys(&self) -> BTreeSet<String> {
        keys(&self.backlog()).into_iter().collect()
    }

    pub fn view(&self) -> View {
        View::read(TableState { slot: self.slot(), backlog: self.backlog(), complete: true })
    }

    /// The pending loads of the running load.
    pub fn own(&self) -> Vec<PendingLoad> {
        self.view().pendings(&self.load().pending_keys).expect("its pending loads are there")
    }

    /// Writes a change as an invocation does, with its ledger entries first. The resulting view must equal what is read.
    pub fn apply(&mut self, change: &Change) -> Written {
        for entry in &change.entries {
            self.items.insert(SortKey::file(&entry.object), Item::File(entry.clone()));
        }
        let view = self.view();
        let written = apply(&mut self.items, &change.transaction);
        assert_eq!(violations(&self.items), Vec::<String>::new());
        if written == Written::Done {
            assert_eq!(view.after(change).state, self.view().state, "a view after a change");
        }
        written
    }

    pub fn done(&mut self, change: &Change) {
        assert_eq!(self.apply(change), Written::Done);
    }

    /// What an invocation sees before it prepares: the ledger marks of the objects, and of newer versions under their keys.
    pub fn see(&self, pendings: &[PendingLoad], states: Vec<ObjectState>) -> Seen {
        let objects: Vec<&WaitingObject> = pendings.iter().flat_map(|pending| &pending.objects).collect();
        let newer = objects.iter().zip(&states).filter_map(|(waiting, state)| prepare::newer(waiting, state));
        let all = objects.iter().map(|waiting| waiting.object.clone()).chain(newer);
        let mut ledger = all.filter_map(|object| Some((object.id(), self.mark(&object)?))).collect();
        if let Some(before) = self.config.again_before_millis {
            prepare::leave_out_older(&mut ledger, &self.entered(), before);
        }
        Seen { states, ledger, columns: self.columns.clone(), misfits: self.misfits.clone(), fits: self.fits.clone() }
    }

    /// The load to prepare, with its pending loads. If it takes the slot first, it has already done so.
    pub fn begin(&mut self) -> (RunningLoad, Vec<PendingLoad>) {
        loop {
            let view = self.view();
            let change = match decide(&self.name(), &view, &self.context()) {
                Action::Look { load, pendings } => return (*load, pendings.expect("the whole backlog is known")),
                Action::Write(change) => change,
                action => panic!("nothing to look at: {action:?}"),
            };
            self.done(&change);
        }
    }

    /// The change that follows from what an invocation sees, and the text of the manifest.
    pub fn plan(&mut self, states: Vec<ObjectState>) -> (Change, Option<String>) {
        let (load, pendings) = self.begin();
        let seen = self.see(&pendings, states);
        let plan = prepare::plan(&self.slot(), &load, &pendings, &seen, "s3://m/", &self.context());
        (plan.change, plan.manifest.map(|manifest| manifest.content))
    }

    /// Prepares a load whose objects have these states.
    pub fn prepare(&mut self, states: Vec<ObjectState>) -> Note {
        let (change, _) = self.plan(states);
        self.done(&change);
        change.note
    }

    /// Prepares a load whose objects are as they were recorded.
    pub fn prepare_all(&mut self) -> Note {
        let (_, pendings) = self.begin();
        let states = pendings.iter().flat_map(|pending| &pending.objects).map(as_recorded).collect();
        self.prepare(states)
    }

    pub fn submit(&mut self) {
        let outcome = SubmitOutcome::Done { statement_id: "s".into() };
        let slot = self.slot();
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let change = settle::after_submit(held, &self.prepared(), outcome, &self.context());
        self.done(&change);
    }

    /// Runs a load from waiting to submitted, with every object as it was recorded.
    pub fn run(&mut self) {
        self.prepare_all();
        self.submit();
    }

    /// Ends the statement without success.
    pub fn end(&mut self, status: StatementStatus) {
        let slot = self.slot();
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let change = settle::after_status(held, &self.own(), status, &self.context()).unwrap();
        self.done(&change);
    }

    pub fn fail(&mut self, error: &str) {
        self.end(StatementStatus::Failed { error: error.into() });
    }

    /// The change that settles the finished load. The next load takes the slot if it may.
    pub fn settling(&self) -> Change {
        let (view, slot) = (self.view(), self.slot());
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let next = choose(&self.name(), &view, &self.context()).ok().and_then(Choice::load);
        settle::finished(held, &self.own(), committed(), next.as_ref(), &self.context())
    }

    /// Settles the finished load and leaves the slot free.
    pub fn finish_alone(&mut self) {
        let slot = self.slot();
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let change = settle::finished(held, &self.own(), committed(), None, &self.context());
        self.done(&change);
    }

    pub fn finish(&mut self) -> Note {
        let change = self.settling();
        self.done(&change);
        change.note
    }

    /// Loads everything; `error` gives the warehouse's error for a load with these keys. Returns how often each key was loaded, and the
    /// number of statements.
    pub fn drain(&mut self, error: impl Fn(&BTreeSet<String>) -> Option<String>) -> (BTreeMap<String, usize>, usize) {
        let (mut loaded, mut statements) = (BTreeMap::new(), 0);
        while !self.backlog().is_empty() {
            self.now += HOUR;
            self.prepare_all();
            if self.slot().load.is_none() {
                continue;
            }
            self.submit();
            statements += 1;
            let own = keys(&self.own());
            if let Some(error) = error(&own.iter().cloned().collect()) {
                self.fail(&error);
            } else {
                self.finish();
                for key in own {
                    *loaded.entry(key).or_default() += 1;
                }
            }
        }
        (loaded, statements)
    }
}

/// Object keys of pending loads, in order.
pub fn keys(pendings: &[PendingLoad]) -> Vec<String> {
    pendings.iter().flat_map(|pending| &pending.objects).map(|waiting| waiting.object.key.clone()).collect()
}

pub fn object(key: &str, etag: &str) -> WaitingObject {
    let version = Version::ETag(etag.into());
    WaitingObject { object: ObjectVersion { bucket: "b".into(), key: key.into(), version }, size_bytes: 1 }
}

pub fn found(etag: &str) -> ObjectState {
    ObjectState::Found { version_id: None, etag: Some(etag.into()), size_bytes: 1 }
}

fn as_recorded(waiting: &WaitingObject) -> ObjectState {
    match &waiting.object.version {
        Version::ETag(etag) => found(etag),
        Version::Id(_) => ObjectState::AsNotified,
    }
}

/// This many keys, from `f0`.
pub fn many(n_keys: usize) -> Vec<String> {
    (0..n_keys).map(|number| format!("f{number}")).collect()
}

pub fn refs(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

pub fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// As the service says it of a load of one row.
fn committed() -> Committed {
    Committed { rows: Some(1), ..Committed::default() }
}
