//! The JSON Schemas of queues' files, of warehouses' files and of table events, so that an editor completes and checks files. They are
//! generated from the types that read and write them.

use std::path::PathBuf;

use serde_json::Value;
use synth::workspace;

/// The schemas, each with the path of its committed file.
fn schemas() -> [(PathBuf, Value); 3] {
    [
        (workspace::queues().join("schema/queue.schema.json"), loader_core::config::schema()),
        (workspace::warehouses().join("schema/warehouse.schema.json"), loader_core::pace::schema()),
        (workspace::root().join("docs/schema/event.schema.json"), loader_core::tracker::table_event::schema()),
    ]
}

/// Writes the committed files.
pub fn write() -> std::io::Result<()> {
    for (path, schema) in schemas() {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text(&schema))?;
    }
    Ok(())
}

/// The content of a committed file.
fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use loader_core::config::{LoadConfig, schema};
    use serde_json::{Map, json};

    fn example() -> Value {
        json!({
            "$schema": "schema/queue.schema.json", "source": "s3://bucket/sales/",
            "copy": {"options": "CSV", "role_arn": "arn:aws:iam::123456789012:role/copy", "table_name": "shop.sales"},
            "cluster": {"identifier": "analytics", "db_name": "dev"},
            "options": {"merge_duplicate_pks": true, "merge_pk": ["id"], "merge_timestamp": "at"},
            "load": {"files_max": 10, "age_seconds": 60}
        })
    }

    #[test]
    fn the_committed_schema_is_this_one() {
        for (path, schema) in schemas() {
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(committed, text(&schema), "run `cargo xtask synth` and commit {}", path.display());
        }
    }

    /// The parser refuses unknown fields, so every field of the schema is tried on it.
    #[test]
    fn the_parser_accepts_every_field_of_the_schema() {
        let schema = schema();
        let mut document = Map::new();
        for (name, property) in schema["properties"].as_object().unwrap() {
            let fields = property["properties"].as_object();
            let value = fields.map_or(json!("s3://bucket/x/"), |fields| {
                fields.keys().map(|key| (key.clone(), Value::Null)).collect()
            });
            document.insert(name.clone(), value);
        }
        assert!(document["load"]["files_max"].is_null(), "the parts have their fields: {document:?}");
        let problems = LoadConfig::from_value(&Value::Object(document)).unwrap_err().to_string();
        assert!(!problems.contains("unknown field"), "{problems}");
    }

    #[test]
    fn every_field_is_described() {
        let schema = schema();
        for (name, property) in schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{name}");
            for (field, property) in property["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{name}.{field}");
            }
        }
    }

    #[test]
    fn every_queue_of_the_clone_is_valid() {
        let schema = jsonschema::validator_for(&schema()).unwrap();
        let queues = synth::queues::read(&workspace::queues()).unwrap();
        assert!(!queues.is_empty());
        for queue in queues {
            let document: Value = serde_json::from_str(&queue.text).unwrap();
            let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", queue.name);
        }
    }

    /// Sets the value at `part.field`, or removes the field.
    fn changed(field: &str, value: Option<Value>) -> Value {
        let mut document = example();
        let (object, name) = match field.split_once('.') {
            Some((part, name)) => (&mut document[part], name),
            None => (&mut document, field),
        };
        let object = object.as_object_mut().unwrap();
        match value {
            Some(value) => object.insert(name.to_owned(), value),
            None => object.shift_remove(name),
        };
        document
    }

    #[test]
    fn schema_and_parser_refuse_the_same() {
        let wrong = [
            ("copy", None),
            ("cluster", None),
            ("copy.table_name", None),
            ("copy.table_name", Some(json!(""))),
            ("copy.role_arn", None),
            ("copy.columns", Some(json!("a, b"))),
            ("cluster.db_name", None),
            ("cluster.identifier", None),
            ("cluster.identifier", Some(json!(""))),
            ("cluster.workgroup", Some(json!("wg"))),
            ("options.merge_pks", Some(json!("id"))),
            ("options.merge_pk", Some(json!(1))),
            ("options.merge_pk", Some(json!([]))),
            ("options.merge_pk", Some(json!(["id", "id"]))),
            ("options.merge_duplicate_pks", Some(json!("yes"))),
            ("options.merge_window_days", Some(json!(0))),
            ("options.merge_window_days", Some(json!(36_501))),
            ("options.delete_marker", Some(json!({"column": "op"}))),
            ("options.delete_marker", Some(json!({"column": "op", "value": ""}))),
            ("options.delete_marker", Some(json!({"column": "op", "value": "D", "keep_days": 0}))),
            ("options.delete_marker", Some(json!({"column": "op", "value": "D", "days": 7}))),
            ("options.lock", Some(json!("yes"))),
            ("options.on_schema_change", Some(json!("later"))),
            ("load.files_max", Some(json!(0))),
            ("load.bytes_max", Some(json!(-1))),
            ("load.age_seconds", Some(json!(86_401))),
            ("load.alarm_after_seconds", Some(json!(59))),
            ("load.alarm_after_seconds", Some(json!(604_801))),
            ("load.paused", Some(json!(1))),
            ("load.write_once", Some(json!("yes"))),
            ("load.timeout_minutes", Some(json!(0))),
            ("load.timeout_minutes", Some(json!(1441))),
            ("warehouse", Some(json!(7))),
            ("warehouse", Some(json!({"freshness": 900}))),
            ("warehouse", Some(json!({"concurrent_loads_max": 0}))),
            ("warehouse", Some(json!({"windows": [{"from": "08:00"}]}))),
            ("source", Some(json!("bucket/x/"))),
            ("source", Some(json!("s3://Bucket/x/"))),
            ("$schema", Some(json!(7))),
            ("sources", Some(json!("s3://bucket/x/"))),
        ];
        for (field, value) in wrong {
            check(field, value.as_ref(), false);
        }
    }

    #[test]
    fn schema_and_parser_accept_the_same() {
        let right = [
            ("source", None),
            ("source", Some(json!("s3://bucket"))),
            ("options", None),
            ("options", Some(Value::Null)),
            ("load", None),
            ("load.bytes_max", Some(Value::Null)),
            ("load.age_seconds", Some(json!(86_400))),
            ("load.alarm_after_seconds", Some(json!(60))),
            ("load.alarm_after_seconds", Some(Value::Null)),
            ("load.write_once", Some(json!(true))),
            ("load.timeout_minutes", Some(json!(30))),
            ("warehouse", Some(json!({"freshness_seconds": 900, "windows": []}))),
            ("cluster.workgroup", Some(Value::Null)),
            ("cluster.db_user", Some(json!("loader"))),
            ("copy.columns", Some(json!(["id", "at"]))),
            ("copy.role_arn", Some(json!("default"))),
            ("options.merge_pk", Some(json!("id, day"))),
            ("options.merge_window_days", Some(json!(7))),
            ("options.delete_marker", Some(json!({"column": "op", "value": "D", "keep_days": 30}))),
            ("options.lock", Some(json!(true))),
            ("options.on_schema_change", Some(json!("ignore"))),
        ];
        for (field, value) in right {
            check(field, value.as_ref(), true);
        }
    }

    fn check(field: &str, value: Option<&Value>, valid: bool) {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let document = changed(field, value.cloned());
        assert_eq!(validator.is_valid(&document), valid, "schema: {field} = {value:?}");
        assert_eq!(LoadConfig::from_value(&document).is_ok(), valid, "parser: {field} = {value:?}");
    }
}
