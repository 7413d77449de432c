//! The SQL statements of one load, which `BatchExecuteStatement` runs as one transaction.
//!
//! An append copies into the target. A merge copies into a staging table, ranks the staged rows together with the matching rows of the
//! target, and writes only the winners that are new. The winner is the greatest row of a total order (timestamp, then every column), so the
//! target does not depend on the grouping of files into loads, nor on their order. A row that marks a deletion is a version like any other;
//! if it wins, its key and timestamp are stored in a table of tombstones.

use super::columns::{Identity, TargetColumn, TargetColumns, marker_column};
use super::copy::copy_command;
use super::literal;
use crate::config::{LoadConfig, LoadMode};
use crate::fit::Fit;
use crate::ident::{Ident, TableName};
use crate::limits::{BATCH_STATEMENTS_MAX, SQL_BYTES_MAX};

use self::deleted::Deleted;
use self::steps::{Merge, STAGE, check_window};

mod deleted;
mod steps;

pub use self::deleted::{tombstones_privileges, tombstones_table};

/// Why the SQL cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The loader's database user sees no columns of the target.
    #[error(
        "table {0} does not exist, or the database user sees none of its columns: create it, or grant SELECT, INSERT and DELETE on it"
    )]
    NoColumns(TableName),
    /// A merge column is not a column of the target.
    #[error("table {table} has no column {column}, by which rows are merged: correct `options`, or add the column")]
    MissingColumn {
        /// The target table.
        table: TableName,
        /// The configured merge column.
        column: Ident,
    },
    /// A column's type cannot be ordered. All columns must be ordered, because the choice between two rows must not depend on the grouping
    /// of files.
    #[error(
        "column {column} is a {kind}, by which rows cannot be ordered, so this table cannot be merged: append to it"
    )]
    Unordered {
        /// The column.
        column: Ident,
        /// Its type, as the catalog spells it.
        kind: String,
    },
    /// `options.merge_window_days` needs a timestamp from which days can be subtracted.
    #[error(
        "column {column} is a {kind}, from which `options.merge_window_days` cannot be taken: merge by a DATE, TIMESTAMP or TIMESTAMPTZ column, or remove the option"
    )]
    NoWindow {
        /// The timestamp column.
        column: Ident,
        /// Its type, as the catalog spells it.
        kind: String,
    },
    /// The SQL exceeds a limit of the service.
    #[error(
        "the SQL of this load has {0} bytes, more than the {SQL_BYTES_MAX} that the Data API accepts: list fewer `copy.columns`"
    )]
    TooLong(usize),
}

/// The input for building one load's SQL.
#[derive(Clone, Copy, Debug)]
pub struct LoadSql<'a> {
    /// How the table is loaded.
    pub config: &'a LoadConfig,
    /// Columns of the target; required if [`needs_columns`] says so.
    pub columns: &'a TargetColumns,
    /// How the files map to the target.
    pub fit: &'a Fit,
    /// URL of the manifest.
    pub manifest: &'a str,
    /// The load, for the ledger table in the warehouse.
    pub load_id: &'a str,
    /// The statement's name, for the ledger table in the warehouse.
    pub statement_name: &'a str,
}

/// Types that cannot be used in ORDER BY (Redshift database guide, "Limitations when using spatial data", HLLSKETCH type).
const UNORDERED: [&str; 3] = ["geometry", "geography", "hllsketch"];

/// The SQL statements, in order.
pub fn statements(load: &LoadSql) -> Result<Vec<String>, SqlError> {
    let table = &load.config.target.table;
    // First, so that the transaction sees what the previous holder of the lock committed.
    let mut statements: Vec<String> = load.config.lock.then(|| format!("LOCK {table}")).into_iter().collect();
    match &load.config.mode {
        LoadMode::Append => {
            let list = if load.fit.columns.is_empty() { &load.config.columns } else { &load.fit.columns };
            let copy = copy_command(&table.to_string(), list, load.config, load.manifest);
            statements.extend(alters(load).chain([copy]));
        }
        LoadMode::Replace { keys, timestamp, .. } | LoadMode::Versions { keys, timestamp } => {
            statements.extend(merge(load, keys, timestamp)?);
        }
    }
    if let Some(ledger) = &load.config.ledger_table {
        statements.push(format!(
            "INSERT INTO {ledger} (load_id, statement_name, manifest) VALUES ({}, {}, {})",
            literal(load.load_id),
            literal(load.statement_name),
            literal(load.manifest)
        ));
    }
    debug_assert!(statements.len() <= BATCH_STATEMENTS_MAX);
    let bytes = statements.iter().map(String::len).sum();
    if bytes > SQL_BYTES_MAX { Err(SqlError::TooLong(bytes)) } else { Ok(statements) }
}

/// Whether the catalog must be queried for the target's columns. If not, `copy.columns` are [`TargetColumns::Named`].
pub fn needs_columns(config: &LoadConfig) -> bool {
    match config.mode {
        LoadMode::Append => false,
        LoadMode::Replace { window_days: Some(_), .. } | LoadMode::Replace { delete_marker: Some(_), .. } => true,
        LoadMode::Replace { .. } | LoadMode::Versions { .. } => config.columns.is_empty(),
    }
}

/// The query that counts a load's rows in the ledger table in the warehouse.
pub fn ledger_query(ledger: &TableName, load_id: &str) -> String {
    format!("SELECT count(*) FROM {ledger} WHERE load_id = {}", literal(load_id))
}

fn merge(load: &LoadSql, keys: &[Ident], timestamp: &Ident) -> Result<Vec<String>, SqlError> {
    let table = &load.config.target.table;
    let (columns, deleted) = columns(load)?;
    let find = |name: &Ident| {
        let missing = || SqlError::MissingColumn { table: table.clone(), column: name.clone() };
        columns.iter().find(|column| column.name == *name).ok_or_else(missing)
    };
    let mut identifying = keys.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let timestamp = find(timestamp)?;
    let replaced_days_max = match &load.config.mode {
        LoadMode::Replace { window_days, .. } => *window_days,
        LoadMode::Versions { .. } | LoadMode::Append => {
            identifying.push(timestamp);
            // A row may replace one with the same time, so the window is 0 days.
            (!timestamp.nullable).then_some(0)
        }
    };
    check_window(load.config, timestamp)?;
    let is_whole = load.config.columns.is_empty() && load.columns.are_all_loaded();
    let merge = Merge { table, columns: &columns, identifying, timestamp, replaced_days_max, is_whole, deleted };
    // Configured columns are loaded, whatever else the target has.
    let guard = load.columns.guard(table).filter(|_| load.config.columns.is_empty());
    let copied = [merge.stage(), copy_command(STAGE, &load.fit.columns, load.config, load.manifest)];
    let written = [merge.ranked()].into_iter().chain(merge.deletes()).chain([merge.insert()]);
    Ok(guard
        .into_iter()
        .chain(alters(load))
        .chain(copied)
        .chain(merge.late())
        .chain(written)
        .chain(merge.bury())
        .collect())
}

/// The columns to write, and which rows mark deletions.
fn columns<'a>(load: &'a LoadSql) -> Result<(Vec<TargetColumn>, Option<Deleted<'a>>), SqlError> {
    let staged = loaded(load)?;
    let Some(marker) = load.config.delete_marker() else { return Ok((staged, None)) };
    // Without the catalog, it is not known whether the target has the marker's column.
    let TargetColumns::Asked(all) = load.columns else {
        return Err(SqlError::NoColumns(load.config.target.table.clone()));
    };
    let only_staged = marker_column(load.config, all).map(|column| column.name);
    let written = staged.iter().filter(|column| only_staged.as_ref() != Some(&column.name)).cloned().collect();
    let staged = staged.into_iter().map(|column| column.name).collect();
    Ok((written, Some(Deleted { marker, staged, only_staged })))
}

/// Adds columns to the target in the transaction of the rows, before a staging table is created like it.
fn alters(load: &LoadSql) -> impl Iterator<Item = String> {
    load.fit.added.iter().map(|column| column.statement(&load.config.target.table))
}

/// The columns to stage, in the order of the files: those of the configuration, otherwise all except those that only the warehouse fills,
/// plus those to be added.
fn loaded(load: &LoadSql) -> Result<Vec<TargetColumn>, SqlError> {
    let configured = &load.config.columns;
    let mut columns: Vec<TargetColumn> = match load.columns {
        TargetColumns::Named(names) => names.iter().map(TargetColumn::named).collect(),
        TargetColumns::Asked(all) if configured.is_empty() => {
            let marker = marker_column(load.config, all).filter(|_| !all.is_empty());
            marker.into_iter().chain(all.iter().filter(|column| column.identity != Identity::Always).cloned()).collect()
        }
        TargetColumns::Asked(all) => {
            let known = |name: &Ident| all.iter().find(|column| column.name == *name).cloned();
            configured.iter().map(|name| known(name).unwrap_or_else(|| TargetColumn::named(name))).collect()
        }
    };
    if columns.is_empty() {
        return Err(SqlError::NoColumns(load.config.target.table.clone()));
    }
    columns.extend(load.fit.added.iter().map(|column| TargetColumn::named(&column.name)));
    match columns.iter().find(|column| UNORDERED.contains(&column.kind.as_str())) {
        Some(TargetColumn { name, kind, .. }) => Err(SqlError::Unordered { column: name.clone(), kind: kind.clone() }),
        None => Ok(columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The SQL if only names are known.
    fn sql(change: impl FnOnce(&mut Value)) -> String {
        let columns = TargetColumns::Named(["id", "at", "amount"].into_iter().map(Ident::exact).collect());
        sql_of(&columns, change)
    }

    /// The SQL for columns from the catalog: name, default, type, and whether NULL is allowed.
    fn asked(columns: &[[&str; 4]], change: impl FnOnce(&mut Value)) -> String {
        let row = |cells: &[&str; 4]| cells.iter().map(|cell| Some((*cell).to_owned())).collect();
        sql_of(&TargetColumns::from_rows(&columns.iter().map(row).collect::<Vec<_>>()), change)
    }

    fn sql_of(columns: &TargetColumns, change: impl FnOnce(&mut Value)) -> String {
        let mut value = json!({
            "copy": {"role_arn": "default", "table_name": "shop.sales"},
            "cluster": {"identifier": "c", "db_name": "dev"}
        });
        change(&mut value);
        let config = LoadConfig::from_value(&value).unwrap();
        sql_with(&config, columns, &Fit::default())
    }

    fn sql_with(config: &LoadConfig, columns: &TargetColumns, fit: &Fit) -> String {
        let load = LoadSql { config, columns, fit, manifest: "s3://m/x.json", load_id: "l", statement_name: "n" };
        statements(&load).map_or_else(|error| error.to_string(), |all| all.join(";\n"))
    }

    fn replace(value: &mut Value) {
        value["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
    }

    const ID: [&str; 4] = ["id", "", "bigint", "YES"];
    const AT: [&str; 4] = ["at", "", "timestamp without time zone", "YES"];
    const NUMBER: [&str; 4] = ["n", "\"identity\"(100, 2, '0,1'::text)", "bigint", "NO"];

    #[test]
    fn an_append_is_one_copy() {
        insta::assert_snapshot!(sql(|_| {}), @r#"COPY "shop"."sales" FROM 's3://m/x.json' IAM_ROLE default FORMAT AS PARQUET MANIFEST"#);
    }

    #[test]
    fn a_column_list_and_a_ledger() {
        insta::assert_snapshot!(sql(|v| {
            v["copy"]["columns"] = json!(["id", "at"]);
            v["copy"]["options"] = json!("CSV GZIP");
            v["options"] = json!({"ledger_table": "shop.loads"});
        }));
    }

    #[test]
    fn replace_keeps_the_newest_row_per_key() {
        insta::assert_snapshot!(sql(|v| {
            v["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
        }));
    }

    #[test]
    fn versions_keep_every_key_and_timestamp_once() {
        insta::assert_snapshot!(sql(|v| {
            v["options"] = json!({"merge_duplicate_pks": false, "merge_pk": "id", "merge_timestamp": "at"});
        }));
    }

    #[test]
    fn a_missing_merge_column_is_an_error() {
        let shown =
            sql(|v| v["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "key", "merge_timestamp": "at"}));
        assert_eq!(
            shown,
            r#"table "shop"."sales" has no column "key", by which rows are merged: correct `options`, or add the column"#
        );
    }

    #[test]
    fn a_merge_by_columns_that_were_asked_for_begins_with_their_guard() {
        let first = |sql: &str| sql.lines().next().unwrap_or_default().to_owned();
        assert_eq!(
            first(&asked(&[ID, AT, NUMBER], replace)),
            r#"SELECT * FROM "shop"."sales" WHERE 1 = 0 UNION ALL SELECT "id", "at", "n" FROM "shop"."sales" WHERE 1 = 0;"#
        );
        let appended = first(&asked(&[ID, AT, NUMBER], |_| {}));
        assert!(appended.starts_with("COPY "), "{appended}");
    }

    #[test]
    fn what_the_warehouse_numbers_is_not_loaded() {
        let sql = asked(&[ID, AT, NUMBER], replace);
        let insert = sql.lines().last().unwrap_or_default();
        assert!(insert.starts_with(r#"INSERT INTO "shop"."sales" ("id", "at") SELECT"#), "{insert}");
    }

    #[test]
    fn a_table_that_cannot_be_merged_is_an_error() {
        let shape = ["shape", "", "GEOMETRY", "YES"];
        assert_eq!(
            asked(&[ID, AT, shape], replace),
            r#"column "shape" is a geometry, by which rows cannot be ordered, so this table cannot be merged: append to it"#
        );
        assert_eq!(
            asked(&[], replace),
            r#"table "shop"."sales" does not exist, or the database user sees none of its columns: create it, or grant SELECT, INSERT and DELETE on it"#
        );
    }

    const KEY: [&str; 4] = ["id", "", "bigint", "NO"];
    const WHEN: [&str; 4] = ["at", "", "timestamp without time zone", "NO"];

    fn window(value: &mut Value) {
        replace(value);
        value["options"]["merge_window_days"] = json!(7);
    }

    #[test]
    fn a_column_that_cannot_be_null_needs_no_branch() {
        insta::assert_snapshot!(asked(&[KEY, WHEN], replace));
    }

    #[test]
    fn a_key_that_can_be_null_keeps_its_branch() {
        insta::assert_snapshot!(asked(&[KEY, AT, ["day", "", "date", "YES"]], |value| {
            value["options"] =
                json!({"merge_duplicate_pks": false, "merge_pk": ["id", "day"], "merge_timestamp": "at"});
        }));
    }

    #[test]
    fn the_stage_is_like_the_target_where_the_files_have_all_its_columns() {
        let stage = |columns: &[[&str; 4]], change: fn(&mut Value)| {
            let sql = asked(columns, change);
            sql.lines().find(|line| line.starts_with("CREATE TEMP TABLE rs_loader_stage")).map(ToOwned::to_owned)
        };
        let like = Some(r#"CREATE TEMP TABLE rs_loader_stage (LIKE "shop"."sales");"#);
        assert_eq!(stage(&[KEY, AT], replace).as_deref(), like);
        let by_default = ["m", "default_identity(100, 2, '0,1'::text)", "bigint", "NO"];
        let listed = |value: &mut Value| {
            window(value);
            value["copy"]["columns"] = json!(["id", "at"]);
        };
        let selected = Some(
            r#"CREATE TEMP TABLE rs_loader_stage AS SELECT "id", "at" FROM "shop"."sales" WHERE 1 = 0;"#.to_owned(),
        );
        assert_eq!(stage(&[KEY, AT, NUMBER], replace), selected);
        assert_eq!(stage(&[KEY, AT], listed), selected);
        assert!(stage(&[KEY, AT, by_default], replace).unwrap().contains(r#"SELECT "id", "at", "m" FROM"#));
    }

    fn deletes(value: &mut Value) {
        replace(value);
        value["options"]["delete_marker"] = json!({"column": "op", "value": "D"});
    }

    #[test]
    fn deletions_are_remembered_beside_the_target() {
        insta::assert_snapshot!(asked(&[ID, WHEN, ["amount", "", "bigint", "NO"]], |value| {
            deletes(value);
            value["options"]["delete_marker"]["keep_days"] = json!(30);
        }));
    }

    #[test]
    fn the_marker_is_staged_where_the_files_have_it() {
        let stage = |columns: &[[&str; 4]], listed: Value| {
            let sql = asked(columns, |value| {
                deletes(value);
                value["copy"]["columns"] = listed;
            });
            let stage = sql.lines().find(|line| line.starts_with("CREATE TEMP TABLE rs_loader_stage")).unwrap_or(&sql);
            let insert = sql.lines().find(|line| line.starts_with(r#"INSERT INTO "shop"."sales" "#)).unwrap_or(&sql);
            let between = |text: &str, from: &str, to: &str| {
                text.split_once(from)
                    .and_then(|(_, rest)| rest.split_once(to))
                    .map(|(part, _)| part.to_owned())
                    .unwrap()
            };
            (between(stage, "AS SELECT ", " FROM"), between(insert, "(", ")"))
        };
        let op = r#"CAST(NULL AS VARCHAR(256)) AS "op""#;
        let expect = |staged: String, written: &str| (staged, written.to_owned());
        let both = r#""id", "at""#;
        assert_eq!(stage(&[KEY, AT], json!([])), expect(format!("{op}, {both}"), both));
        assert_eq!(
            stage(&[KEY, AT, NUMBER], json!(["at", "op", "id"])),
            expect(format!(r#""at", {op}, "id""#), r#""at", "id""#)
        );
        let marker = ["op", "", "character varying", "NO"];
        let three = r#""id", "op", "at""#;
        assert_eq!(stage(&[KEY, marker, AT], json!([])), expect(three.to_owned(), three));
    }

    #[test]
    fn without_the_catalog_no_marker_is_staged() {
        assert!(sql(deletes).contains("does not exist, or the database user sees none"), "{}", sql(deletes));
        let config = json!({"copy": {"role_arn": "default", "table_name": "sales", "columns": ["op", "id", "at"]},
            "cluster": {"workgroup": "w", "db_name": "dev"},
            "options": {"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at",
                "delete_marker": {"column": "op", "value": "D"}}});
        assert!(needs_columns(&LoadConfig::from_value(&config).unwrap()));
    }

    #[test]
    fn tombstones_have_the_types_of_the_target() {
        let mut config = json!({"copy": {"role_arn": "default", "table_name": "shop.sales"}, "cluster": {"workgroup": "w", "db_name": "dev"}});
        deletes(&mut config);
        let config = LoadConfig::from_value(&config).unwrap();
        assert_eq!(
            tombstones_table(&config).unwrap(),
            r#"CREATE TABLE "shop"."sales_deleted" AS SELECT "id", "at", CURRENT_DATE AS rs_loader_deleted_on FROM "shop"."sales" WHERE 1 = 0"#
        );
    }

    #[test]
    fn a_lock_comes_before_everything() {
        let lock = |value: &mut Value| value["options"]["lock"] = json!(true);
        let begins = |sql: String| assert!(sql.starts_with("LOCK \"shop\".\"sales\";\n"), "{sql}");
        begins(sql(lock));
        begins(asked(&[KEY, AT], |value| {
            replace(value);
            lock(value);
        }));
    }

    #[test]
    fn a_window_limits_what_is_replaced() {
        insta::assert_snapshot!(asked(&[ID, AT], window));
    }

    /// The condition on the target's rows in the first DELETE.
    fn since(columns: &[[&str; 4]]) -> String {
        let sql = asked(columns, window);
        let delete = sql.lines().find(|line| line.starts_with("DELETE")).unwrap_or(&sql);
        delete.split_once(r#"r."id" AND "#).map_or(delete, |(_, since)| since).trim_end_matches(';').to_owned()
    }

    #[test]
    fn a_window_is_subtracted_according_to_the_timestamps_type() {
        let of = |kind: &'static str| since(&[KEY, ["at", "", kind, "NO"]]);
        let days = r#""shop"."sales"."at" >= (SELECT MIN(COALESCE("at", CAST('0001-01-01' AS DATE))) - 7 FROM rs_loader_stage)"#;
        assert_eq!(of("date"), days);
        let interval = |kind: &str| {
            format!(
                r#""shop"."sales"."at" >= (SELECT MIN(COALESCE("at", CAST('0001-01-01' AS {kind}))) - INTERVAL '7 days' FROM rs_loader_stage)"#
            )
        };
        assert_eq!(of("timestamp without time zone"), interval("TIMESTAMP"));
        assert_eq!(of("timestamp with time zone"), interval("TIMESTAMPTZ"));
        assert_eq!(
            of("bigint"),
            r#"column "at" is a bigint, from which `options.merge_window_days` cannot be taken: merge by a DATE, TIMESTAMP or TIMESTAMPTZ column, or remove the option"#
        );
        assert!(asked(&[KEY, ["at", "", "bigint", "NO"]], replace).contains("INSERT"));
    }

    #[test]
    fn configured_columns_are_loaded_whatever_else_the_target_has() {
        let sql = asked(&[NUMBER, ["shape", "", "geometry", "YES"], AT, KEY], |value| {
            window(value);
            value["copy"]["columns"] = json!(["id", "at"]);
        });
        assert!(sql.starts_with("CREATE TEMP TABLE"), "no guard: {sql}");
        assert!(sql.ends_with(r#"INSERT INTO "shop"."sales" ("id", "at") SELECT "id", "at" FROM rs_loader_ranked WHERE rs_loader_rank = 1 AND rs_loader_staged = 1"#), "{sql}");
    }
}
