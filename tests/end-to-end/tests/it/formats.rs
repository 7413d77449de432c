//! File formats and their options.

use end_to_end::files::{csv, gzip, parquet, rows};
use end_to_end::{Row, Spec};
use serde_json::json;

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    vec![
        Spec::append("format_parquet").with("copy.options", ""),
        Spec::append("format_header").with("copy.options", "CSV IGNOREHEADER 1 DELIMITER ';' TIMEFORMAT 'auto'"),
        Spec::append("format_gzip").with("copy.options", "FORMAT AS CSV GZIP"),
        Spec::append("format_json").with("copy.options", "FORMAT AS JSON 'auto ignorecase'"),
        Spec::merge("format_json_gzip").with("copy.options", "JSON 'auto' GZIP TIMEFORMAT 'auto'"),
        Spec::append("format_text").with("copy.options", "DELIMITER '|' NULL AS '\\N' EMPTYASNULL"),
        Spec::append("format_columns").with("copy.columns", json!(["note", "id"])),
    ]
}

fn check(name: &str, columns: &str, file: Vec<u8>, expected: &[Row]) {
    SUITE.run(async |world| {
        let table = world.table(name);
        table.create_with(columns).await;
        table.put("file", file).await;
        table.until_loaded(1).await;
        table.assert_rows(expected).await;
    });
}

const COLUMNS: &str = end_to_end::files::COLUMNS;

fn with_nulls() -> Vec<Row> {
    let mut all = rows(1, 20, "n");
    all[3][0] = None;
    all[5][1] = None;
    all[7][2] = None;
    all
}

fn json_lines(rows: &[Row]) -> Vec<u8> {
    let line = |row: &Row| {
        let id = row[0].as_deref().map(|id| id.parse::<i32>().expect("a number"));
        json!({"ID": id, "at": row[1], "note": row[2]}).to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

#[test]
fn parquet_is_the_format_unless_another_is_named() {
    check("format_parquet", COLUMNS, parquet(&with_nulls()), &with_nulls());
}

#[test]
fn csv_with_a_header_and_another_delimiter() {
    let text = String::from_utf8(csv(&rows(1, 20, "h"))).expect("text").replace(',', ";");
    check("format_header", COLUMNS, format!("id;at;note\n{text}").into_bytes(), &rows(1, 20, "h"));
}

#[test]
fn csv_compressed_by_gzip() {
    check("format_gzip", COLUMNS, gzip(&csv(&rows(1, 20, "z"))), &rows(1, 20, "z"));
}

#[test]
fn json_with_names_in_any_case() {
    check("format_json", COLUMNS, json_lines(&with_nulls()), &with_nulls());
}

#[test]
fn json_compressed_and_merged() {
    let text = String::from_utf8(json_lines(&rows(1, 20, "j"))).expect("text").replace("ID", "id");
    check("format_json_gzip", COLUMNS, gzip(text.as_bytes()), &rows(1, 20, "j"));
}

#[test]
fn delimited_text_with_null_markers() {
    let text = |row: &Row| row.iter().map(|f| f.as_deref().unwrap_or("\\N")).collect::<Vec<_>>().join("|") + "\n";
    let file: String = with_nulls().iter().map(text).collect();
    check("format_text", COLUMNS, file.into_bytes(), &with_nulls());
}

#[test]
fn a_column_list_names_the_columns_of_the_files_in_their_order() {
    let mut expected = rows(1, 5, "c");
    let swapped: Vec<Row> = expected.iter().map(|row| vec![row[2].clone(), row[0].clone()]).collect();
    for row in &mut expected {
        row[1] = Some("2000-01-01 00:00:00".to_owned());
    }
    let columns = "id integer, at timestamp default '2000-01-01', note varchar(64)";
    check("format_columns", columns, csv(&swapped), &expected);
}
