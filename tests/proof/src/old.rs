//! Items as loader 0.1 wrote them, which this version must read and continue from.
//!
//! They are built as DynamoDB attributes and decoded with `wire`, as in an update.

use loader_core::ids::{DbTable, LoadId, ObjectVersion, StatementName, Version, WaitingObject};
use loader_core::manifest::Manifest;
use loader_core::tracker::item::{ConfigSource, Item, Millis, SortKey};
use loader_core::tracker::wire;
use serde_json::{Map, Value, json};

use crate::fixture::MANIFEST_ROOT;

/// Holder of the loads that loader 0.1 runs.
pub const HOLDER: &str = "old";

/// The step of a load of loader 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OldStep {
    /// The slot is taken.
    Claimed,
    /// An attempt failed.
    Waiting,
    /// The manifest is written.
    Prepared,
    /// The statement with this number in the warehouse is submitted.
    Submitted(usize),
}

impl OldStep {
    const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Waiting => "waiting",
            Self::Prepared => "prepared",
            Self::Submitted(_) => "submitted",
        }
    }
}

/// A load of loader 0.1.
#[derive(Clone, Debug)]
pub struct OldLoad {
    /// The table.
    pub table: DbTable,
    /// Its configuration source.
    pub source: ConfigSource,
    /// The keys of its pending loads.
    pub keys: Vec<SortKey>,
    /// Its statement, and the URL of its manifest.
    pub prepared: Option<(StatementName, String)>,
    /// The time of everything in it.
    pub at: Millis,
}

impl OldLoad {
    /// Creates a load of these pending loads.
    pub fn new(source: &ConfigSource, keys: Vec<SortKey>, at: Millis) -> Self {
        Self { table: source.recorded.db_table(), source: source.clone(), keys, prepared: None, at }
    }

    /// The load id. It contains version 0, which no other load in the proofs has.
    pub fn load_id(&self) -> LoadId {
        LoadId::of_pendings(&self.table, 0, self.keys.iter().map(|key| key.0.as_str()))
    }

    /// URL and content of the manifest.
    pub fn manifest<'a>(&self, objects: impl Iterator<Item = &'a WaitingObject>) -> (String, String) {
        let manifest = Manifest::new(&self.load_id(), &objects.collect::<Vec<_>>());
        (format!("{MANIFEST_ROOT}{}", manifest.key), manifest.content)
    }

    /// The slot at this step.
    pub fn slot(&self, step: OldStep) -> Item {
        let mut attributes = json!({
            "load_id": self.load_id().0, "version": 2, "holder": HOLDER, "touched_millis": self.at,
            "claimed_millis": self.at, "recorded_millis": self.at, "attempt": 1,
            "failures": u8::from(step == OldStep::Waiting),
            "pending_keys": self.keys.iter().map(|key| key.0.as_str()).collect::<Vec<_>>(),
            "source": source(&self.source), "step": step.name(), "work": self.table.0,
        });
        if let Some((name, manifest)) = &self.prepared {
            attributes["prepared"] = json!({
                "manifest": manifest, "n_objects": 1, "size_bytes": 1, "columns": ["id", "at"], "statement_name": name.to_string(),
                "prepared_millis": self.at, "not_before_millis": 0, "refusals": 0, "uncertain": false,
            });
        }
        match step {
            OldStep::Submitted(number) => {
                attributes["statement_id"] = json!(format!("s{number}"));
                attributes["submitted_millis"] = json!(self.at);
            }
            OldStep::Waiting => {
                attributes["not_before_millis"] = json!(self.at);
                attributes["class"] = json!("retry_now");
                attributes["reason"] = json!("connection lost");
            }
            OldStep::Claimed | OldStep::Prepared => {}
        }
        item(&self.table, &SortKey::slot(), attributes)
    }
}

/// A pending load of these objects.
pub fn pending(source_of: &ConfigSource, objects: &[WaitingObject], at: Millis) -> Item {
    let table = source_of.recorded.db_table();
    let key = SortKey::pending(at, &LoadId::of_objects(&table, objects.iter().map(|waiting| &waiting.object)));
    let objects: Vec<Value> = objects.iter().map(|waiting| object(&waiting.object, waiting.size_bytes)).collect();
    let attributes = json!({"objects": objects, "source": source(source_of), "recorded_millis": at,
        "not_before_millis": 0, "set_aside": 0, "work": table.0});
    item(&table, &key, attributes)
}

/// The ledger entry of an accepted object.
pub fn accepted(table: &DbTable, version: &ObjectVersion, at: Millis) -> Item {
    let attributes = json!({"object": object(version, 0), "accepted_millis": at, "expires_at": at / 1000 + 5_529_600});
    item(table, &SortKey::file(version), attributes)
}

fn source(source: &ConfigSource) -> Value {
    json!({"queue": source.queue, "config": source.recorded.document})
}

fn object(object: &ObjectVersion, size_bytes: u64) -> Value {
    let mut value = json!({"bucket": object.bucket, "key": object.key, "size": size_bytes});
    match &object.version {
        Version::Id(id) => value["version_id"] = json!(id),
        Version::ETag(etag) => value["etag"] = json!(etag),
    }
    value
}

fn item(table: &DbTable, key: &SortKey, mut attributes: Value) -> Item {
    attributes["db_table"] = json!(table.0);
    attributes["status_timestamp"] = json!(key.0);
    let attributes: Map<String, Value> = attributes.as_object().cloned().unwrap_or_default();
    wire::decode(attributes).unwrap_or_else(|error| panic!("an item of loader 0.1: {error}"))
}
