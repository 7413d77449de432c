//! Files that are matched by the names of their columns: which fit, with which column list, and which columns are added first.

use serde_json::{Value, json};

use super::tests::{AT, ID, VAL, config, file, table};
use super::*;
use crate::parquet::Meaning;
use crate::sql::merge::{LoadSql, statements};
use Physical::{Boolean, Bytes, Double, FixedBytes, Int32, Int64, Int96, Nested};

fn adding(change: impl FnOnce(&mut Value)) -> std::sync::Arc<LoadConfig> {
    config(|value| {
        value["options"] = json!({"on_schema_change": "add_columns"});
        change(value);
    })
}

fn merging(value: &mut Value) {
    value["options"] = json!({
        "on_schema_change": "add_columns", "merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"
    });
}

const KEY: [&str; 4] = ["id", "", "bigint", "NO"];
const WHEN: [&str; 4] = ["at", "", "timestamp without time zone", "NO"];

/// The column list of a file for the table (id, at, val), and the added columns; `None` if it is matched by position; or why it does not
/// fit.
fn fit(columns: &[(&str, Physical)]) -> Result<Option<(String, Vec<String>)>, String> {
    fit_of(&adding(|_| {}), &[ID, AT, VAL], &file(columns))
}

fn fit_of(config: &LoadConfig, columns: &[[&str; 4]], file: &[FileColumn]) -> Listed {
    let fit = judge(config, &table(columns), file).map_err(|misfit| misfit.error)?;
    let list: Vec<&str> = fit.columns.iter().map(Ident::as_str).collect();
    let added = fit.added.iter().map(AddedColumn::words).collect();
    Ok((fit != Fit::default()).then(|| (list.join(" "), added)))
}

type Listed = Result<Option<(String, Vec<String>)>, String>;

#[expect(clippy::unnecessary_wraps, reason = "compared with what `fit` returns")]
fn listed(list: &str, added: &[&str]) -> Listed {
    Ok(Some((list.to_owned(), added.iter().map(|words| (*words).to_owned()).collect())))
}

#[test]
fn a_file_with_the_tables_columns_is_listed_whatever_their_order() {
    assert_eq!(fit(&[("ID", Int64), ("at", Int96), ("val", Bytes)]), listed("id at val", &[]));
    assert_eq!(fit(&[("val", Bytes), ("id", Int64), ("at", Int96)]), listed("val id at", &[]));
}

#[test]
fn new_columns_are_added_wherever_they_stand() {
    let more = [("id", Int64), ("at", Int96), ("val", Bytes), ("More", Double), ("ok", Boolean)];
    assert_eq!(fit(&more), listed("id at val more ok", &["more DOUBLE PRECISION", "ok BOOLEAN"]));
    let between = [("id", Int64), ("n", Int32), ("at", Int96), ("val", Bytes)];
    assert_eq!(fit(&between), listed("id n at val", &["n INTEGER"]));
}

#[test]
fn a_file_of_an_older_shape_is_listed_with_the_columns_it_has() {
    assert_eq!(fit(&[("id", Int64), ("at", Int96)]), listed("id at", &[]));
    assert_eq!(fit(&[("val", Bytes)]), listed("val", &[]));
}

#[test]
fn a_missing_column_beside_a_new_one_may_be_the_same_renamed() {
    let renamed = [("id", Int64), ("moment", Int96), ("val", Bytes), ("more", Int64)];
    let misfit = judge(&adding(|_| {}), &table(&[ID, AT, VAL]), &file(&renamed)).unwrap_err();
    assert!(misfit.error.contains("not in the file: `at`"), "{}", misfit.error);
    assert!(misfit.remedy.contains(r#"ALTER TABLE "shop"."sales" ADD COLUMN "moment" BIGINT;"#), "{}", misfit.remedy);
    assert!(!misfit.remedy.contains("copy"), "{}", misfit.remedy);
    assert_eq!(fit(&[("id", Int64), ("moment", Int96), ("val", Bytes)]), Ok(None), "by position, as ever");
    assert_eq!(fit(&[("_0", Int64), ("_1", Int96), ("_2", Bytes)]), Ok(None), "written for positions");
}

#[test]
fn uncertain_files_are_judged_by_position() {
    assert!(fit(&[("id", Bytes), ("at", Int96), ("val", Bytes), ("more", Int64)]).is_err(), "another type");
    assert!(
        fit(&[("id", Int64), ("at", Int96), ("val", Bytes), ("a", Int64), ("A", Int64)]).is_err(),
        "one name twice"
    );
    assert!(fit(&[("id", Int64), ("at", Int96), ("val", Bytes), ("ctid", Int64)]).is_err(), "the warehouse's own name");
    let long = "x".repeat(128);
    assert!(fit(&[("id", Int64), ("at", Int96), ("val", Bytes), (long.as_str(), Int64)]).is_err(), "cut silently");
    let mut wide = file(&[("id", Int64), ("at", Int96), ("val", Bytes), ("d", FixedBytes)]);
    wide[3].meaning = Meaning::Decimal(39, 2);
    assert!(fit_of(&adding(|_| {}), &[ID, AT, VAL], &wide).is_err(), "no DECIMAL has 39 digits");
    wide[3].meaning = Meaning::Decimal(38, 2);
    assert_eq!(fit_of(&adding(|_| {}), &[ID, AT, VAL], &wide), listed("id at val d", &["d DECIMAL(38, 2)"]));
    let many: Vec<String> = (0..21).map(|number| format!("c{number}")).collect();
    let with = |count: usize| {
        let more = many.iter().take(count).map(|name| (name.as_str(), Int32));
        fit(&[("id", Int64), ("at", Int96), ("val", Bytes)].into_iter().chain(more).collect::<Vec<_>>())
    };
    assert!(with(20).is_ok() && with(21).is_err());
}

#[test]
fn required_columns_must_not_be_missing() {
    let required = ["n", "", "character varying", "NO"];
    let numbered = ["n", "\"identity\"(100, 2, '0,1'::text)", "bigint", "NO"];
    let hidden = ["n", "", "bigint", "NO"];
    let shape = file(&[("id", Int64), ("at", Int96)]);
    let fewer = |columns: &[[&str; 4]]| fit_of(&adding(|_| {}), columns, &shape);
    assert!(fewer(&[ID, AT, required]).is_err());
    assert_eq!(fewer(&[numbered, ID, AT]), listed("id at", &[]));
    assert_eq!(fewer(&[hidden, ID, AT]), listed("id at", &[]), "who is no owner cannot see who numbers it");
    let more = file(&[("id", Int64), ("at", Int96), ("more", Int64)]);
    assert_eq!(fit_of(&adding(|_| {}), &[hidden, ID, AT], &more), listed("id at more", &["more BIGINT"]));
    let misfit = judge(&adding(merging), &table(&[ID, AT, VAL]), &file(&[("at", Int96), ("val", Bytes)])).unwrap_err();
    assert!(misfit.remedy.starts_with("write files with these columns"), "rows are merged by `id`: {}", misfit.remedy);
    assert_eq!(fit_of(&adding(merging), &[ID, AT, VAL], &shape), listed("id at", &[]));
}

#[test]
fn nested_columns_are_added_where_they_are_loaded_as_texts() {
    let nested = file(&[("id", Int64), ("tags", Nested)]);
    let text = |value: &mut Value| value["copy"]["options"] = json!("PARQUET SERIALIZETOJSON");
    assert_eq!(fit_of(&adding(text), &[ID], &nested), listed("id tags", &["tags SUPER"]));
    assert_eq!(fit_of(&adding(|_| {}), &[ID], &nested), Ok(None), "left to COPY");
}

fn sql(config: &LoadConfig, columns: &[[&str; 4]], file: &[FileColumn]) -> String {
    let columns = table(columns);
    let fit = judge(config, &columns, file).unwrap();
    let load =
        LoadSql { config, columns: &columns, fit: &fit, manifest: "s3://m/x.json", load_id: "l", statement_name: "n" };
    statements(&load).unwrap().join(";\n")
}

#[test]
fn columns_are_added_one_by_one_before_the_rows() {
    let more = file(&[("id", Int64), ("at", Int96), ("a", Int64), ("b", Bytes)]);
    insta::assert_snapshot!(sql(&adding(|_| {}), &[ID, AT], &more), @r#"
    ALTER TABLE "shop"."sales" ADD COLUMN "a" BIGINT;
    ALTER TABLE "shop"."sales" ADD COLUMN "b" VARCHAR(65535);
    COPY "shop"."sales" ("id", "at", "a", "b") FROM 's3://m/x.json' IAM_ROLE default FORMAT AS PARQUET MANIFEST
    "#);
}

/// The guard comes first, because it compares the columns that were read. The staging table comes later, because it has the new ones.
#[test]
fn a_merge_has_them_in_its_stage() {
    let more = file(&[("id", Int64), ("more", Int64), ("at", Int96)]);
    insta::assert_snapshot!(sql(&adding(merging), &[KEY, WHEN], &more));
    let older = file(&[("at", Int96), ("id", Int64)]);
    let sql = sql(&adding(merging), &[KEY, WHEN, VAL], &older);
    assert!(sql.contains(r#"COPY rs_loader_stage ("at", "id") FROM"#), "{sql}");
    assert!(sql.contains(r#"INSERT INTO "shop"."sales" ("id", "at", "val") SELECT"#), "{sql}");
}
