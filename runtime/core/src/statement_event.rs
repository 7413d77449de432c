//! What `NextLoader` receives: a statement's status change, the sweep, or an operator's request to reconcile a table now.
//!
//! A status change is only a hint and never decides the outcome. It is read leniently, because versions of its schema have differed
//! (management guide, "Monitoring events for the Data API"). Only the statement name is needed to find the table.

use serde_json::Value;

use crate::contract::{RECONCILE_FIELD, STATEMENT_EVENT_SOURCE, SWEEP_FIELD};
use crate::ids::{DbTable, StatementName};

/// Why `NextLoader` was invoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An event says that one of our statements has ended.
    StatementEnded {
        /// The statement's name, which contains the table.
        name: StatementName,
        /// The statement's id, if the event has one.
        statement_id: Option<String>,
    },
    /// Reconcile every table with work.
    Sweep,
    /// Reconcile this table.
    Asked(DbTable),
    /// Not for this loader.
    NotOurs {
        /// What it is instead.
        why: String,
    },
}

/// Reads a payload. Never fails: a payload that is not understood is [`Trigger::NotOurs`].
pub fn parse(payload: &Value) -> Trigger {
    if payload.get(SWEEP_FIELD).and_then(Value::as_bool) == Some(true)
        || payload.get("detail-type").and_then(Value::as_str) == Some("Scheduled Event")
    {
        return Trigger::Sweep;
    }
    if let Some(table) = payload.get(RECONCILE_FIELD).and_then(Value::as_str) {
        return Trigger::Asked(DbTable(table.to_owned()));
    }
    let source = payload.get("source").and_then(Value::as_str).unwrap_or_default();
    if source != STATEMENT_EVENT_SOURCE {
        return Trigger::NotOurs { why: format!("source `{source}` is neither a Data API status change nor a sweep") };
    }
    let detail = payload.get("detail").unwrap_or(&Value::Null);
    let text = |field: &str| detail.get(field).and_then(Value::as_str);
    match text("statementName").and_then(StatementName::parse) {
        // The id of a sub-statement ends in `:N`; the loader asks for its batch.
        Some(name) => Trigger::StatementEnded {
            name,
            statement_id: text("statementId").map(|id| id.split(':').next().unwrap_or(id).to_owned()),
        },
        None => Trigger::NotOurs {
            why: format!("statement name `{}` was not given by this loader", text("statementName").unwrap_or_default()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NAME: &str = "dev/cluster:c:dev:public.t/0123456789abcdef0123456789abcdef/2";

    #[test]
    fn a_batch_event_without_query_id() {
        let event = json!({"source": "aws.redshift-data", "detail-type": "Redshift Data Statement Status Change",
            "detail": {"statementName": NAME, "statementId": "97b3c928-1e4c-4c7a-adac-51a509923491", "state": "FINISHED", "rows": -1}});
        let Trigger::StatementEnded { name, statement_id } = parse(&event) else { panic!() };
        assert_eq!(name.to_string(), NAME);
        assert_eq!(statement_id.as_deref(), Some("97b3c928-1e4c-4c7a-adac-51a509923491"));
    }

    #[test]
    fn a_sub_statement_leads_to_its_batch() {
        let event = json!({"source": "aws.redshift-data", "detail": {"statementName": NAME, "statementId": "a:2"}});
        let Trigger::StatementEnded { statement_id, .. } = parse(&event) else { panic!() };
        assert_eq!(statement_id.as_deref(), Some("a"));
    }

    #[test]
    fn the_sweep() {
        assert_eq!(parse(&json!({"sweep": true})), Trigger::Sweep);
        assert_eq!(parse(&json!({"detail-type": "Scheduled Event"})), Trigger::Sweep);
    }

    #[test]
    fn an_operator_names_a_table() {
        let table = "cluster:c:dev:public.t";
        assert_eq!(parse(&json!({"reconcile": table})), Trigger::Asked(DbTable(table.to_owned())));
        assert!(matches!(parse(&json!({"reconcile": 1})), Trigger::NotOurs { .. }));
    }

    #[test]
    fn the_statement_of_another_client_is_not_ours() {
        for event in [
            json!({}),
            json!(null),
            json!([1]),
            json!({"source": "aws.redshift-data", "detail": {"statementName": "dev/x"}}),
        ] {
            assert!(matches!(parse(&event), Trigger::NotOurs { .. }), "{event}");
        }
    }
}
