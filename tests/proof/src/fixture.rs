//! Shared by all proofs: target tables with their configurations, periods of a few ticks, and objects.

use std::sync::{Arc, LazyLock};

use loader_core::config::LoadConfig;
use loader_core::contract::{STATEMENT_EVENT_DETAIL_TYPE, STATEMENT_EVENT_SOURCE};
use loader_core::ids::{DbTable, ObjectVersion, Version, WaitingObject};
use loader_core::parquet::{FileColumn, Meaning, Physical};
use loader_core::settings::Timing;
use loader_core::tracker::item::{ConfigSource, Item, Millis};
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::slot::Slot;
use loader_core::tracker::write::{Transaction, WriteAction};
use serde_json::{Value, json};

/// The bucket of all objects.
pub const BUCKET: &str = "files";
/// The folder of the manifests.
pub const MANIFEST_ROOT: &str = "s3://manifests/m/";
/// One tick: every period of [`ticking`] fits into it.
pub const TICK_MILLIS: Millis = 60_000;
/// One hour.
pub const HOUR_MILLIS: Millis = 3_600_000;
/// The first instant. It is not 0, so that a skewed clock stays positive.
pub const START_MILLIS: Millis = 1_700_000_000_000;

/// The configuration of a table. Columns of its files are compared only if `more` sets `on_schema_change`.
pub fn config(table: &str, more: &Value) -> Arc<LoadConfig> {
    let mut value = json!({
        "copy": {"role_arn": "default", "table_name": table},
        "cluster": {"identifier": "c", "db_name": "d"}
    });
    for (name, part) in more.as_object().into_iter().flatten() {
        value[name] = part.clone();
    }
    if value["options"]["on_schema_change"].is_null() {
        value["options"]["on_schema_change"] = json!("ignore");
    }
    LoadConfig::from_value(&value).unwrap_or_else(|problems| panic!("fixture: {problems}"))
}

/// The configuration source of a queue.
pub fn source(queue: &str, config: &Arc<LoadConfig>) -> ConfigSource {
    ConfigSource { queue: Some(queue.to_owned()), recorded: config.clone() }
}

/// Timing with periods of at most one tick.
pub fn ticking() -> Timing {
    Timing {
        patience_millis: TICK_MILLIS,
        poll_millis: TICK_MILLIS,
        backoff_base_millis: TICK_MILLIS,
        backoff_cap_millis: TICK_MILLIS,
        ..Timing::default()
    }
}

/// Index of the model's table that is merged, and whose files are compared with its columns. [`TABLES`] without a constant are appended to.
pub const MERGED: usize = 2;
/// Index of the model's table whose files wait for an age.
pub const AGED: usize = 3;
/// Index of the model's table that is merged, and to which the new columns of files are added.
pub const GROWING: usize = 4;
/// The age of the table [`AGED`].
pub const AGE_MILLIS: Millis = 90_000;
/// Position of the model's table whose files wait for the instant of their warehouse.
pub const SHARED: usize = 5;
/// The instant for which they wait: of a promise of 300 seconds there is one every two minutes, and the name `c` shifts them all.
pub const SHARED_MILLIS: Millis = START_MILLIS + 115_203;
/// Position of the model's table of the same warehouse whose loads start at once, so that the others ride along.
pub const AHEAD: usize = 6;
/// Positions of the model's tables whose warehouse sleeps at first, and of the one among them whose loads start at once.
pub const NIGHT: usize = 7;
/// See [`NIGHT`].
pub const NIGHT_AHEAD: usize = 8;
/// When it wakes: 22:15 UTC. The first instant is 22:13:20.
pub const MORNING_MILLIS: Millis = START_MILLIS + 100_000;
/// Positions of the model's tables whose warehouse runs one load at a time; the files of the last one wait for two minutes.
pub const ADMITTED: [usize; 3] = [9, 10, 11];
/// Position of the model's table whose loads take one file.
pub const SINGLE: usize = 12;

/// Position of the model's table whose statements are cancelled when they have run for this long.
pub const TIMED: usize = 13;
/// See [`TIMED`].
pub const TIMEOUT_MILLIS: Millis = TICK_MILLIS;

/// The configurations of the model's tables.
pub static CONFIGS: LazyLock<[Arc<LoadConfig>; 14]> = LazyLock::new(|| {
    let merge = |policy: &str| {
        json!({"options": {
            "merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at", "on_schema_change": policy
        }})
    };
    let append = || json!({});
    [
        config("t", &append()),
        config("u", &append()),
        config("m", &merge("fail")),
        aged(AGE_MILLIS),
        config("g", &merge("add_columns")),
        config("s", &json!({"warehouse": {"name": "c", "freshness_seconds": 300}})),
        config("a", &json!({"warehouse": {"name": "c", "freshness_seconds": 300}, "load": {"age_seconds": 0}})),
        asleep("n", "22:15", &json!({})),
        asleep("na", "22:15", &json!({"load": {"age_seconds": 0}})),
        config("x", &json!({"warehouse": {"name": "c", "concurrent_loads_max": 1}})),
        config("y", &json!({"warehouse": {"name": "c", "concurrent_loads_max": 1}})),
        config("z", &json!({"warehouse": {"name": "c", "freshness_seconds": 300, "concurrent_loads_max": 1}})),
        config("o", &json!({"load": {"files_max": 1}})),
        config("l", &json!({"load": {"timeout_minutes": TIMEOUT_MILLIS / TICK_MILLIS}})),
    ]
});

/// Configuration of a table whose warehouse sleeps from 22:00 to then.
pub fn asleep(table: &str, to: &str, more: &Value) -> Arc<LoadConfig> {
    let mut more = more.clone();
    let window = json!({"from": "22:00", "to": to, "freshness_seconds": null});
    more["warehouse"] = json!({"name": "c", "freshness_seconds": 300, "windows": [window]});
    config(table, &more)
}

/// The configuration of the table [`AGED`] with this age.
pub fn aged(millis: Millis) -> Arc<LoadConfig> {
    config("w", &json!({"load": {"age_seconds": millis / 1000}}))
}

/// The initial columns of the model's tables.
pub const COLUMNS: [&str; 2] = ["id", "at"];

/// The partition keys of the model's tables.
pub static TABLES: LazyLock<[DbTable; 14]> = LazyLock::new(|| CONFIGS.each_ref().map(|config| config.db_table()));

/// Name of a table's queue.
pub fn queue(table: usize) -> String {
    format!("q{table}")
}

/// An object's content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blob {
    /// eTag, which identifies the content.
    pub etag: String,
    /// Size. Two versions of a key never have the same size, so that COPY notices that a file has changed, as it does for columnar formats.
    pub size_bytes: u64,
    /// Whether COPY cannot load it.
    pub bad: bool,
    /// Whether its columns show that.
    pub misfit: bool,
    /// Names of its columns; empty if they are not known.
    pub names: &'static [&'static str],
    /// Whether the bucket has versioning.
    pub versioned: bool,
}

impl Blob {
    /// The object version under this key.
    pub fn version(&self, key: &str) -> ObjectVersion {
        let version = self.version_id().map_or_else(|| Version::ETag(self.etag.clone()), Version::Id);
        ObjectVersion { bucket: BUCKET.into(), key: key.into(), version }
    }

    /// The version id, in a bucket with versioning.
    pub fn version_id(&self) -> Option<String> {
        self.versioned.then(|| format!("v-{}", self.etag))
    }

    /// The columns in its footer. A misfit has one column that no table has.
    pub fn columns(&self) -> Result<Vec<FileColumn>, String> {
        let names = if self.bad && self.misfit { &["surplus"] } else { self.names };
        let column =
            |name: &&str| FileColumn { name: (*name).to_owned(), physical: Physical::Int64, meaning: Meaning::Plain };
        if names.is_empty() {
            Err("the columns are not known".to_owned())
        } else {
            Ok(names.iter().map(column).collect())
        }
    }

    /// The result of a look at it.
    pub fn state(&self) -> ObjectState {
        ObjectState::Found { version_id: self.version_id(), etag: Some(self.etag.clone()), size_bytes: self.size_bytes }
    }

    /// The waiting object of its notification.
    pub fn waiting(&self, key: &str) -> WaitingObject {
        WaitingObject { object: self.version(key), size_bytes: self.size_bytes }
    }
}

/// The event of an ended statement, as `EventBridge` delivers it.
pub fn status_change(name: &str, statement_id: &str, state: &str) -> Value {
    json!({
        "source": STATEMENT_EVENT_SOURCE, "detail-type": STATEMENT_EVENT_DETAIL_TYPE,
        "detail": {"statementName": name, "statementId": statement_id, "state": state}
    })
}

/// The slot that a transaction writes.
pub fn slot_put(transaction: &Transaction) -> Option<&Slot> {
    transaction.actions.iter().find_map(|action| match action {
        WriteAction::Put(item, _) => match &**item {
            Item::Slot(slot) => Some(slot),
            Item::Pending(_)
            | Item::File(_)
            | Item::Failed(_)
            | Item::Loaded(_)
            | Item::Audit(_)
            | Item::Listing(_) => None,
        },
        WriteAction::Delete(..) | WriteAction::Check(..) => None,
    })
}
