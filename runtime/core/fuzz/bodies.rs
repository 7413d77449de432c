//! Properties that must hold for every external text. cargo-fuzz runs them for as long as one likes; the tests run them briefly.

use std::collections::BTreeSet;
use std::sync::Arc;

use loader_core::config::{LoadConfig, LoadMode};
use loader_core::fit::Fit;
use loader_core::ident::Ident;
use loader_core::ids::{StatementName, WaitingObject};
use loader_core::limits::{ITEM_BYTES_MAX, SQL_BYTES_MAX};
use loader_core::sql::columns::TargetColumns;
use loader_core::sql::merge::{self, LoadSql};
use loader_core::statement_event::Trigger;
use loader_core::tracker::enqueue;
use loader_core::tracker::item::{ConfigSource, Item};
use loader_core::tracker::wire;
use loader_core::tracker::write::WriteAction;
use loader_core::{bulk_request, s3_event, statement_event};
use serde_json::Value;

/// The body of an SQS message: the objects in it can be recorded and read back.
pub fn s3_notification(text: &str) {
    let Ok(notification) = s3_event::parse(text) else { return };
    assert!(notification.objects.iter().all(|waiting| !waiting.object.key.is_empty() && waiting.size_bytes > 0));
    let config = LoadConfig::parse(
        r#"{"copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "c", "db_name": "d"}}"#,
    );
    can_be_recorded(&notification.objects, &config.expect("a good configuration"));
}

/// A queue's configuration: an accepted one produces SQL, and is stored in the tracker without loss.
pub fn configuration(text: &str) {
    let Ok(config) = LoadConfig::parse(text) else { return };
    makes_sql(&config);
    let object = r#"{"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": "a", "size": 1, "eTag": "e"}}}]}"#;
    can_be_recorded(&s3_event::parse(object).expect("a good notification").objects, &config);
}

/// The payload of `NextLoader`: an accepted statement name is one that the loader could have given.
pub fn status_change(text: &str) {
    let Ok(payload) = serde_json::from_str(text) else { return };
    if let Trigger::StatementEnded { name, .. } = statement_event::parse(&payload) {
        assert_eq!(StatementName::parse(&name.to_string()), Some(name));
    }
}

/// The payload of `BulkLoader`: a prefix ends at the end of a folder's name.
pub fn bulk_request(text: &str) {
    let Ok(payload) = serde_json::from_str(text) else { return };
    for path in bulk_request::parse(&payload).unwrap_or_default() {
        assert!(path.folder.prefix.is_empty() || path.folder.prefix.ends_with('/'), "{path:?}");
        makes_sql(&path.config);
    }
}

/// Attributes of a tracker item: what is read is written back unchanged.
pub fn tracker_item(text: &str) {
    let Ok(Value::Object(attributes)) = serde_json::from_str(text) else { return };
    let Some(table) = attributes.get("db_table").and_then(Value::as_str).map(str::to_owned) else { return };
    let mark = wire::decode_mark(&attributes, 0);
    if let Ok(item) = wire::decode(attributes) {
        if let Item::File(entry) = &item {
            assert!(mark.is_ok_and(|mark| mark.is_none_or(|(_, mark)| mark == entry.mark)));
        }
        let again = wire::decode(wire::encode(&loader_core::ids::DbTable(table), &item));
        assert_eq!(again.as_ref(), Ok(&item));
    }
}

fn can_be_recorded(objects: &[WaitingObject], config: &Arc<LoadConfig>) {
    let mut seen = BTreeSet::new();
    let distinct: Vec<WaitingObject> =
        objects.iter().filter(|waiting| seen.insert(waiting.object.id())).cloned().collect();
    let source = ConfigSource { queue: Some("q".to_owned()), recorded: config.clone() };
    let mut recorded = Vec::new();
    for pending in enqueue::pendings(distinct.clone(), &source, 1_000) {
        recorded.extend(pending.objects.iter().cloned());
        let transaction = enqueue::record(pending);
        let [WriteAction::Put(item, _)] = transaction.actions.as_slice() else { panic!("one plain write") };
        let attributes = wire::encode(&transaction.table, item);
        let bytes = Value::Object(attributes.clone()).to_string().len();
        assert!(bytes <= ITEM_BYTES_MAX || distinct.len() == 1, "{bytes} bytes");
        assert_eq!(wire::decode(attributes).as_ref(), Ok(&**item));
    }
    assert_eq!(recorded, distinct);
}

fn makes_sql(config: &LoadConfig) {
    for columns in [TargetColumns::Named(config.columns.clone()), from_catalog(config)] {
        let load = LoadSql {
            config,
            columns: &columns,
            fit: &Fit::default(),
            manifest: "s3://m/a.json",
            load_id: "l",
            statement_name: "p/t/l/1",
        };
        if let Ok(statements) = merge::statements(&load) {
            assert!(statements.iter().map(String::len).sum::<usize>() <= SQL_BYTES_MAX);
        }
    }
}

/// A target with the columns that the configuration names.
fn from_catalog(config: &LoadConfig) -> TargetColumns {
    let merged = match &config.mode {
        LoadMode::Append => Vec::new(),
        LoadMode::Replace { keys, timestamp, .. } | LoadMode::Versions { keys, timestamp } => {
            keys.iter().chain([timestamp]).collect()
        }
    };
    let names: BTreeSet<_> = config.columns.iter().chain(merged).collect();
    let row = |name: &Ident| {
        [name.as_str(), "", "timestamp without time zone", "NO"].map(|cell| Some(cell.to_owned())).to_vec()
    };
    TargetColumns::from_rows(&names.into_iter().map(row).collect::<Vec<_>>())
}
