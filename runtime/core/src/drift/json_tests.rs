//! JSON files whose keys are compared: which are refused, and which are left to COPY.

use serde_json::{Value, json};

use super::tests::{AT, ID, VAL, config, table};
use super::*;
use crate::json_keys;

const PATHS: &str = "JSON 's3://bucket/paths.json'";

/// The misfit of a file with these objects, for the table (id, at, val).
fn misfit_of(options: &str, objects: &str, change: impl FnOnce(&mut Value)) -> Option<Misfit> {
    let config = config(|value| {
        value["copy"]["options"] = json!(options);
        value["options"] = json!({"on_schema_change": "fail"});
        change(value);
    });
    judge(&config, &table(&[ID, AT, VAL]), &json_keys::keys(objects.as_bytes(), true).unwrap()).err()
}

fn error(options: &str, objects: &str) -> Option<String> {
    let misfit = misfit_of(options, objects, |_| {})?;
    let begins = r#"the keys do not fit table "shop"."sales": no column has the name of "#;
    misfit.error.strip_prefix(begins)?.strip_suffix(", so COPY would drop the values").map(ToOwned::to_owned)
}

#[test]
fn keys_of_columns_fit_in_any_order_and_may_be_missing() {
    assert_eq!(misfit_of("JSON", r#"{"val": 1, "id": 2, "at": 3}"#, |_| {}), None);
    assert_eq!(misfit_of("JSON", r#"{"id": 2}"#, |_| {}), None, "COPY loads NULL");
    assert_eq!(misfit_of("JSON 'auto ignorecase'", r#"{"VAL": 1, "Id": 2}"#, |_| {}), None);
    let named = |value: &mut Value| value["copy"]["columns"] = json!(["id"]);
    assert_eq!(misfit_of("JSON", r#"{"id": 1, "val": 2}"#, named), None, "left out on purpose");
    let marked = |value: &mut Value| {
        value["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at",
            "on_schema_change": "fail", "delete_marker": {"column": "op", "value": "D"}});
    };
    assert_eq!(misfit_of("JSON", r#"{"op": "D", "id": 2}"#, marked), None);
}

#[test]
fn a_key_that_no_column_has_is_refused_because_copy_would_drop_it() {
    assert_eq!(error("JSON", "{\"id\": 1}\n{\"id\": 2, \"more\": 3}").unwrap(), "`more`");
    assert_eq!(error("JSON", r#"{"ID": 1, "val": 2}"#).unwrap(), "`ID`");
    assert_eq!(error("JSON 'auto ignorecase'", r#"{"ID": 1, "More": 2}"#).unwrap(), "`More`");
    let remedy = |objects: &str| misfit_of("JSON", objects, |_| {}).unwrap().remedy;
    let retry = "; then run `cargo xtask retry TABLE`; or let COPY drop what no column has: `\"options\": {\"on_schema_change\": \"ignore\"}`";
    let added = r#"ALTER TABLE "shop"."sales" ADD COLUMN "more" VARCHAR(65535); with the type that its values have"#;
    assert_eq!(remedy(r#"{"id": 1, "more": 3}"#), format!("{added}{retry}"));
    let any_case = "write `JSON 'auto ignorecase'` in `copy.options`: with 'auto', `ID` is not the column `id`";
    assert_eq!(remedy(r#"{"ID": 1}"#), format!("{any_case}{retry}"));
}

#[test]
fn what_is_not_known_is_left_to_copy() {
    let config = config(|value| value["copy"]["options"] = json!("JSON"));
    let file = json_keys::keys(br#"{"more": 1}"#, true).unwrap();
    assert_eq!(judge(&config, &table(&[]), &file), Ok(Fit::default()));
    assert_eq!(judge(&config, &TargetColumns::Named(vec![]), &file), Ok(Fit::default()));
}

/// The error about a file with these objects that goes by paths, for the table (id, at, val).
fn by_path(paths: &[&str], objects: &str) -> Option<String> {
    let config = config(|value| {
        value["copy"]["options"] = json!(PATHS);
        value["options"] = json!({"on_schema_change": "fail"});
    });
    let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let file = json_keys::along(&paths, &json_keys::keys(objects.as_bytes(), true).unwrap());
    let Misfit { error, remedy } = judge(&config, &table(&[ID, AT, VAL]), &file).err()?;
    assert!(remedy.starts_with("correct the paths"), "{remedy}");
    let begins = r#"JSONPaths file `s3://bucket/paths.json`: the columns do not fit table "shop"."sales": "#;
    Some(error.strip_prefix(begins).unwrap_or(&error).to_owned())
}

#[test]
fn paths_are_the_columns_in_their_order() {
    let object = r#"{"id": 1, "more": {"x": 2}}"#;
    assert_eq!(
        by_path(&["$.id", "$.at", "$.val"], object),
        None,
        "what is missing is NULL, what no path names is left out"
    );
    assert_eq!(by_path(&["$['id']", "$.val", "$.more.x"], object), None, "said in the paths");
    assert_eq!(by_path(&["$.id", "$.a.at", "$[0]"], object), None);
}

#[test]
fn paths_that_are_certainly_wrong_are_refused() {
    let object = r#"{"id": 1, "val": 2}"#;
    let error = |paths: &[&str]| by_path(paths, object).unwrap();
    assert_eq!(error(&["$.val", "$.at", "$.id"]), "other order: val, at, id in the file, id, at, val in the table");
    assert_eq!(error(&["$.id", "$.at"]), "not in the file: `val` character varying");
    assert_eq!(error(&["$.id", "$.at", "$.val", "$.n"]), "4 columns in the file, 3 to load");
    let nothing = "no path of `s3://bucket/paths.json` begins with a key of the file's first objects, so every column would be NULL";
    assert!(error(&["$.ID", "$.At", "$.Val"]).ends_with(nothing));
}
