//! The slot's item: a running load, with what its step needs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{SourceWire, object};
use crate::ids::LoadId;
use crate::outcome::FailureClass;
use crate::sql::columns::TargetColumns;
use crate::tracker::item::{Prepared, RunningLoad, SortKey, Step};

#[derive(Serialize, Deserialize)]
struct PreparedWire {
    manifest: String,
    n_objects: u64,
    size_bytes: u64,
    columns: Value,
    statement_name: String,
    prepared_millis: i64,
    not_before_millis: i64,
    refusals: u32,
    uncertain: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RunningWire {
    load_id: String,
    version: u64,
    holder: String,
    touched_millis: i64,
    claimed_millis: i64,
    recorded_millis: i64,
    attempt: u32,
    failures: u32,
    #[serde(default)]
    refreshes: u32,
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
    not_before_millis: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn encode(running: &RunningLoad) -> Map<String, Value> {
    let mut wire = RunningWire {
        load_id: running.load_id.0.clone(),
        version: running.version,
        holder: running.holder.clone(),
        touched_millis: running.touched_millis,
        claimed_millis: running.claimed_millis,
        recorded_millis: running.recorded_millis,
        attempt: running.attempt,
        failures: running.failures,
        refreshes: running.refreshes,
        pending_keys: running.pending_keys.iter().map(|key| key.0.clone()).collect(),
        source: SourceWire::from(&running.source),
        step: String::new(),
        prepared: None,
        statement_id: None,
        submitted_millis: None,
        not_before_millis: None,
        class: None,
        reason: None,
    };
    match &running.step {
        Step::Claimed => wire.step = "claimed".into(),
        Step::Waiting { not_before_millis, class, reason } => {
            wire.step = "waiting".into();
            wire.not_before_millis = Some(*not_before_millis);
            wire.class = Some(class.name().into());
            wire.reason = Some(reason.clone());
        }
        Step::Prepared(prepared) => {
            wire.step = "prepared".into();
            wire.prepared = Some(PreparedWire::from(prepared));
        }
        Step::Submitted { prepared, statement_id, submitted_millis } => {
            wire.step = "submitted".into();
            wire.prepared = Some(PreparedWire::from(prepared));
            wire.statement_id = Some(statement_id.clone());
            wire.submitted_millis = Some(*submitted_millis);
        }
    }
    object(&wire)
}

impl RunningWire {
    pub(super) fn into_item(self) -> Result<RunningLoad, String> {
        let prepared = self.prepared.map(PreparedWire::into_item).transpose()?;
        let step = match (self.step.as_str(), prepared, self.statement_id) {
            ("claimed", _, _) => Step::Claimed,
            ("waiting", _, _) => Step::Waiting {
                not_before_millis: self.not_before_millis.unwrap_or(0),
                class: self.class.as_deref().and_then(FailureClass::parse).unwrap_or(FailureClass::Unexplained),
                reason: self.reason.unwrap_or_default(),
            },
            ("prepared", Some(prepared), _) => Step::Prepared(prepared),
            ("submitted", Some(prepared), Some(statement_id)) => {
                Step::Submitted { prepared, statement_id, submitted_millis: self.submitted_millis.unwrap_or(0) }
            }
            (step, _, _) => return Err(format!("step `{step}` is unknown or incomplete")),
        };
        Ok(RunningLoad {
            load_id: LoadId(self.load_id),
            version: self.version,
            holder: self.holder,
            touched_millis: self.touched_millis,
            claimed_millis: self.claimed_millis,
            recorded_millis: self.recorded_millis,
            attempt: self.attempt,
            failures: self.failures,
            refreshes: self.refreshes,
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
            columns: prepared.columns.to_json(),
            statement_name: prepared.statement_name.clone(),
            prepared_millis: prepared.prepared_millis,
            not_before_millis: prepared.not_before_millis,
            refusals: prepared.refusals,
            uncertain: prepared.uncertain,
        }
    }
}

impl PreparedWire {
    fn into_item(self) -> Result<Prepared, String> {
        let columns = TargetColumns::from_json(&self.columns);
        Ok(Prepared {
            manifest: self.manifest,
            n_objects: self.n_objects,
            size_bytes: self.size_bytes,
            columns: columns
                .ok_or_else(|| format!("columns `{}` are neither names nor the catalog's", self.columns))?,
            statement_name: self.statement_name,
            prepared_millis: self.prepared_millis,
            not_before_millis: self.not_before_millis,
            refusals: self.refusals,
            uncertain: self.uncertain,
        })
    }
}
