//! Table events: facts about a table for others, published on the account's event bus if the stack is deployed with events.
//!
//! The loader does not send them. An item that states such a fact repeats it in one attribute, and a pipe reads that attribute from the
//! stream of the tracker table. All fields are text and always present, because a pipe copies fields and can neither convert, compute nor
//! omit them. Only committed facts are published.

use serde::Serialize;

use super::item::{History, Item, Quarantined};
use super::slot::{RunningLoad, Slot, Step};
use crate::outcome::{self, FailureClass};

/// `source` of the events.
pub const SOURCE: &str = "redshift-loader";
/// `detail-type` of the events. There is only one, because a pipe cannot choose it from the content.
pub const DETAIL_TYPE: &str = "Redshift Loader Table Event";
/// Attribute of the items that contains the event.
pub const ATTRIBUTE: &str = "event";
/// `class` of an event about a table that an operator has paused.
pub const PAUSED_BY_OPERATOR: &str = "paused";
/// Fields of the attribute. The event also has the table and an id.
pub const FIELDS: [&str; 8] = ["kind", "load_id", "files", "bytes", "rows", "freshness_millis", "class", "reason"];
/// Maximum length of a reason in characters. Our own limit, to keep items and events small; the tracker has the whole reason.
const REASON_CHARACTERS_MAX: usize = 1000;

/// What kind of fact an event states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The rows of a load are committed.
    Loaded,
    /// Files were put into quarantine.
    Quarantined,
    /// Files were put into quarantine because their columns are not the table's.
    Drift,
    /// No load of the table starts until a person does something.
    Paused,
}

/// What an item says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Said {
    /// What happened.
    pub kind: Kind,
    /// The load; empty if there is none.
    pub load_id: String,
    /// Number of files, in digits; empty for `paused`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9]*$")))]
    pub files: String,
    /// Size of the files in bytes, in digits; empty for `paused`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9]*$")))]
    pub bytes: String,
    /// Number of rows, in digits; empty if the service does not report it, or if nothing was loaded.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9]*$")))]
    pub rows: String,
    /// Milliseconds from the recording of the oldest file to the settlement, in digits; empty if nothing was loaded.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^-?[0-9]*$")))]
    pub freshness_millis: String,
    /// Failure class of the files or of the last attempt; `paused` if an operator paused the table; empty for `loaded`.
    pub class: String,
    /// Why, without values of rows, at most 1,000 characters; empty for `loaded`. `cargo xtask status` shows the full text.
    pub reason: String,
}

/// The event that an item states, if any. A slot states it as long as it applies; the pipe publishes only the write with which it begins.
pub fn of(item: &Item) -> Option<Said> {
    match item {
        Item::Loaded(history) => Some(loaded(history)),
        Item::Failed(quarantined) => Some(quarantine(quarantined)),
        Item::Slot(slot) => paused(slot),
        Item::Pending(_) | Item::File(_) | Item::Audit(_) | Item::Listing(_) => None,
    }
}

fn loaded(history: &History) -> Said {
    Said {
        load_id: history.load_id.0.clone(),
        files: history.n_objects.to_string(),
        bytes: history.size_bytes.to_string(),
        rows: history.rows.map(|rows| rows.to_string()).unwrap_or_default(),
        freshness_millis: (history.queue_wait_millis.saturating_add(history.load_millis)).to_string(),
        ..said(Kind::Loaded, "", String::new())
    }
}

fn quarantine(quarantined: &Quarantined) -> Said {
    let Quarantined { objects, class, error, is_misfit, .. } = quarantined;
    // The loader's own texts about columns contain no values of rows.
    let (kind, reason) =
        if *is_misfit { (Kind::Drift, error.clone()) } else { (Kind::Quarantined, outcome::without_values(error)) };
    let bytes: u64 = objects.iter().map(|waiting| waiting.size_bytes).fold(0, u64::saturating_add);
    Said { files: objects.len().to_string(), bytes: bytes.to_string(), ..said(kind, class.name(), reason) }
}

fn paused(slot: &Slot) -> Option<Said> {
    let load = slot.load.as_ref();
    let load_id = load.map(|load| load.load_id.0.clone()).unwrap_or_default();
    if let Some(pause) = &slot.pause {
        let why = pause.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        return Some(Said { load_id, ..said(Kind::Paused, PAUSED_BY_OPERATOR, format!("{}{why}", pause.by)) });
    }
    let load = load.filter(|load| load.awaits_operator)?;
    Some(Said { load_id, ..said(Kind::Paused, FailureClass::OperatorsTurn.name(), words(load)) })
}

fn words(load: &RunningLoad) -> String {
    match &load.step {
        Step::Waiting { reason, .. } => outcome::without_values(reason),
        Step::Claimed | Step::Prepared(_) | Step::Submitted { .. } | Step::GivenUp { .. } => String::new(),
    }
}

fn said(kind: Kind, class: &str, reason: String) -> Said {
    let reason = match reason.char_indices().nth(REASON_CHARACTERS_MAX) {
        Some((end, _)) => reason[..end].to_owned(),
        None => reason,
    };
    let nothing = String::new;
    Said {
        kind,
        load_id: nothing(),
        files: nothing(),
        bytes: nothing(),
        rows: nothing(),
        freshness_millis: nothing(),
        class: class.to_owned(),
        reason,
    }
}

/// The JSON Schema of the events, as a rule's target receives them.
#[cfg(feature = "schema")]
pub fn schema() -> serde_json::Value {
    let mut schema = crate::schema::draft07::<published::TableEvent>();
    schema["properties"]["source"]["const"] = SOURCE.into();
    schema["properties"]["detail-type"]["const"] = DETAIL_TYPE.into();
    schema
}

#[cfg(feature = "schema")]
mod published {
    use schemars::JsonSchema;

    use super::Said;

    /// An event of the loader. `EventBridge` adds its own fields: `id`, `time`, `account`, `region` and others.
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    pub(super) struct TableEvent {
        /// Source of the event.
        source: String,
        /// Type of the event in `EventBridge`.
        #[schemars(rename = "detail-type")]
        detail_type: String,
        /// What happened.
        detail: Detail,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Detail {
        /// Identifies the fact: every delivery of it has the same id.
        #[schemars(length(min = 1))]
        id: String,
        /// Table, as in `status` and `history`: `cluster:analytics:dev:shop.sales`.
        #[schemars(length(min = 1))]
        table: String,
        #[schemars(flatten)]
        said: Said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::slot::Pause;

    #[test]
    fn every_field_is_always_present() {
        let value = serde_json::to_value(said(Kind::Paused, "", String::new())).unwrap();
        let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, FIELDS);
        assert!(value.as_object().unwrap().values().all(serde_json::Value::is_string));
    }

    #[test]
    fn a_reason_is_truncated_between_characters() {
        let cut = said(Kind::Drift, "", "ü".repeat(REASON_CHARACTERS_MAX + 1));
        assert_eq!(cut.reason, "ü".repeat(REASON_CHARACTERS_MAX));
    }

    #[test]
    fn a_slot_states_an_event_only_while_a_person_must_act() {
        assert_eq!(of(&Item::Slot(Slot::default())), None);
        let pause = Pause { by: "ada".into(), since_millis: 0, reason: Some("rebuild".into()) };
        let said = of(&Item::Slot(Slot { pause: Some(pause), ..Slot::default() })).unwrap();
        assert_eq!((said.kind, said.class.as_str()), (Kind::Paused, PAUSED_BY_OPERATOR));
        assert_eq!(said.reason, "ada: rebuild");
    }
}
