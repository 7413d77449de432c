//! Merging: one row per key, the same whatever the grouping, compared with a model that knows no SQL.

use end_to_end::files::{csv, parquet, row};
use end_to_end::{Row, Spec, Table, model};
use serde_json::json;

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    let composite = json!({"merge_duplicate_pks": true, "merge_pk": ["id", "note"], "merge_timestamp": "at"});
    let versions = json!({"merge_duplicate_pks": false, "merge_pk": "id", "merge_timestamp": "at"});
    let grouped = |name: &str| Spec::merge(name).with("copy.options", "PARQUET").silent();
    let grouped_versions = |name: &str| grouped(name).with("options", versions.clone());
    vec![
        Spec::merge("ties"),
        Spec::merge("nulls").with("copy.options", "PARQUET"),
        Spec::merge("composite").with("options", composite),
        Spec::merge("late_old"),
        grouped("grouped_together"),
        grouped("grouped_one_by_one"),
        grouped("grouped_reversed"),
        grouped_versions("versions_together"),
        grouped_versions("versions_one_by_one"),
        grouped_versions("versions_reversed"),
    ]
}

/// Loads the files one after the other.
async fn load_in_turn(table: &Table<'_>, files: &[(String, Vec<u8>)]) {
    for ((name, body), n_loaded) in files.iter().zip(1..) {
        table.put(name, body.clone()).await;
        if !table.spec.is_notified {
            table.send(&table.notification(&[name]).await.to_string()).await;
        }
        table.until_loaded(n_loaded).await;
    }
}

#[test]
fn of_equal_timestamps_one_row_remains() {
    SUITE.run(async |world| {
        let table = world.table("ties");
        table.create().await;
        let at = "2026-01-31 10:00:00";
        let first = vec![row(1, at, "a"), row(1, at, "b"), row(2, at, "a"), row(2, at, "a")];
        let second = vec![row(1, at, "aa"), row(2, at, "c"), row(3, at, "x"), row(3, at, "x")];
        load_in_turn(&table, &[("1.csv".into(), csv(&first)), ("2.csv".into(), csv(&second))]).await;
        table.assert_rows(&model::newest(&[first, second].concat(), &[0], 1)).await;
    });
}

#[test]
fn a_null_key_is_a_key_and_a_null_timestamp_is_the_oldest() {
    SUITE.run(async |world| {
        let table = world.table("nulls");
        table.create().await;
        let at = |second: u32| Some(format!("2026-01-31 10:00:{second:02}"));
        let note = |text: &str| Some(text.to_owned());
        let first: Vec<Row> = vec![
            vec![None, at(1), note("null key, old")],
            vec![Some("1".into()), None, note("no time")],
            vec![Some("2".into()), None, note("only row")],
            vec![None, None, note("nothing")],
        ];
        let second: Vec<Row> = vec![
            vec![None, at(2), note("null key, new")],
            vec![Some("1".into()), at(1), None],
            vec![Some("2".into()), None, None],
        ];
        let files = [("1.parquet".to_owned(), parquet(&first)), ("2.parquet".to_owned(), parquet(&second))];
        load_in_turn(&table, &files).await;
        table.assert_rows(&model::newest(&[first, second].concat(), &[0], 1)).await;
    });
}

#[test]
fn a_key_of_two_columns_identifies_a_row() {
    SUITE.run(async |world| {
        let table = world.table("composite");
        table.create().await;
        let first = vec![row(1, "2026-01-01 00:00:00", "a"), row(1, "2026-01-01 00:00:00", "b")];
        let second = vec![row(1, "2026-01-02 00:00:00", "a"), row(2, "2026-01-02 00:00:00", "a")];
        load_in_turn(&table, &[("1.csv".into(), csv(&first)), ("2.csv".into(), csv(&second))]).await;
        table.assert_rows(&model::newest(&[first, second].concat(), &[0, 2], 1)).await;
    });
}

#[test]
fn an_older_row_that_comes_late_changes_nothing() {
    SUITE.run(async |world| {
        let table = world.table("late_old");
        table.create().await;
        table
            .execute(&format!("INSERT INTO {} VALUES (9, '2025-01-01', 'there before')", table.config.target.table))
            .await;
        let new = vec![row(1, "2026-01-02 00:00:00", "new")];
        let old = vec![row(1, "2026-01-01 00:00:00", "old"), row(9, "2024-01-01 00:00:00", "older")];
        load_in_turn(&table, &[("new.csv".into(), csv(&new)), ("old.csv".into(), csv(&old))]).await;
        table.assert_rows(&[row(9, "2025-01-01 00:00:00", "there before"), new[0].clone()]).await;
    });
}

/// Files with repeated keys, equal timestamps and NULLs; a small generator makes them, so they are always the same.
fn files_to_group() -> Vec<Vec<Row>> {
    let mut state = 12_345_u32;
    let mut next = move |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % bound
    };
    let mut field = move |bound: u32, shown: &dyn Fn(u32) -> String| match next(bound + 1) {
        0 => None,
        number => Some(shown(number)),
    };
    let mut make_row = || {
        vec![
            field(12, &|n| n.to_string()),
            field(5, &|n| format!("2026-01-0{n} 00:00:00")),
            field(4, &|n| format!("note{n}")),
        ]
    };
    (0..6).map(|_| (0..30).map(|_| make_row()).collect()).collect()
}

async fn assert_grouping_is_invisible(tables: [Table<'_>; 3], expected: &[Row]) {
    let files: Vec<(String, Vec<u8>)> =
        files_to_group().iter().enumerate().map(|(n, rows)| (format!("{n}.parquet"), parquet(rows))).collect();
    let reversed: Vec<_> = files.iter().rev().cloned().collect();
    let [together, one_by_one, backwards] = &tables;
    for table in &tables {
        table.create().await;
    }
    for (name, body) in &files {
        together.put(name, body.clone()).await;
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    together.send(&together.notification(&names).await.to_string()).await;
    futures::join!(load_in_turn(one_by_one, &files), load_in_turn(backwards, &reversed), async {
        together.until_loaded(6).await;
    });
    for table in &tables {
        table.assert_rows(expected).await;
    }
}

#[test]
fn merged_rows_do_not_depend_on_how_files_were_grouped() {
    let expected = model::newest(&files_to_group().concat(), &[0], 1);
    SUITE.run(async |world| {
        let names = ["grouped_together", "grouped_one_by_one", "grouped_reversed"];
        assert_grouping_is_invisible(names.map(|name| world.table(name)), &expected).await;
    });
}

#[test]
fn without_merge_duplicate_pks_every_version_remains_once_however_files_were_grouped() {
    let expected = model::every_version(&files_to_group().concat(), &[0], 1);
    SUITE.run(async |world| {
        let names = ["versions_together", "versions_one_by_one", "versions_reversed"];
        assert_grouping_is_invisible(names.map(|name| world.table(name)), &expected).await;
    });
}
