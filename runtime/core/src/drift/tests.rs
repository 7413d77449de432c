//! Which files fit, which do not, and the messages about them.

use serde_json::{Value, json};

use super::*;
use crate::parquet::Meaning;
use Physical::{Boolean, Bytes, Double, FixedBytes, Float, Int32, Int64, Int96, Nested};

pub fn config(change: impl FnOnce(&mut Value)) -> std::sync::Arc<LoadConfig> {
    let mut value = json!({
        "copy": {"role_arn": "default", "table_name": "shop.sales"},
        "cluster": {"identifier": "c", "db_name": "dev"}
    });
    change(&mut value);
    LoadConfig::from_value(&value).unwrap()
}

pub fn table(columns: &[[&str; 4]]) -> TargetColumns {
    let row = |cells: &[&str; 4]| cells.iter().map(|cell| Some((*cell).to_owned())).collect();
    TargetColumns::from_rows(&columns.iter().map(row).collect::<Vec<_>>())
}

pub const ID: [&str; 4] = ["id", "", "bigint", "YES"];
pub const AT: [&str; 4] = ["at", "", "timestamp without time zone", "YES"];
pub const VAL: [&str; 4] = ["val", "", "character varying", "YES"];

pub fn file(columns: &[(&str, Physical)]) -> Vec<FileColumn> {
    let column = |(name, physical): &(&str, Physical)| FileColumn {
        name: (*name).to_owned(),
        physical: *physical,
        meaning: if *physical == Bytes { Meaning::Text } else { Meaning::Plain },
    };
    columns.iter().map(column).collect()
}

/// The error about a file of the table (id, at, val), without its beginning.
fn error(columns: &[(&str, Physical)], change: impl FnOnce(&mut Value)) -> Option<String> {
    let found = judge(&config(change), &table(&[ID, AT, VAL]), &file(columns)).err()?;
    let begins = r#"the columns do not fit table "shop"."sales": "#;
    Some(found.error.strip_prefix(begins).unwrap_or(&found.error).to_owned())
}

fn remedy(columns: &[(&str, Physical)]) -> String {
    misfit(&config(|_| {}), &table(&[ID, AT, VAL]), &file(columns)).unwrap().remedy
}

const FITS: [(&str, Physical); 3] = [("id", Int64), ("at", Int96), ("val", Bytes)];

#[test]
fn the_same_columns_fit_whatever_the_case_of_their_names() {
    assert_eq!(error(&FITS, |_| {}), None);
    assert_eq!(error(&[("ID", Int64), ("At", Int64), ("VAL", Bytes)], |_| {}), None);
}

#[test]
fn another_column_order_is_refused_although_copy_would_accept_it() {
    let swapped = [("at", Int64), ("id", Int64), ("val", Bytes)];
    assert_eq!(error(&swapped, |_| {}).unwrap(), "other order: at, id, val in the file, id, at, val in the table");
    assert!(
        remedy(&swapped)
            .starts_with(r#"name the files' columns in their order, `"copy": {"columns": ["at", "id", "val"]}`"#)
    );
    assert_eq!(
        error(&swapped, |value| value["copy"]["columns"] = json!(["at", "id", "val"])),
        None,
        "said in the configuration"
    );
    assert!(error(&FITS, |value| value["copy"]["columns"] = json!(["at", "id", "val"])).is_some(), "said otherwise");
}

#[test]
fn a_new_column_is_refused_with_the_statement_that_adds_it() {
    let more = [("id", Int64), ("at", Int96), ("val", Bytes), ("Amount", Double)];
    assert_eq!(error(&more, |_| {}).unwrap(), "not in the table: `Amount` DOUBLE PRECISION");
    assert!(
        remedy(&more).starts_with(r#"ALTER TABLE "shop"."sales" ADD COLUMN "amount" DOUBLE PRECISION; a new"#),
        "{}",
        remedy(&more)
    );
}

#[test]
fn a_missing_column_is_refused_unless_copy_fills_it() {
    let fewer = [("id", Int64), ("at", Int96)];
    assert_eq!(error(&fewer, |_| {}).unwrap(), "not in the file: `val` character varying");
    let fills = |value: &mut Value| value["copy"]["options"] = json!("PARQUET FILLRECORD");
    assert_eq!(error(&fewer, fills), None);
    assert!(error(&[("id", Int64), ("val", Bytes)], fills).is_some(), "COPY fills at the end only");
    assert_eq!(error(&fewer, |value| value["copy"]["columns"] = json!(["id", "at"])), None);
}

#[test]
fn a_column_with_another_name_is_matched_by_position_unless_the_count_differs() {
    let renamed = [("id", Int64), ("moment", Int96), ("val", Bytes)];
    assert_eq!(error(&renamed, |_| {}), None, "COPY goes by position");
    assert_eq!(error(&[("_0", Int64), ("_1", Int96), ("_2", Bytes)], |_| {}), None, "written for positions");
    assert_eq!(error(&[("_0", Int64)], |_| {}).unwrap(), "1 columns in the file, 3 to load");
    let taken = [("id", Int64), ("val", Bytes), ("x", Bytes)];
    assert_eq!(error(&taken, |_| {}).unwrap(), "other order: id, val in the file, id, val in the table");
    let surplus = [("id", Int64), ("moment", Int96), ("val", Bytes), ("more", Bytes)];
    let expected =
        "not in the table: `moment` BIGINT, `more` VARCHAR(65535); not in the file: `at` timestamp without time zone";
    assert_eq!(error(&surplus, |_| {}).unwrap(), expected);
}

#[test]
fn other_types_are_refused() {
    let other = [("id", Bytes), ("at", Int64), ("val", Int64)];
    let expected = "other types: `id` is VARCHAR(65535) in the file and bigint in the table, `val` is BIGINT in the file and character varying in the table";
    assert_eq!(error(&other, |_| {}).unwrap(), expected);
    assert!(remedy(&other).starts_with("Redshift does not change these types in place"));
    assert!(error(&[("_0", Bytes), ("_1", Int64), ("_2", Bytes)], |_| {}).is_some(), "by position");
}

/// Refusing a file that COPY might accept would refuse a file that loads today.
#[test]
fn only_types_that_certainly_contradict_are_refused() {
    let all = [Boolean, Int32, Int64, Int96, Float, Double, Bytes, FixedBytes, Nested];
    let refused = |kind: &str| -> Vec<Physical> {
        let nested = |value: &mut Value| value["copy"]["options"] = json!("PARQUET SERIALIZETOJSON");
        let target = table(&[["x", "", kind, "YES"]]);
        let contradicts = |physical: &Physical| misfit(&config(nested), &target, &file(&[("x", *physical)])).is_some();
        all.into_iter().filter(contradicts).collect()
    };
    assert_eq!(refused("bigint"), [Boolean, Int96, Bytes]);
    assert_eq!(refused("integer"), refused("bigint"));
    assert_eq!(refused("double precision"), refused("bigint"));
    assert_eq!(refused("boolean"), [Int96, Float, Double, Bytes, FixedBytes]);
    assert_eq!(refused("character"), [Boolean, Int32, Int64, Int96, Float, Double]);
    assert_eq!(refused("numeric"), [Boolean, Int96, Bytes]);
    for unknown in [
        "date",
        "timestamp without time zone",
        "timestamp with time zone",
        "super",
        "varbyte",
        "geometry",
        "time without time zone",
        "",
    ] {
        assert_eq!(refused(unknown), [], "{unknown}");
    }
}

#[test]
fn what_is_not_known_for_certain_is_left_to_copy() {
    let other = file(&[("x", Int64)]);
    let judged = |target: &TargetColumns, change: fn(&mut Value)| misfit(&config(change), target, &other).is_some();
    assert!(!judged(&table(&[ID]), |_| {}), "no name in common");
    assert!(judged(&table(&[ID, AT]), |_| {}));
    assert!(!judged(&table(&[]), |_| {}), "no such table");
    assert!(!judged(&TargetColumns::Named(vec![]), |_| {}), "nobody asked");
    assert!(!judged(&table(&[ID, AT]), |value| value["copy"]["options"] = json!("EXPLICIT_IDS")));
    assert!(!judged(&table(&[ID, AT]), |value| value["copy"]["columns"] = json!(["id", "gone"])), "COPY names it");
    let nested = file(&[("id", Int64), ("tags", Nested), ("more", Int64)]);
    assert_eq!(misfit(&config(|_| {}), &table(&[ID, AT]), &nested), None);
}

#[test]
fn columns_that_the_warehouse_numbers_may_be_missing() {
    let number = ["n", "\"identity\"(100, 2, '0,1'::text)", "bigint", "NO"];
    let hidden = ["n", "", "bigint", "NO"];
    let fewer = file(&FITS);
    let merged = |value: &mut Value| {
        value["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
    };
    assert_eq!(misfit(&config(merged), &table(&[number, ID, AT, VAL]), &fewer), None);
    assert_eq!(misfit(&config(|_| {}), &table(&[number, ID, AT, VAL]), &fewer), None);
    assert_eq!(misfit(&config(|_| {}), &table(&[ID, AT, VAL, hidden]), &fewer), None, "who is no owner cannot see it");
    let swapped = file(&[("at", Int64), ("id", Int64), ("val", Bytes)]);
    assert!(misfit(&config(merged), &table(&[number, ID, AT, VAL]), &swapped).is_some());
    assert!(misfit(&config(|_| {}), &table(&[hidden, ID, AT, VAL]), &swapped).is_some());
}

#[test]
fn many_columns_are_counted() {
    let more: Vec<String> = (0..30).map(|number| format!("c{number}")).collect();
    let columns: Vec<(&str, Physical)> =
        FITS.into_iter().chain(more.iter().map(|name| (name.as_str(), Int32))).collect();
    assert!(error(&columns, |_| {}).unwrap().ends_with("`c7` INTEGER, and 22 more"));
}

#[test]
fn a_name_that_needs_quotes_has_them_where_it_is_listed() {
    let text = remedy(&[("at", Int64), ("id", Int64), ("val", Bytes), ("a \"b\"", Int64)]);
    assert!(text.contains(r#"ADD COLUMN "a ""b""" BIGINT;"#), "{text}");
    assert!(text.contains(r#"["at", "id", "val", "\"a \"\"b\"\"\""]"#), "{text}");
}

#[test]
fn the_marker_of_deleted_rows_is_a_column_of_the_files() {
    let marked = |value: &mut Value| {
        value["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at",
            "delete_marker": {"column": "op", "value": "D"}});
    };
    let listed = |value: &mut Value| {
        marked(value);
        value["copy"]["columns"] = json!(["id", "at", "op", "val"]);
    };
    let first = [("op", Bytes), ("id", Int64), ("at", Int96), ("val", Bytes)];
    let third = [("id", Int64), ("at", Int96), ("op", Bytes), ("val", Bytes)];
    assert_eq!(error(&first, marked), None);
    assert_eq!(error(&third, listed), None);
    assert!(error(&third, marked).unwrap().starts_with("other order: id, at, op, val in the file, op, id, at, val"));
    assert_eq!(error(&FITS, marked).unwrap(), "not in the file: `op` character varying");
    let truth = [("op", Boolean), ("id", Int64), ("at", Int96), ("val", Bytes)];
    assert_eq!(
        error(&truth, marked).unwrap(),
        "other types: `op` is BOOLEAN in the file and character varying in the table"
    );
}
