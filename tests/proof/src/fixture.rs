//! What every check needs: a target table with its configuration, periods that fit a few ticks, objects by short names.

use std::sync::{Arc, LazyLock};

use loader_core::config::LoadConfig;
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
/// The manifest folder.
pub const MANIFEST_ROOT: &str = "s3://manifests/m/";
/// One tick: every period of [`ticking`] fits into it.
pub const TICK_MILLIS: Millis = 60_000;
/// One hour.
pub const HOUR_MILLIS: Millis = 3_600_000;
/// The first instant; not 0, so that a skewed clock stays positive.
pub const START_MILLIS: Millis = 1_700_000_000_000;

/// Configuration of a table; its files are compared with it only where `more` says so.
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

/// A microbatch configuration source.
pub fn source(queue: &str, config: &Arc<LoadConfig>) -> ConfigSource {
    ConfigSource { queue: Some(queue.to_owned()), recorded: config.clone() }
}

/// Periods of at most one tick.
pub fn ticking() -> Timing {
    Timing {
        patience_millis: TICK_MILLIS,
        poll_millis: TICK_MILLIS,
        backoff_base_millis: TICK_MILLIS,
        backoff_cap_millis: TICK_MILLIS,
        ..Timing::default()
    }
}

/// Position of the model's table that is merged, and with which files are compared; files are appended to the others.
pub const MERGED: usize = 2;
/// Position of the model's table whose files wait for one another.
pub const AGED: usize = 3;
/// Position of the model's table that is merged, and gets the columns that its files have.
pub const GROWING: usize = 4;
/// For how long they do.
pub const AGE_MILLIS: Millis = 90_000;

/// The configurations of the model's tables.
pub static CONFIGS: LazyLock<[Arc<LoadConfig>; 5]> = LazyLock::new(|| {
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
    ]
});

/// Configuration of the table whose files wait for so long.
pub fn aged(millis: Millis) -> Arc<LoadConfig> {
    config("w", &json!({"load": {"age_seconds": millis / 1000}}))
}

/// Columns of the model's tables at first.
pub const COLUMNS: [&str; 2] = ["id", "at"];

/// Their partition keys.
pub static TABLES: LazyLock<[DbTable; 5]> = LazyLock::new(|| CONFIGS.each_ref().map(|config| config.db_table()));

/// Name of a table's queue.
pub fn queue(table: usize) -> String {
    format!("q{table}")
}

/// What is under a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blob {
    /// Which content it is.
    pub etag: String,
    /// Its size; two versions of a key never have the same, so that COPY sees that a file changed (as it does for
    /// columnar formats).
    pub size_bytes: u64,
    /// Whether COPY stumbles over it.
    pub bad: bool,
    /// Whether its columns tell that before.
    pub misfit: bool,
    /// Names of its columns, where its footer tells them.
    pub names: &'static [&'static str],
    /// Whether the bucket tells versions by id.
    pub versioned: bool,
}

impl Blob {
    /// The object version that it is under this key.
    pub fn version(&self, key: &str) -> ObjectVersion {
        let version = self.version_id().map_or_else(|| Version::ETag(self.etag.clone()), Version::Id);
        ObjectVersion { bucket: BUCKET.into(), key: key.into(), version }
    }

    /// Its version id, in a versioned bucket.
    pub fn version_id(&self) -> Option<String> {
        self.versioned.then(|| format!("v-{}", self.etag))
    }

    /// What its footer tells: of a misfit one column that no table has.
    pub fn columns(&self) -> Result<Vec<FileColumn>, String> {
        let names = if self.bad && self.misfit { &["surplus"] } else { self.names };
        let column =
            |name: &&str| FileColumn { name: (*name).to_owned(), physical: Physical::Int64, meaning: Meaning::Plain };
        if names.is_empty() { Err("nothing is told".to_owned()) } else { Ok(names.iter().map(column).collect()) }
    }

    /// As a look at it tells.
    pub fn state(&self) -> ObjectState {
        ObjectState::Found { version_id: self.version_id(), etag: Some(self.etag.clone()), size_bytes: self.size_bytes }
    }

    /// As a notification tells of it.
    pub fn waiting(&self, key: &str) -> WaitingObject {
        WaitingObject { object: self.version(key), size_bytes: self.size_bytes }
    }
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
