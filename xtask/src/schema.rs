//! The JSON Schema of a queue's file, so that an editor completes and checks it. `queues/schema/queue.schema.json` is this, committed.

use std::path::PathBuf;

use loader_core::config::{BYTES_MAX_DEFAULT, DB_USER_DEFAULT, FILES_MAX_DEFAULT};
use serde_json::{Value, json};

use crate::shell;

/// Where the schema is committed.
pub fn path() -> PathBuf {
    shell::root().join("queues/schema/queue.schema.json")
}

/// The committed text.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

fn schema() -> Value {
    let properties = json!({
        "$schema": text_field("This schema, for editors"),
        "source": {"type": "string", "pattern": "^s3://[a-z0-9.-]{3,63}(/.*)?$",
            "description": "Folder of the files: s3://bucket/folder/. The deployment connects it"},
        "copy": copy(),
        "cluster": cluster(),
        "options": options(),
        "load": load(),
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Queue configuration of the Redshift loader",
        "type": "object",
        "required": ["copy", "cluster"],
        "additionalProperties": false,
        "properties": properties,
    })
}

fn text_field(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn part(description: &str, required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "description": description, "required": required, "additionalProperties": false, "properties": properties})
}

fn copy() -> Value {
    let properties = json!({
        "table_name": text_field("Target table: schema.table, or table for the schema public"),
        "role_arn": text_field("ARN of the role that COPY assumes, or `default` for the warehouse's default role"),
        "options": text_field("COPY options, separated by spaces; Parquet unless a format is named"),
        "columns": {"type": "array", "items": {"type": "string"}, "uniqueItems": true,
            "description": "Columns to load, in the order of the files; all when absent"},
    });
    part("What COPY does", &["table_name", "role_arn"], &properties)
}

fn cluster() -> Value {
    let properties = json!({
        "identifier": text_field("Provisioned cluster"),
        "workgroup": text_field("Redshift Serverless workgroup, instead of `identifier`"),
        "db_name": text_field("Database"),
        "db_user": text_field(&format!("Database user of a provisioned cluster; {DB_USER_DEFAULT} when absent")),
        "secret_arn": text_field("Secret with the credentials, instead of `db_user`"),
    });
    let mut value = part("The warehouse", &["db_name"], &properties);
    value["oneOf"] = json!([{"required": ["identifier"]}, {"required": ["workgroup"]}]);
    value
}

fn options() -> Value {
    let properties = json!({
        "merge_duplicate_pks": {"type": "boolean", "default": false,
            "description": "true: one row per merge key, the newest; false: every version of a row once"},
        "merge_pk": {"description": "Column, or columns, that identify a row", "anyOf": [
            {"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true}]},
        "merge_timestamp": text_field("Column that says which row is newer"),
        "ledger_table": text_field("Table in the warehouse that remembers what was loaded, in the same transaction as the rows"),
    });
    part("How rows are merged; when absent they are appended", &[], &properties)
}

fn load() -> Value {
    let number =
        |minimum: u64, description: String| json!({"type": "integer", "minimum": minimum, "description": description});
    let mut age = number(0, "Seconds that files wait for others before their load starts; 0 when absent".into());
    age["maximum"] = json!(86_400);
    let properties = json!({
        "files_max": number(1, format!("Files of one load at most; {FILES_MAX_DEFAULT} when absent")),
        "bytes_max": number(1, format!("Bytes of one load at most; {BYTES_MAX_DEFAULT} when absent")),
        "age_seconds": age,
        "paused": {"type": "boolean", "default": false, "description": "Nothing is started while this is true"},
    });
    part("Bounds of one load", &[], &properties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use loader_core::config::LoadConfig;

    #[test]
    fn the_committed_schema_is_this_one() {
        let committed = std::fs::read_to_string(path()).unwrap_or_default();
        assert_eq!(committed, text(), "run `cargo xtask synth` and commit queues/schema");
    }

    /// The parser refuses fields that it does not know: so every field of the schema is put before it.
    #[test]
    fn the_parser_knows_every_field_of_the_schema() {
        let schema = schema();
        let mut document = serde_json::Map::new();
        for (name, property) in schema["properties"].as_object().unwrap() {
            let fields = property["properties"].as_object();
            let value = fields.map_or(json!("s3://bucket/x/"), |fields| {
                fields.keys().map(|key| (key.clone(), Value::Null)).collect()
            });
            document.insert(name.clone(), value);
        }
        let problems = LoadConfig::from_value(&Value::Object(document)).unwrap_err().to_string();
        assert!(!problems.contains("nobody reads"), "{problems}");
    }
}
