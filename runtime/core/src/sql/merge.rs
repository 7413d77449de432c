//! The SQL statements of one load, run as one transaction by `BatchExecuteStatement`.
//!
//! Append copies into the target. Merging copies into a staging table, ranks staged rows and the matching rows of the target
//! together, and writes only the winners that are new. Because the winner is the greatest row of a total order (timestamp,
//! then every column), the target does not depend on how files were grouped into loads, nor on their order.

use super::columns::{Identity, TargetColumn, TargetColumns};
use super::copy::copy_command;
use super::ident::{Ident, TableName};
use super::literal;
use crate::config::{LoadConfig, LoadMode};
use crate::limits::{BATCH_STATEMENTS_MAX, SQL_BYTES_MAX};

const STAGE: &str = "rs_loader_stage";
const RANKED: &str = "rs_loader_ranked";
const RANK: &str = "rs_loader_rank";
const STAGED: &str = "rs_loader_staged";

/// Why there is no SQL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The target has no columns for the user that the loader signs in as.
    #[error(
        "table {0} does not exist, or the database user sees none of its columns: create it, or grant SELECT, INSERT and DELETE on it"
    )]
    NoColumns(TableName),
    /// A merge column is not a column of the target.
    #[error("table {table} has no column {column}, by which rows are merged: correct `options`, or add the column")]
    MissingColumn {
        /// The target.
        table: TableName,
        /// The column.
        column: Ident,
    },
    /// Which of two rows remains is told by an order of all columns, so that it does not depend on how files were grouped.
    #[error(
        "column {column} is a {kind}, by which rows cannot be ordered, so this table cannot be merged: append to it"
    )]
    Unordered {
        /// The column.
        column: Ident,
        /// Its type.
        kind: String,
    },
    /// The service would refuse it.
    #[error(
        "the SQL of this load has {0} bytes, more than the {SQL_BYTES_MAX} that the Data API takes: give fewer `copy.columns`"
    )]
    TooLong(usize),
}

/// What one load's SQL is made of.
#[derive(Clone, Copy, Debug)]
pub struct LoadSql<'a> {
    /// How the table is loaded.
    pub config: &'a LoadConfig,
    /// Columns of the target, which merging names; see [`needs_columns`].
    pub columns: &'a TargetColumns,
    /// URL of the manifest.
    pub manifest: &'a str,
    /// The load, for the ledger in the warehouse.
    pub load_id: &'a str,
    /// The statement's name, for the ledger in the warehouse.
    pub statement_name: &'a str,
}

/// Types that no ORDER BY takes (Redshift database guide, "Limitations when using spatial data", HLLSKETCH type).
const UNORDERED: [&str; 3] = ["geometry", "geography", "hllsketch"];

/// The statements, in order.
pub fn statements(load: &LoadSql) -> Result<Vec<String>, SqlError> {
    let mut statements = match &load.config.mode {
        LoadMode::Append => {
            vec![copy_command(&load.config.target.table.to_string(), &load.config.columns, load.config, load.manifest)]
        }
        LoadMode::Replace { keys, timestamp } => merge(load, keys, timestamp, &keys.iter().collect::<Vec<_>>())?,
        LoadMode::Versions { keys, timestamp } => {
            merge(load, keys, timestamp, &keys.iter().chain([timestamp]).collect::<Vec<_>>())?
        }
    };
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

/// Whether the columns of the target must be known for the SQL.
pub fn needs_columns(config: &LoadConfig) -> bool {
    config.columns.is_empty() && config.mode != LoadMode::Append
}

/// Asks the ledger in the warehouse for a load.
pub fn ledger_query(ledger: &TableName, load_id: &str) -> String {
    format!("SELECT count(*) FROM {ledger} WHERE load_id = {}", literal(load_id))
}

/// The columns that are loaded, in the order of the files: those of the configuration, else all but what the warehouse itself numbers.
fn loaded(load: &LoadSql) -> Result<Vec<TargetColumn>, SqlError> {
    let table = &load.config.target.table;
    let columns: Vec<TargetColumn> = match load.columns {
        TargetColumns::Named(names) => names.iter().map(TargetColumn::named).collect(),
        TargetColumns::Asked(all) => all.iter().filter(|it| it.identity != Identity::Always).cloned().collect(),
    };
    if columns.is_empty() {
        return Err(SqlError::NoColumns(table.clone()));
    }
    match columns.iter().find(|column| UNORDERED.contains(&column.kind.as_str())) {
        Some(TargetColumn { name, kind, .. }) => Err(SqlError::Unordered { column: name.clone(), kind: kind.clone() }),
        None => Ok(columns),
    }
}

fn merge(load: &LoadSql, keys: &[Ident], timestamp: &Ident, identity: &[&Ident]) -> Result<Vec<String>, SqlError> {
    let target = &load.config.target.table;
    let loaded = loaded(load)?;
    let names: Vec<&Ident> = loaded.iter().map(|column| &column.name).collect();
    if let Some(column) = keys.iter().chain([timestamp]).find(|column| !names.contains(column)) {
        return Err(SqlError::MissingColumn { table: target.clone(), column: column.clone() });
    }
    let columns = list(names.iter().copied());
    let of = |alias: &str| names.iter().map(|c| format!("{alias}.{c}")).collect::<Vec<_>>().join(", ");
    // The order is total: what is left equal is equal in every column, and then the row that is there already wins.
    let order: Vec<String> = std::iter::once(timestamp)
        .chain(names.iter().copied().filter(|column| *column != timestamp && !identity.contains(column)))
        .map(|column| format!("{column} DESC NULLS LAST"))
        .chain([format!("{STAGED} ASC")])
        .collect();
    let identified = list(identity.iter().copied());
    let order = order.join(", ");
    let unknown =
        |alias: &str| identity.iter().map(|c| format!("{alias}.{c} IS NULL")).collect::<Vec<_>>().join(" OR ");
    let guard = load.columns.guard(target).filter(|_| load.config.columns.is_empty());
    let lost = format!("DELETE FROM {target} USING {RANKED} r WHERE r.{RANK} = 1 AND r.{STAGED} = 1");
    let merge = [
        format!("CREATE TEMP TABLE {STAGE} AS SELECT {columns} FROM {target} WHERE 1 = 0"),
        copy_command(STAGE, &[], load.config, load.manifest),
        format!(
            "CREATE TEMP TABLE {RANKED} AS SELECT {columns}, {STAGED}, \
             ROW_NUMBER() OVER (PARTITION BY {identified} ORDER BY {order}) AS {RANK} FROM (\
             SELECT {}, 1 AS {STAGED} FROM {STAGE} s \
             UNION ALL SELECT {t}, 0 AS {STAGED} FROM {target} t WHERE EXISTS (SELECT 1 FROM {STAGE} s WHERE {}) \
             UNION ALL SELECT {t}, 0 AS {STAGED} FROM {target} t WHERE {}) u",
            of("s"),
            equal("t", "s", identity),
            unknown("t"),
            t = of("t"),
        ),
        format!("{lost} AND {}", equal(&target.to_string(), "r", identity)),
        format!("{lost} AND ({}) AND {}", unknown("r"), same(&target.to_string(), "r", identity)),
        format!("INSERT INTO {target} ({columns}) SELECT {columns} FROM {RANKED} WHERE {RANK} = 1 AND {STAGED} = 1"),
    ];
    Ok(guard.into_iter().chain(merge).collect())
}

fn list<'a>(columns: impl Iterator<Item = &'a Ident>) -> String {
    columns.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Plain equality, which the warehouse can join by hash; rows without a key value are dealt with apart.
fn equal(left: &str, right: &str, columns: &[&Ident]) -> String {
    columns.iter().map(|c| format!("{left}.{c} = {right}.{c}")).collect::<Vec<_>>().join(" AND ")
}

/// Equality in which NULL equals NULL: a row without a key value is one row, not none and not many.
fn same(left: &str, right: &str, columns: &[&Ident]) -> String {
    let null_safe = |c: &&Ident| format!("({left}.{c} = {right}.{c} OR ({left}.{c} IS NULL AND {right}.{c} IS NULL))");
    columns.iter().map(null_safe).collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The statements where only names are known.
    fn sql(change: impl FnOnce(&mut Value)) -> String {
        let columns = TargetColumns::Named(["id", "at", "amount"].into_iter().map(Ident::exact).collect());
        sql_of(&columns, change)
    }

    /// The statements for columns of the catalog: each its name, its default, its type, and whether it may be NULL.
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
        let load = LoadSql { config: &config, columns, manifest: "s3://m/x.json", load_id: "l", statement_name: "n" };
        statements(&load).map_or_else(|error| error.to_string(), |all| all.join(";\n"))
    }

    fn replace(value: &mut Value) {
        value["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
    }

    const ID: [&str; 4] = ["id", "", "bigint", "YES"];
    const AT: [&str; 4] = ["at", "", "timestamp without time zone", "YES"];
    const NUMBER: [&str; 4] = ["n", "\"identity\"(100, 2, '0,1'::text)", "bigint", "NO"];

    #[test]
    fn append_is_one_copy() {
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
    fn a_merge_column_that_is_not_there_is_an_error() {
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
}
