//! The slot's item. Loader 0.1 wrote it only while a load was running, with the load's attributes beside the version. That format can still
//! be read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{SourceWire, object, read};
use crate::fit::{AddedColumn, Fit};
use crate::ident::Ident;
use crate::ids::{LoadId, StatementName};
use crate::outcome::FailureClass;
use crate::sql::columns::TargetColumns;
use crate::tracker::item::SortKey;
use crate::tracker::slot::{KnownColumns, Pause, Prepared, RunningLoad, Slot, Step};

/// Attribute with the slot's version, which conditional writes check.
pub const SLOT_VERSION: &str = "version";
/// Attribute with the id of the running load.
pub const SLOT_LOAD_ID: &str = "load_id";
/// Attribute that only loader 0.1 wrote.
const STEP_OF_0_1: &str = "step";

#[derive(Serialize, Deserialize)]
struct SlotWire {
    version: u64,
    number: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    requested: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns_asked_millis: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause: Option<PauseWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    searched: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load: Option<LoadWire>,
}

#[derive(Serialize, Deserialize)]
struct PauseWire {
    by: String,
    since_millis: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The item as loader 0.1 wrote it.
#[derive(Deserialize)]
struct SlotOf01 {
    load_id: String,
    version: u64,
    #[serde(flatten)]
    load: LoadWire,
}

#[derive(Serialize, Deserialize)]
struct LoadWire {
    holder: String,
    touched_millis: i64,
    claimed_millis: i64,
    recorded_millis: i64,
    attempt: u32,
    failures: u32,
    #[serde(default)]
    refreshes: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    awaits_operator: bool,
    pending_keys: Vec<String>,
    source: SourceWire,
    step: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prepared: Option<PreparedWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statement_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submitted_millis: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled_millis: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before_millis: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PreparedWire {
    manifest: String,
    n_objects: u64,
    size_bytes: u64,
    /// Names of the target's columns, as loader 0.1 wrote them.
    #[serde(default, skip_serializing)]
    columns: Value,
    /// The column list of the COPY.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    file_columns: Vec<String>,
    /// Name and type of each added column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    added_columns: Vec<(String, String)>,
    statement_name: String,
    prepared_millis: i64,
    not_before_millis: i64,
    refusals: u32,
    uncertain: bool,
}

pub(super) fn encode(slot: &Slot) -> Map<String, Value> {
    object(&SlotWire {
        version: slot.version,
        number: slot.number,
        requested: slot.requested,
        columns: slot.columns.as_ref().map(|known| known.columns.to_json().to_string()),
        columns_asked_millis: slot.columns.as_ref().map(|known| known.asked_millis),
        pause: slot.pause.as_ref().map(PauseWire::from),
        searched: slot.searched.as_ref().map(|key| key.0.clone()),
        load_id: slot.load.as_ref().map(|load| load.load_id.0.clone()),
        load: slot.load.as_ref().map(LoadWire::from),
    })
}

pub(super) fn decode(value: Value) -> Result<Slot, String> {
    if value.get(STEP_OF_0_1).is_some() {
        return read::<SlotOf01>(value)?.into_slot();
    }
    let wire: SlotWire = read(value)?;
    let load = match (wire.load, wire.load_id) {
        (Some(load), Some(load_id)) => Some(load.into_item(load_id)?),
        (None, None) => None,
        _ => return Err("it has a load without an id, or an id without a load".to_owned()),
    };
    let columns = |text: String| {
        let json = serde_json::from_str(&text).ok();
        json.as_ref().and_then(TargetColumns::from_json).ok_or_else(|| "its columns cannot be read".to_owned())
    };
    Ok(Slot {
        version: wire.version,
        number: wire.number,
        requested: wire.requested,
        columns: wire
            .columns
            .map(columns)
            .transpose()?
            .map(|columns| KnownColumns { columns, asked_millis: wire.columns_asked_millis.unwrap_or(0) }),
        pause: wire.pause.map(PauseWire::into_item),
        searched: wire.searched.map(SortKey),
        load,
    })
}

impl SlotOf01 {
    /// The columns become the slot's, but as if read long ago: they determine the SQL of this attempt only.
    fn into_slot(self) -> Result<Slot, String> {
        let names = self.load.prepared.as_ref().map(|prepared| prepared.columns.clone());
        let columns = names.as_ref().and_then(TargetColumns::from_json);
        Ok(Slot {
            version: self.version,
            number: 0,
            requested: false,
            columns: columns.map(|columns| KnownColumns { columns, asked_millis: 0 }),
            pause: None,
            searched: None,
            load: Some(self.load.into_item(self.load_id)?),
        })
    }
}

impl From<&Pause> for PauseWire {
    fn from(pause: &Pause) -> Self {
        Self { by: pause.by.clone(), since_millis: pause.since_millis, reason: pause.reason.clone() }
    }
}

impl PauseWire {
    fn into_item(self) -> Pause {
        Pause { by: self.by, since_millis: self.since_millis, reason: self.reason }
    }
}

impl From<&RunningLoad> for LoadWire {
    fn from(load: &RunningLoad) -> Self {
        let mut wire = Self {
            holder: load.holder.clone(),
            touched_millis: load.touched_millis,
            claimed_millis: load.claimed_millis,
            recorded_millis: load.recorded_millis,
            attempt: load.attempt,
            failures: load.failures,
            refreshes: load.refreshes,
            awaits_operator: load.awaits_operator,
            pending_keys: load.pending_keys.iter().map(|key| key.0.clone()).collect(),
            source: SourceWire::from(&load.source),
            step: String::new(),
            prepared: load.prepared().map(PreparedWire::from),
            statement_id: load.statement_id().map(ToOwned::to_owned),
            submitted_millis: None,
            cancelled_millis: None,
            not_before_millis: None,
            class: None,
            reason: None,
        };
        let step = match &load.step {
            Step::Claimed => "claimed",
            Step::Waiting { not_before_millis, class, reason } => {
                wire.not_before_millis = Some(*not_before_millis);
                wire.class = Some(class.name().into());
                wire.reason = Some(reason.clone());
                "waiting"
            }
            Step::Prepared(_) => "prepared",
            Step::Submitted { submitted_millis, cancelled_millis, .. } => {
                wire.submitted_millis = Some(*submitted_millis);
                wire.cancelled_millis = *cancelled_millis;
                "submitted"
            }
            Step::GivenUp { .. } => "given_up",
        };
        Self { step: step.to_owned(), ..wire }
    }
}

impl LoadWire {
    fn into_item(self, load_id: String) -> Result<RunningLoad, String> {
        let prepared = self.prepared.map(PreparedWire::into_item).transpose()?;
        let step = match (self.step.as_str(), prepared, self.statement_id) {
            ("claimed", _, _) => Step::Claimed,
            ("waiting", _, _) => Step::Waiting {
                not_before_millis: self.not_before_millis.unwrap_or(0),
                class: self.class.as_deref().and_then(FailureClass::parse).unwrap_or(FailureClass::Unexplained),
                reason: self.reason.unwrap_or_default(),
            },
            ("prepared", Some(prepared), _) => Step::Prepared(prepared),
            ("submitted", Some(prepared), Some(statement_id)) => Step::Submitted {
                prepared,
                statement_id,
                submitted_millis: self.submitted_millis.unwrap_or(0),
                cancelled_millis: self.cancelled_millis,
            },
            ("given_up", _, statement_id) => Step::GivenUp { statement_id },
            (step, _, _) => return Err(format!("step `{step}` is unknown or incomplete")),
        };
        Ok(RunningLoad {
            load_id: LoadId(load_id),
            holder: self.holder,
            touched_millis: self.touched_millis,
            claimed_millis: self.claimed_millis,
            recorded_millis: self.recorded_millis,
            attempt: self.attempt,
            failures: self.failures,
            refreshes: self.refreshes,
            awaits_operator: self.awaits_operator,
            pending_keys: self.pending_keys.into_iter().map(SortKey).collect(),
            source: self.source.into_item()?,
            step,
        })
    }
}

impl From<&Prepared> for PreparedWire {
    fn from(prepared: &Prepared) -> Self {
        Self {
            manifest: prepared.manifest.clone(),
            n_objects: prepared.n_objects,
            size_bytes: prepared.size_bytes,
            columns: Value::Null,
            file_columns: prepared.fit.columns.iter().map(|name| name.as_str().to_owned()).collect(),
            added_columns: pairs(&prepared.fit.added),
            statement_name: prepared.statement_name.to_string(),
            prepared_millis: prepared.prepared_millis,
            not_before_millis: prepared.not_before_millis,
            refusals: prepared.refusals,
            uncertain: prepared.uncertain,
        }
    }
}

impl PreparedWire {
    fn into_item(self) -> Result<Prepared, String> {
        let statement_name = StatementName::parse(&self.statement_name)
            .ok_or_else(|| format!("statement name `{}` is not ours", self.statement_name))?;
        let fit = Fit {
            columns: self.file_columns.into_iter().map(Ident::exact).collect(),
            added: added(self.added_columns),
        };
        Ok(Prepared {
            manifest: self.manifest,
            n_objects: self.n_objects,
            size_bytes: self.size_bytes,
            fit,
            statement_name,
            prepared_millis: self.prepared_millis,
            not_before_millis: self.not_before_millis,
            refusals: self.refusals,
            uncertain: self.uncertain,
        })
    }
}

/// Name and type of each added column.
pub(super) fn pairs(added: &[AddedColumn]) -> Vec<(String, String)> {
    added.iter().map(|column| (column.name.as_str().to_owned(), column.kind.clone())).collect()
}

pub(super) fn added(pairs: Vec<(String, String)>) -> Vec<AddedColumn> {
    pairs.into_iter().map(|(name, kind)| AddedColumn { name: Ident::exact(name), kind }).collect()
}
