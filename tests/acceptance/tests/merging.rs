//! The SQL of a merge in a real database, without S3 and the functions: for any order and grouping of the files, the target has the rows that a
//! few lines of Rust compute.

use std::collections::BTreeMap;
use std::time::Duration;

use acceptance::table::merge;
use anyhow::{Context, Result, ensure};
use loader_core::config::LoadConfig;
use loader_core::fit::Fit;
use loader_core::sql::columns::{TargetColumns, columns_query};
use loader_core::sql::merge::{LoadSql, needs_columns, statements, tombstones_table};
use serde_json::Value;
use tempfile as _;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

#[path = "../../local/data-api/tests/it/support/postgres.rs"]
mod postgres;

/// Key, day of March, value; `None` is NULL.
type Row = (Option<u32>, Option<u32>, Option<u32>);

/// A row of a file.
#[derive(Clone, Copy)]
struct Change {
    row: Row,
    /// Whether it is a deletion of its key.
    gone: bool,
}

const FILES: [&[Row]; 4] = [
    &[(Some(1), Some(3), Some(1)), (Some(2), Some(9), Some(1)), (Some(3), Some(1), None)],
    &[(Some(1), Some(8), Some(1)), (Some(3), Some(1), Some(2)), (Some(2), Some(9), Some(1))],
    &[(Some(1), Some(1), Some(3)), (Some(2), Some(2), Some(9))],
    &[(Some(1), Some(8), Some(2)), (Some(2), Some(9), None), (Some(3), Some(4), Some(1))],
];
/// Additional rows of the files if NULL is allowed.
const WITHOUT: [&[Row]; 4] = [
    &[(None, Some(3), Some(1)), (Some(1), None, Some(9))],
    &[(None, Some(8), Some(1))],
    &[(None, None, Some(5)), (Some(4), None, Some(1))],
    &[(None, Some(3), Some(2)), (Some(4), None, Some(2))],
];

/// Deletions: key, day of March. One has the same time as a row, one comes before its row and one after it, and one is repeated.
const DELETED: [&[(u32, u32)]; 4] = [&[(1, 8), (5, 2)], &[(3, 2)], &[(2, 9), (3, 2)], &[(5, 2), (1, 2)]];
/// Additional deletions if NULL is allowed.
const DELETED_WITHOUT: [&[(Option<u32>, Option<u32>)]; 4] =
    [&[], &[(None, Some(8)), (Some(6), None)], &[(Some(4), None)], &[]];

/// Where the column with the delete marker is.
#[derive(Clone, Copy, PartialEq)]
enum Marker {
    OnlyInFiles,
    InTargetToo,
}

/// A table and how it is merged.
#[derive(Clone, Copy)]
struct Case {
    /// Type of the timestamp, and `NOT NULL` or nothing.
    at: &'static str,
    null: &'static str,
    replace: bool,
    window_days: Option<u32>,
    /// Whether the columns are configured, so that the catalog is not read.
    configured: bool,
    marker: Option<Marker>,
}

impl Case {
    fn config(&self) -> Value {
        let mut config = merge("public.merged", self.replace);
        if let Some(days) = self.window_days {
            config["options"]["merge_window_days"] = days.into();
        }
        if self.marker.is_some() {
            config["options"]["delete_marker"] = serde_json::json!({"column": "op", "value": "D"});
        }
        if self.configured {
            config["copy"]["columns"] = self.columns().into();
        }
        config
    }

    /// The columns in the order of the files; without a configuration, the order that the loader expects.
    fn columns(&self) -> Vec<&'static str> {
        match (self.marker, self.configured) {
            (None, _) => vec!["id", "at", "val"],
            (Some(Marker::OnlyInFiles), false) => vec!["op", "id", "at", "val"],
            (Some(Marker::InTargetToo), false) => vec!["id", "at", "val", "op"],
            (Some(_), true) => vec!["at", "op", "id", "val"],
        }
    }

    fn files(&self) -> Vec<Vec<Change>> {
        let file = |index: usize| {
            let without = if self.null.is_empty() { WITHOUT[index] } else { &[] };
            let rows = FILES[index].iter().chain(without).map(|row| Change { row: *row, gone: false });
            let mut deleted: Vec<_> = DELETED[index].iter().map(|(id, at)| (Some(*id), Some(*at))).collect();
            if self.null.is_empty() {
                deleted.extend(DELETED_WITHOUT[index]);
            }
            deleted.retain(|_| self.marker.is_some());
            rows.chain(deleted.into_iter().map(|(id, at)| Change { row: (id, at, None), gone: true })).collect()
        };
        (0..4).map(file).collect()
    }

    /// The rows that remain: the newest per key or, if versions are kept, per key and timestamp.
    fn expected(&self) -> Vec<Row> {
        let mut found = BTreeMap::new();
        for change in self.files().concat() {
            let (id, at, val) = change.row;
            let best = found.entry((id, at.filter(|_| !self.replace))).or_insert(change);
            let (_, best_at, best_val) = best.row;
            if (at, change.gone, val) > (best_at, best.gone, best_val) {
                *best = change;
            }
        }
        let mut rows: Vec<Row> = found.into_values().filter(|change| !change.gone).map(|change| change.row).collect();
        rows.sort_unstable();
        rows
    }
}

const TIMESTAMP: &str = "TIMESTAMP";
const CASE: Case = Case { at: TIMESTAMP, null: "", replace: true, window_days: None, configured: false, marker: None };
const FIXED: Case = Case { null: "NOT NULL", ..CASE };
const MARKED: Case = Case { marker: Some(Marker::OnlyInFiles), ..CASE };
const CASES: [Case; 13] = [
    Case { configured: true, ..CASE },
    Case { configured: true, replace: false, ..CASE },
    CASE,
    FIXED,
    Case { replace: false, ..FIXED },
    Case { window_days: Some(7), ..CASE },
    Case { at: "DATE", window_days: Some(7), configured: true, ..FIXED },
    Case { at: "TIMESTAMPTZ", window_days: Some(7), ..FIXED },
    MARKED,
    Case { null: "NOT NULL", configured: true, ..MARKED },
    Case { window_days: Some(7), ..MARKED },
    Case { marker: Some(Marker::InTargetToo), ..CASE },
    Case { at: "DATE", marker: Some(Marker::InTargetToo), window_days: Some(7), configured: true, ..FIXED },
];

#[test]
fn merged_rows_do_not_depend_on_order_and_grouping() {
    run("merge_grouping", async |client| {
        for case in &CASES {
            for order in orders() {
                for grouping in 0..8_u32 {
                    let config = case.config();
                    create(client, case).await?;
                    let mut load = Vec::new();
                    for (position, file) in order.iter().enumerate() {
                        load.extend_from_slice(&case.files()[*file]);
                        if position == 3 || grouping >> position & 1 == 1 {
                            merged(client, case, &std::mem::take(&mut load)).await?;
                        }
                    }
                    let (rows, expected) = (target(client).await?, case.expected());
                    ensure!(rows == expected, "{config:#}\n{order:?} by {grouping:b}: {rows:?}, expected {expected:?}");
                    if case.marker.is_some() {
                        ensure_each_key_once(client)
                            .await
                            .with_context(|| format!("{config:#}\n{order:?} by {grouping:b}"))?;
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn rows_before_the_window_are_ignored_but_late_versions_are_not() {
    run("merge_window", async |client| {
        let case = &CASES[5];
        create(client, case).await?;
        let (old, new, late) = ((Some(1), Some(1), None), (Some(1), Some(20), None), (Some(1), Some(2), None));
        for row in [old, new, late] {
            merged(client, case, &[Change { row, gone: false }]).await?;
        }
        let rows = target(client).await?;
        ensure!(rows == [old, new], "{rows:?}");
        Ok(())
    });
}

#[test]
fn a_deletion_is_forgotten_after_keep_days_and_not_before() {
    run("merge_forget", async |client| {
        let case = &MARKED;
        let mut config = case.config();
        config["options"]["delete_marker"]["keep_days"] = 7.into();
        let merged = async |row: Row, gone: bool| {
            let columns = columns(client).await?;
            anyhow::Ok(merged_by(client, (case, &config), &columns, &[Change { row, gone }]).await?)
        };
        let (late, other) = ((Some(1), Some(1), None), (Some(2), Some(1), None));
        for (days, expected) in [(7, vec![other]), (8, vec![late, other])] {
            create(client, case).await?;
            merged((Some(1), Some(9), None), true).await?;
            let age = format!("UPDATE merged_deleted SET rs_loader_deleted_on = rs_loader_deleted_on - {days}");
            client.batch_execute(&age).await?;
            for row in [other, late] {
                merged(row, false).await?;
            }
            let rows = target(client).await?;
            ensure!(rows == expected, "after {days} days: {rows:?}");
        }
        Ok(())
    });
}

#[test]
fn outdated_columns_stop_the_merge() {
    run("merge_guard", async |client| {
        let case = &CASES[3];
        for (change, words) in [
            ("ADD COLUMN more BIGINT", "each UNION query must have the same number of columns"),
            ("DROP COLUMN val", "column \"val\" does not exist"),
        ] {
            create(client, case).await?;
            let kept = columns(client).await?;
            client.batch_execute(&format!("ALTER TABLE merged {change}")).await?;
            let error = merged_by(client, (case, &case.config()), &kept, &case.files()[0]).await.expect_err(change);
            let error = error.as_db_error().context("an error of the database")?.message();
            ensure!(error == words, "{error}");
            client.batch_execute("ROLLBACK").await?;
            ensure!(loader_core::outcome::is_changed_table(error), "{error}");
        }
        Ok(())
    });
}

/// Runs a test in a separate database with this name.
fn run(name: &str, test: impl AsyncFnOnce(&Client) -> Result<()>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outcome = runtime.block_on(async {
        connect("postgres").await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        test(&connect(name).await?).await
    });
    outcome.unwrap_or_else(|error| panic!("{error:#}"));
}

async fn connect(database: &str) -> Result<Client> {
    let mut config = tokio_postgres::Config::new();
    config.host(&postgres::shared().socket).port(postgres::PORT).user("postgres").dbname(database);
    let mut tries = 0;
    let (client, connection) = loop {
        match config.connect(NoTls).await {
            Ok(connected) => break connected,
            // The socket exists before the server is ready.
            Err(_) if tries < 200 => tries += 1,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::spawn(connection);
    Ok(client)
}

/// Every order of the four files.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256_usize).map(|number| [number >> 6 & 3, number >> 4 & 3, number >> 2 & 3, number & 3]);
    all.filter(|order| (0..4).all(|file| order.contains(&file))).collect()
}

async fn create(client: &Client, case: &Case) -> Result<()> {
    let Case { at, null, marker, .. } = case;
    let op = if *marker == Some(Marker::InTargetToo) { ", op VARCHAR(1) NOT NULL" } else { "" };
    let table = format!("CREATE TABLE merged (id BIGINT {null}, at {at} {null}, val BIGINT{op})");
    let config = LoadConfig::from_value(&case.config()).map_err(anyhow::Error::msg)?;
    let tombstones = tombstones_table(&config).unwrap_or_default();
    Ok(client.batch_execute(&format!("DROP TABLE IF EXISTS merged, merged_deleted; {table}; {tombstones}")).await?)
}

/// Fails unless each key has only one row, in the target or among the tombstones.
async fn ensure_each_key_once(client: &Client) -> Result<()> {
    let keys = "SELECT id FROM (SELECT id FROM merged UNION ALL SELECT id FROM merged_deleted) k GROUP BY id HAVING COUNT(*) > 1";
    let twice = cells(client, keys).await?;
    ensure!(twice.is_empty(), "twice: {twice:?}");
    Ok(())
}

async fn columns(client: &Client) -> Result<TargetColumns> {
    let config = merge("public.merged", true);
    let table = LoadConfig::from_value(&config).map_err(anyhow::Error::msg)?.target.table.clone();
    let rows = cells(client, &columns_query(&table)).await?;
    Ok(TargetColumns::from_rows(&rows))
}

/// Merges a load with the current columns.
async fn merged(client: &Client, case: &Case, rows: &[Change]) -> Result<()> {
    let config = case.config();
    let parsed = LoadConfig::from_value(&config).map_err(anyhow::Error::msg)?;
    let columns =
        if needs_columns(&parsed) { columns(client).await? } else { TargetColumns::Named(parsed.columns.clone()) };
    Ok(merged_by(client, (case, &config), &columns, rows).await?)
}

/// Runs the statements of a load in a transaction, with an INSERT instead of the COPY.
async fn merged_by(
    client: &Client,
    (case, config): (&Case, &Value),
    columns: &TargetColumns,
    rows: &[Change],
) -> Result<(), tokio_postgres::Error> {
    let config = LoadConfig::from_value(config).expect("a valid configuration");
    let load = LoadSql {
        config: &config,
        columns,
        fit: &Fit::default(),
        manifest: "s3://m/a.json",
        load_id: "l",
        statement_name: "n",
    };
    let values: Vec<String> = rows.iter().map(|change| values(case, change)).collect();
    let mut sql = vec!["BEGIN".to_owned()];
    for statement in statements(&load).expect("SQL") {
        let is_copy = statement.starts_with("COPY ");
        sql.push(if is_copy { format!("INSERT INTO rs_loader_stage VALUES {}", values.join(", ")) } else { statement });
    }
    sql.extend(["DROP TABLE rs_loader_stage, rs_loader_ranked".to_owned(), "COMMIT".to_owned()]);
    client.batch_execute(&sql.join(";\n")).await
}

/// The values of a row, in the order of the files.
fn values(case: &Case, Change { row: (id, at, val), gone }: &Change) -> String {
    let number = |value: &Option<u32>| value.map_or("NULL".to_owned(), |value| value.to_string());
    let value = |column: &str| match column {
        "id" => number(id),
        "at" => at.map_or("NULL".to_owned(), |day| format!("'2026-03-{day:02}'")),
        "val" => number(val),
        _ => if *gone { "'D'" } else { "'U'" }.to_owned(),
    };
    format!("({})", case.columns().into_iter().map(value).collect::<Vec<_>>().join(", "))
}

async fn target(client: &Client) -> Result<Vec<Row>> {
    let rows = cells(client, "SELECT id, EXTRACT(DAY FROM at)::INT, val FROM merged").await?;
    let number = |cell: &Option<String>| cell.as_ref().map(|text| text.parse::<u32>()).transpose();
    let row = |cells: &Vec<Option<String>>| Ok((number(&cells[0])?, number(&cells[1])?, number(&cells[2])?));
    let mut rows = rows.iter().map(row).collect::<Result<Vec<Row>>>()?;
    rows.sort_unstable();
    Ok(rows)
}

async fn cells(client: &Client, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let messages = client.simple_query(sql).await?;
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(ToOwned::to_owned)).collect()),
        _ => None,
    };
    Ok(messages.iter().filter_map(row).collect())
}
