//! The format of items in DynamoDB: attribute names and values as JSON, in both directions. The adapter turns JSON into attribute values.
//!
//! Wire structs are private to this module. What is read is checked once; the error about an invalid item names the item.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::item::{
    Audit, ConfigSource, History, Item, LedgerEntry, LedgerMark, Millis, PendingLoad, Quarantined, Recording, SortKey,
};
use super::listing::Listing;
use super::table_event;
use crate::config::LoadConfig;
use crate::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY, TTL_ATTRIBUTE, WORK_ATTRIBUTE};
use crate::ids::{DbTable, LoadId, StatementName, WaitingObject};
use crate::outcome::FailureClass;

mod listing;
mod objects;
mod slot;
#[cfg(test)]
mod tests;
mod units;

use listing::ListingWire;
use objects::{ObjectWire, Objects};
pub use slot::{SLOT_LOAD_ID, SLOT_VERSION};
pub use units::{WRITE_UNIT_BYTES, item_bytes};

/// An item that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "tracker item `{key}` of `{table}` cannot be read ({why}): it was not written by this version of the loader; see docs/runbook.md"
)]
pub struct UnreadableItem {
    /// Partition key.
    pub table: String,
    /// Sort key.
    pub key: String,
    /// What is wrong with the item.
    pub why: String,
}

/// The attributes of an item, including both keys.
pub fn encode(table: &DbTable, item: &Item) -> Map<String, Value> {
    let mut attributes = match item {
        Item::Slot(held) => slot::encode(held),
        Item::Pending(pending) => object(&PendingWire::from(pending)),
        Item::File(entry) => object(&FileWire::from(entry)),
        Item::Failed(quarantined) => object(&FailedWire::from(quarantined)),
        Item::Loaded(history) => object(&LoadedWire::from(history)),
        Item::Audit(audit) => object(&AuditWire::from(audit)),
        Item::Listing(listing) => object(&ListingWire::from(listing)),
    };
    attributes.insert(TRACKER_PARTITION_KEY.into(), json!(table.0));
    attributes.insert(TRACKER_SORT_KEY.into(), json!(item.key().0));
    if item.is_work() {
        attributes.insert(WORK_ATTRIBUTE.into(), json!(table.0));
    }
    if let Item::File(LedgerEntry { expires_at, .. })
    | Item::Loaded(History { expires_at, .. })
    | Item::Audit(Audit { expires_at, .. })
    | Item::Listing(Listing { given_up: Some(expires_at), .. }) = item
    {
        attributes.insert(TTL_ATTRIBUTE.into(), json!(expires_at));
    }
    if let Some(said) = table_event::of(item) {
        attributes.insert(table_event::ATTRIBUTE.into(), Value::Object(object(&said)));
    }
    attributes.retain(|_, value| !value.is_null());
    units::keep_if_free(&mut attributes, RECORDED_BY);
    attributes
}

/// Reads an item from its attributes.
pub fn decode(attributes: Map<String, Value>) -> Result<Item, UnreadableItem> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (table, key) = (text(TRACKER_PARTITION_KEY), text(TRACKER_SORT_KEY));
    let given_up = attributes.get(TTL_ATTRIBUTE).and_then(Value::as_i64);
    let expires_at = given_up.unwrap_or(0);
    let kind = key.split('#').next().unwrap_or_default().to_owned();
    let value = Value::Object(attributes);
    let sort_key = SortKey(key.clone());
    let item = match kind.as_str() {
        "RUNNING" => slot::decode(value).map(Item::Slot),
        "PENDING" => read::<PendingWire>(value).and_then(|wire| wire.into_item(sort_key)).map(Item::Pending),
        "FILE" => read::<FileWire>(value).and_then(|wire| wire.into_item(expires_at)).map(Item::File),
        "FAILED" => read::<FailedWire>(value).and_then(|wire| wire.into_item(sort_key)).map(Item::Failed),
        "LOADED" => read::<LoadedWire>(value).map(|wire| Item::Loaded(wire.into_item(sort_key, expires_at))),
        "AUDIT" => read::<AuditWire>(value).map(|wire| Item::Audit(wire.into_item(sort_key, expires_at))),
        "LISTING" => read::<ListingWire>(value).map(|wire| Item::Listing(wire.into_item(sort_key, given_up))),
        _ => {
            Err("its sort key is none of RUNNING, PENDING#…, FILE#…, FAILED#…, LOADED#…, AUDIT#…, LISTING#…".to_owned())
        }
    };
    item.map_err(|why| UnreadableItem { table, key, why })
}

fn object(wire: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(wire) {
        Ok(Value::Object(attributes)) => attributes,
        other => panic!("an item is an object of plain JSON: {other:?}"),
    }
}

fn read<T: for<'a> Deserialize<'a>>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[derive(Serialize, Deserialize)]
struct SourceWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    config: String,
}

impl From<&ConfigSource> for SourceWire {
    fn from(source: &ConfigSource) -> Self {
        Self { queue: source.queue.clone(), config: source.recorded.document.clone() }
    }
}

impl SourceWire {
    fn into_item(self) -> Result<ConfigSource, String> {
        let recorded = LoadConfig::parse(&self.config).map_err(|problems| format!("its configuration: {problems}"))?;
        Ok(ConfigSource { queue: self.queue, recorded })
    }
}

#[derive(Serialize, Deserialize)]
struct PendingWire {
    #[serde(flatten)]
    objects: Objects,
    source: SourceWire,
    recorded_millis: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_millis: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default)]
    not_before_millis: i64,
    #[serde(default)]
    set_aside: u32,
    #[serde(default)]
    entered: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded_by: Option<String>,
}

impl From<&PendingLoad> for PendingWire {
    fn from(pending: &PendingLoad) -> Self {
        Self {
            objects: Objects::pack(&pending.objects),
            source: SourceWire::from(&pending.source),
            recorded_millis: pending.recorded_millis,
            created_millis: pending.created_millis,
            group: pending.group.clone(),
            not_before_millis: pending.not_before_millis,
            set_aside: pending.set_aside,
            entered: pending.entered,
            recorded_by: pending.recorded_by.clone(),
        }
    }
}

impl PendingWire {
    fn into_item(self, key: SortKey) -> Result<PendingLoad, String> {
        Ok(PendingLoad {
            key,
            // Loader 0.1 entered objects in the ledger when it recorded them.
            entered: self.entered || self.objects.is_listed(),
            objects: self.objects.unpack()?,
            source: self.source.into_item()?,
            recorded_millis: self.recorded_millis,
            created_millis: self.created_millis,
            group: self.group,
            not_before_millis: self.not_before_millis,
            set_aside: self.set_aside,
            recorded_by: self.recorded_by,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct FileWire {
    object: ObjectWire,
    #[serde(rename = "accepted_millis")]
    entered_millis: i64,
    #[serde(flatten)]
    mark: MarkWire,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded_by: Option<(String, i64)>,
}

/// Nothing depends on this attribute, so it is stored only where it takes no write unit of its own.
const RECORDED_BY: &str = "recorded_by";

/// The mark of a ledger entry; an entry without `mark` was written by loader 0.1.
#[derive(Serialize, Deserialize)]
struct MarkWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load_id: Option<String>,
}

const LOADED: &str = "loaded";
const QUARANTINED: &str = "quarantined";

impl From<&LedgerMark> for MarkWire {
    fn from(mark: &LedgerMark) -> Self {
        match mark {
            LedgerMark::Accepted => Self { mark: None, load_id: None },
            LedgerMark::Loaded(load_id) => Self { mark: Some(LOADED.into()), load_id: Some(load_id.0.clone()) },
            LedgerMark::Quarantined => Self { mark: Some(QUARANTINED.into()), load_id: None },
        }
    }
}

impl MarkWire {
    fn into_item(self) -> Result<LedgerMark, String> {
        match self.mark.as_deref() {
            None => Ok(LedgerMark::Accepted),
            Some(LOADED) => Ok(LedgerMark::Loaded(LoadId(self.load_id.unwrap_or_default()))),
            Some(QUARANTINED) => Ok(LedgerMark::Quarantined),
            Some(mark) => Err(format!("mark `{mark}` is unknown")),
        }
    }
}

impl From<&LedgerEntry> for FileWire {
    fn from(entry: &LedgerEntry) -> Self {
        let waiting = WaitingObject { object: entry.object.clone(), size_bytes: 0 };
        Self {
            object: ObjectWire::from(&waiting),
            entered_millis: entry.entered_millis,
            mark: MarkWire::from(&entry.mark),
            recorded_by: entry.recorded.clone().map(|Recording { request_id, at_millis }| (request_id, at_millis)),
        }
    }
}

impl FileWire {
    fn into_item(self, expires_at: i64) -> Result<LedgerEntry, String> {
        Ok(LedgerEntry {
            object: self.object.into_item()?.object,
            mark: self.mark.into_item()?,
            entered_millis: self.entered_millis,
            recorded: self.recorded_by.map(|(request_id, at_millis)| Recording { request_id, at_millis }),
            expires_at,
        })
    }
}

/// The sort key and mark of a ledger entry of which only [`LEDGER_ATTRIBUTES`] were read. `None` if it has expired, because TTL deletes
/// items late.
pub fn decode_mark(attributes: &Map<String, Value>, now: Millis) -> Result<Option<(String, LedgerMark)>, String> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let expired =
        attributes.get(TTL_ATTRIBUTE).and_then(Value::as_i64).is_some_and(|seconds| seconds.saturating_mul(1000) < now);
    let id = text(TRACKER_SORT_KEY).and_then(|key| key.strip_prefix("FILE#")).ok_or("not a ledger entry")?;
    let wire = MarkWire { mark: text("mark").map(Into::into), load_id: text("load_id").map(Into::into) };
    Ok((!expired).then_some((id.to_owned(), wire.into_item()?)))
}

/// The sort key and time of a ledger entry of which only [`ENTERED_ATTRIBUTES`] were read.
pub fn decode_entered(attributes: &Map<String, Value>) -> Result<(String, Millis), String> {
    let key = attributes.get(TRACKER_SORT_KEY).and_then(Value::as_str);
    let id = key.and_then(|key| key.strip_prefix("FILE#")).ok_or("not a ledger entry")?;
    let entered = attributes.get(ENTERED).and_then(Value::as_i64).ok_or("a ledger entry without its time")?;
    Ok((id.to_owned(), entered))
}

/// When an object was entered. The attribute's name comes from loader 0.1.
const ENTERED: &str = "accepted_millis";
/// The attributes that [`decode_entered`] needs.
pub const ENTERED_ATTRIBUTES: [&str; 2] = [TRACKER_SORT_KEY, ENTERED];

/// The attributes that [`decode_mark`] needs.
pub const LEDGER_ATTRIBUTES: [&str; 4] = [TRACKER_SORT_KEY, TTL_ATTRIBUTE, "mark", "load_id"];

#[derive(Serialize, Deserialize)]
struct FailedWire {
    #[serde(flatten)]
    objects: Objects,
    source: SourceWire,
    class: String,
    error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statement_id: Option<String>,
    remedy: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_misfit: bool,
}

impl From<&Quarantined> for FailedWire {
    fn from(quarantined: &Quarantined) -> Self {
        Self {
            objects: Objects::pack(&quarantined.objects),
            source: SourceWire::from(&quarantined.source),
            class: quarantined.class.name().into(),
            error: quarantined.error.clone(),
            statement_id: quarantined.statement_id.clone(),
            remedy: quarantined.remedy.clone(),
            is_misfit: quarantined.is_misfit,
        }
    }
}

impl FailedWire {
    fn into_item(self, key: SortKey) -> Result<Quarantined, String> {
        Ok(Quarantined {
            key,
            objects: self.objects.unpack()?,
            source: self.source.into_item()?,
            class: FailureClass::parse(&self.class).ok_or_else(|| format!("class `{}` is unknown", self.class))?,
            error: self.error,
            statement_id: self.statement_id,
            remedy: self.remedy,
            is_misfit: self.is_misfit,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct LoadedWire {
    load_id: String,
    #[serde(default)]
    number: u64,
    statement_id: String,
    statement_name: String,
    manifest: String,
    n_objects: u64,
    size_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<i64>,
    #[serde(default)]
    arrival_millis: i64,
    queue_wait_millis: i64,
    load_millis: i64,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    added_columns: Vec<(String, String)>,
}

impl From<&History> for LoadedWire {
    fn from(history: &History) -> Self {
        Self {
            load_id: history.load_id.0.clone(),
            number: history.number,
            statement_id: history.statement_id.clone(),
            statement_name: history.statement_name.as_ref().map(ToString::to_string).unwrap_or_default(),
            manifest: history.manifest.clone(),
            n_objects: history.n_objects,
            size_bytes: history.size_bytes,
            rows: history.rows,
            arrival_millis: history.arrival_millis,
            queue_wait_millis: history.queue_wait_millis,
            load_millis: history.load_millis,
            attempts: history.attempts,
            added_columns: slot::pairs(&history.added),
        }
    }
}

impl LoadedWire {
    fn into_item(self, key: SortKey, expires_at: i64) -> History {
        History {
            key,
            load_id: LoadId(self.load_id),
            number: self.number,
            statement_id: self.statement_id,
            statement_name: StatementName::parse(&self.statement_name),
            manifest: self.manifest,
            n_objects: self.n_objects,
            size_bytes: self.size_bytes,
            rows: self.rows,
            arrival_millis: self.arrival_millis,
            queue_wait_millis: self.queue_wait_millis,
            load_millis: self.load_millis,
            attempts: self.attempts,
            added: slot::added(self.added_columns),
            expires_at,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct AuditWire {
    by: String,
    command: String,
    what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl From<&Audit> for AuditWire {
    fn from(audit: &Audit) -> Self {
        let Audit { by, command, what, why, .. } = audit.clone();
        Self { by, command, what, why }
    }
}

impl AuditWire {
    fn into_item(self, key: SortKey, expires_at: i64) -> Audit {
        Audit { key, by: self.by, command: self.command, what: self.what, why: self.why, expires_at }
    }
}
