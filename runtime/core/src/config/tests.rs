//! What a configuration means, and which problems are reported.

use super::*;
use crate::drift;
use serde_json::json;

fn example() -> Value {
    json!({
        "copy": {"options": "CSV", "role_arn": "arn:aws:iam::123456789012:role/copy", "table_name": "shop.sales"},
        "cluster": {"identifier": "analytics", "db_name": "dev"}
    })
}

fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = example();
    change(&mut value);
    match LoadConfig::from_value(&value) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn without_options_rows_are_appended() {
    let config = LoadConfig::from_value(&example()).unwrap();
    assert_eq!(config.mode, LoadMode::Append);
    assert_eq!(config.login, Login::DbUser(DB_USER_DEFAULT.into()));
    assert_eq!(config.db_table().0, "cluster:analytics:dev:shop.sales");
}

#[test]
fn keys_may_be_overwritten_unless_the_configuration_says_otherwise() {
    let with = |load: Value| {
        let mut value = example();
        value["load"] = load;
        LoadConfig::from_value(&value).unwrap().write_once
    };
    assert!(!LoadConfig::from_value(&example()).unwrap().write_once);
    assert!(!with(json!({"paused": true})));
    assert!(with(json!({"write_once": true})));
}

#[test]
fn a_file_is_late_ten_minutes_after_its_load_may_start() {
    let after = |load: Value| {
        let mut value = example();
        value["load"] = load;
        LoadConfig::from_value(&value).map(|config| (config.late_millis(7_000) - 7_000) / 1000)
    };
    assert_eq!(after(Value::Null), Ok(600));
    assert_eq!(after(json!({"age_seconds": 900})), Ok(1500));
    assert_eq!(after(json!({"age_seconds": 900, "alarm_after_seconds": 1000})), Ok(1000));
    let error = after(json!({"alarm_after_seconds": 5})).unwrap_err().to_string();
    assert!(error.contains("load.alarm_after_seconds") && error.contains("from 60 to 604800"), "{error}");
}

#[test]
fn the_document_reads_back_as_itself() {
    let config = LoadConfig::from_value(&example()).unwrap();
    assert_eq!(LoadConfig::parse(&config.document).unwrap(), config);
}

#[test]
fn merge_modes() {
    let mode = |options: Value| {
        let mut value = example();
        value["options"] = options;
        LoadConfig::from_value(&value).unwrap().mode.clone()
    };
    let keys = |names: &[&str]| names.iter().map(|name| Ident::parse(name).unwrap()).collect::<Vec<_>>();
    let timestamp = Ident::parse("at").unwrap();
    let many = json!({"merge_duplicate_pks": true, "merge_pk": ["a", "b"], "merge_timestamp": "at"});
    assert_eq!(
        mode(many),
        LoadMode::Replace {
            keys: keys(&["a", "b"]),
            timestamp: timestamp.clone(),
            window_days: None,
            delete_marker: None
        }
    );
    let commas = json!({"merge_duplicate_pks": false, "merge_pk": "a, b", "merge_timestamp": "at"});
    assert_eq!(mode(commas), LoadMode::Versions { keys: keys(&["a", "b"]), timestamp });
    assert_eq!(mode(json!({"merge_duplicate_pks": false})), LoadMode::Append);
}

#[test]
fn a_window_is_for_rows_that_are_replaced() {
    let with = |options: Value| problems(|value| value["options"] = options);
    let merge = |replace: bool, days: i64| json!({"merge_duplicate_pks": replace, "merge_pk": "a", "merge_timestamp": "at", "merge_window_days": days});
    assert_eq!(with(merge(true, 1)), Vec::<String>::new());
    assert_eq!(with(merge(true, 36_500)), Vec::<String>::new());
    for days in [0, 36_501] {
        let range = format!("`options.merge_window_days`: `{days}` is not a number of days from 1 to 36500");
        assert_eq!(with(merge(true, days)), [range]);
    }
    let useless = "`options.merge_window_days`: no row is replaced without `merge_duplicate_pks`: set that to `true`, or remove this field";
    assert_eq!(with(merge(false, 7)), [useless]);
    assert_eq!(with(json!({"merge_window_days": 7})), [useless]);
}

#[test]
fn a_delete_marker_names_a_column_of_the_files() {
    let with = |change: fn(&mut Value)| {
        problems(|value| {
            value["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at",
                "delete_marker": {"column": "Op", "value": "D", "keep_days": 30}});
            change(value);
        })
    };
    assert_eq!(with(|_| {}), Vec::<String>::new());
    assert_eq!(with(|value| value["copy"]["columns"] = json!(["op", "at", "id"])), Vec::<String>::new());
    let one = |change: fn(&mut Value), expected: &str| {
        let found = with(change);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:#?}");
    };
    one(|value| value["copy"]["columns"] = json!(["at", "id"]), "lacks `op`, which marks deleted rows");
    one(|value| value["options"]["delete_marker"]["column"] = json!("at"), "also a column by which rows are merged");
    one(|value| value["options"]["delete_marker"]["keep_days"] = json!(0), "from 1 to 36500");
    one(|value| value["options"]["delete_marker"]["value"] = json!(""), "which value marks deleted rows");
    one(|value| value["options"]["delete_marker"]["name"] = json!("x"), "unknown field `name`");
    one(|value| value["options"]["merge_duplicate_pks"] = json!(false), "without `merge_duplicate_pks`");
    one(|value| value["copy"]["table_name"] = json!("t".repeat(120)), "longer than 127 bytes");
}

#[test]
fn tombstones_are_beside_the_target() {
    let mut value = example();
    value["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at",
        "delete_marker": {"column": "Op", "value": "D"}});
    let config = LoadConfig::from_value(&value).unwrap();
    let marker = config.delete_marker().unwrap();
    assert_eq!((marker.column.as_str(), marker.keep_days), ("op", None));
    assert_eq!(marker.tombstones, TableName::parse("shop.sales_deleted").unwrap());
}

#[test]
fn columns_are_compared_unless_the_configuration_says_otherwise() {
    let with = |copy: &str, wish: Value| {
        let mut value = example();
        value["copy"]["options"] = json!(copy);
        value["options"] = json!({"on_schema_change": wish});
        LoadConfig::from_value(&value)
            .map(|config| drift::is_compared(&config))
            .map_err(|problems| problems.to_string())
    };
    assert_eq!(with("PARQUET", Value::Null), Ok(true));
    assert_eq!(with("PARQUET", json!("fail")), Ok(true));
    assert_eq!(with("PARQUET", json!("ignore")), Ok(false));
    assert_eq!(with("CSV", Value::Null), Ok(false));
    assert_eq!(with("CSV", json!("ignore")), Ok(false));
    assert!(with("CSV", json!("fail")).unwrap_err().contains("only columns of Parquet files are compared"));
    assert!(
        with("PARQUET", json!("add"))
            .unwrap_err()
            .contains("`add` is not allowed: write `fail`, `add_columns` or `ignore`")
    );
    assert_eq!(with("PARQUET", json!("add_columns")), Ok(true));
    for header in [
        "JSON 'auto'",
        "JSON 's3://bucket/paths.json'",
        "CSV IGNOREHEADER 1",
        "CSV IGNOREHEADER AS 1 DELIMITER '\\t' QUOTE '%'",
    ] {
        assert_eq!(with(header, Value::Null), Ok(false), "a call for each file is not made unasked");
        assert_eq!(with(header, json!("fail")), Ok(true));
        assert!(with(header, json!("add_columns")).unwrap_err().contains("tell no types"));
    }
    for other in [
        "CSV IGNOREHEADER 2",
        "CSV GZIP IGNOREHEADER 1",
        "JSON GZIP",
        "JSON 'noshred'",
        "DELIMITER ',' IGNOREHEADER 1",
        "ORC",
    ] {
        assert!(with(other, json!("fail")).is_err(), "{other}");
    }
    assert!(with("PARQUET EXPLICIT_IDS", json!("add_columns")).unwrap_err().contains("exclude each other"));
    let mut value = example();
    value["copy"]["options"] = json!("PARQUET");
    value["options"] = json!({"on_schema_change": "add_columns", "delete_marker": {"column": "op", "value": "D"},
        "merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
    assert!(LoadConfig::from_value(&value).unwrap_err().to_string().contains("no columns are added"));
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems(|value| {
        value["copy"] = json!({"options": "PARQUET GZIP", "role_arn": "me", "table_name": "a b", "role": 1});
        value["cluster"] = json!({"identifier": "x", "workgroup": "y", "db_name": ""});
        value["options"] = json!({"merge_duplicate_pks": true, "merge_pks": "id"});
    });
    let fields: Vec<&str> = found.iter().map(|text| text.split('`').nth(1).unwrap()).collect();
    let expected = [
        "copy.role",
        "options.merge_pks",
        "copy.table_name",
        "copy.options",
        "copy.role_arn",
        "cluster",
        "cluster.db_name",
        "options.merge_pk",
    ];
    assert_eq!(fields, expected, "{found:#?}");
}

#[test]
fn a_workgroup_signs_in_as_itself_or_with_a_secret() {
    let mut value = example();
    value["cluster"] = json!({"workgroup": "wg", "db_name": "dev"});
    assert_eq!(LoadConfig::from_value(&value).unwrap().login, Login::Identity);
    assert_eq!(problems(|v| v["cluster"] = json!({"workgroup": "wg", "db_name": "dev", "db_user": "u"})).len(), 1);
}

/// Problems that the functions ignore, but that prevent generating a template.
fn unaddressed(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = example();
    change(&mut value);
    let problems = LoadConfig::from_value(&value).unwrap().check_addresses().err().unwrap_or_default();
    problems.0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_secret_is_named_completely_in_a_template() {
    let with = |arn: &str| unaddressed(|v| v["cluster"]["secret_arn"] = arn.into());
    assert!(with("arn:aws:secretsmanager:eu-central-1:123456789012:secret:loader/a-AbCdEf").is_empty());
    for arn in [
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:loader",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*-AbCdEf",
        "arn:aws:secretsmanager:eu-central-1:12:secret:loader-AbCdEf",
    ] {
        let found = with(arn);
        assert_eq!(found.len(), 1, "{arn}: {found:#?}");
        assert!(found[0].starts_with("`cluster.secret_arn`: ") && found[0].contains("complete"), "{found:#?}");
    }
}

#[test]
fn a_warehouse_name_cannot_widen_an_arn() {
    let with = |cluster: Value| unaddressed(|v| v["cluster"] = cluster);
    let arn = |id: &str| format!("arn:aws:redshift-serverless:eu-central-1:123456789012:{id}");
    let right = ["wg".to_owned(), arn("workgroup/8a7b"), "w".repeat(64)];
    for workgroup in right {
        assert_eq!(with(json!({"workgroup": workgroup, "db_name": "d"})), Vec::<String>::new());
    }
    for workgroup in ["a*".to_owned(), "A".to_owned(), arn("workgroup/*"), arn("namespace/x"), "w".repeat(65)] {
        let found = with(json!({"workgroup": workgroup, "db_name": "d"}));
        assert!(found.len() == 1 && found[0].starts_with("`cluster.workgroup`: "), "{found:#?}");
    }
    for identifier in ["*", "A B", "-a", &"c".repeat(64)] {
        let found = with(json!({"identifier": identifier, "db_name": "d"}));
        assert!(found.len() == 1 && found[0].starts_with("`cluster.identifier`: "), "{found:#?}");
    }
}

#[test]
fn a_payload_that_is_not_an_object_is_an_error_and_never_a_panic() {
    for text in ["", "[]", "null", "{}", "{\"copy\": 1, \"cluster\": {}}", "\u{0}"] {
        assert!(LoadConfig::parse(text).is_err(), "{text}");
    }
}
