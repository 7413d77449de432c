//! Drift: whether the columns of a file match those into which its load's COPY would write them.
//!
//! COPY from Parquet matches columns by position and converts no types (Redshift database guide, "COPY from columnar data formats"), so
//! columns in another order silently corrupt rows. Only a clear contradiction is a misfit; anything uncertain is left to COPY. JSON is
//! matched by names: COPY drops keys without a column. If columns are to be added, a file is matched by the names of its columns: it fits
//! with the column list of [`Fit`], even if it would be a misfit by position.

use self::by_name::by_name;
use self::compare::{Differences, compare};
use self::json::{by_keys, by_paths};
use crate::config::{LoadConfig, LoadMode, SchemaChange};
use crate::copy_options::Naming;
use crate::fit::{AddedColumn, Fit, folded};
use crate::ident::{Ident, TableName};
use crate::parquet::{FileColumn, Physical};
use crate::sql::columns::{Identity, TargetColumn, TargetColumns, marker_column};

mod by_name;
mod compare;
mod json;

/// Why a file cannot be loaded as it is, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Misfit {
    /// What differs.
    pub error: String,
    /// What to do.
    pub remedy: String,
}

/// Maximum number of columns named in a message; the others are counted.
const NAMED_MAX: usize = 8;

/// Whether the files of such a load are compared with the target before COPY: Parquet, CSV with a header, or JSON.
pub fn is_compared(config: &LoadConfig) -> bool {
    config.schema_change != SchemaChange::Ignore
}

/// How a file maps to the target, or why it certainly cannot be loaded. `target` has all columns of the table.
pub fn judge(config: &LoadConfig, target: &TargetColumns, file: &[FileColumn]) -> Result<Fit, Misfit> {
    let adds = config.schema_change == SchemaChange::AddColumns && may_be_compared(config, file);
    let by_name = if adds { by_name(config, target, file) } else { None };
    let misfit = match config.options.naming() {
        Some(Naming::Keys { any_case }) => by_keys(config, target, file, any_case),
        Some(Naming::Paths(paths)) => by_paths(config, target, file, &paths),
        Some(Naming::Header(_)) | None => misfit(config, target, file),
    };
    match (by_name, misfit) {
        (Some(fit), _) => Ok(fit),
        (None, Some(misfit)) => Err(misfit),
        (None, None) => Ok(Fit::default()),
    }
}

/// A file with nested columns is not compared: COPY loads them as text, or not at all.
fn may_be_compared(config: &LoadConfig, file: &[FileColumn]) -> bool {
    let is_nested = file.iter().any(|column| column.physical == Physical::Nested);
    !is_nested || config.options.has("SERIALIZETOJSON")
}

/// What is certainly wrong with the columns of a file that is matched by position; `None` if nothing is.
fn misfit(config: &LoadConfig, target: &TargetColumns, file: &[FileColumn]) -> Option<Misfit> {
    if !may_be_compared(config, file) {
        return None;
    }
    let mut wanted = wanted(config, target)?;
    if config.columns.is_empty() && file.len() < wanted.len() {
        wanted.retain(|column| !may_be_numbered(column) || compare::names(file, column));
    }
    let fills = config.options.has("FILLRECORD");
    let differences = compare(file, &wanted, fills);
    differences.is_any().then(|| Misfit {
        error: error(&config.target.table, &differences),
        remedy: remedy(config, file, &differences),
    })
}

/// The columns whose values COPY expects, in this order; `None` if that is uncertain.
fn wanted(config: &LoadConfig, target: &TargetColumns) -> Option<Vec<TargetColumn>> {
    let TargetColumns::Asked(all) = target else { return None };
    if all.is_empty() || config.options.has("EXPLICIT_IDS") {
        return None;
    }
    let marker = marker_column(config, all);
    if !config.columns.is_empty() {
        let find = |name: &Ident| all.iter().chain(&marker).find(|column| column.name == *name).cloned();
        return config.columns.iter().map(find).collect();
    }
    match config.mode {
        LoadMode::Append => all.iter().all(|column| column.identity == Identity::No).then(|| all.clone()),
        LoadMode::Replace { .. } | LoadMode::Versions { .. } => {
            let loaded = all.iter().filter(|column| column.identity != Identity::Always).cloned();
            Some(marker.into_iter().chain(loaded).collect())
        }
    }
}

/// Whether the warehouse may generate the column's values. The catalog shows that reliably to the owner only, and such a column is not in
/// the files.
fn may_be_numbered(column: &TargetColumn) -> bool {
    !column.nullable && ["integer", "bigint"].contains(&column.kind.as_str())
}

fn error(table: &TableName, differences: &Differences) -> String {
    let mut parts = Vec::new();
    if !differences.surplus.is_empty() {
        let shown = listed(&differences.surplus, |column| format!("`{}` {}", column.name, column.sql_type()));
        parts.push(format!("not in the table: {shown}"));
    }
    if !differences.lacking.is_empty() {
        let shown = listed(&differences.lacking, |column| format!("`{}` {}", column.name.as_str(), column.kind));
        parts.push(format!("not in the file: {shown}"));
    }
    if !differences.other_type.is_empty() {
        let shown = listed(&differences.other_type, |(file, table)| {
            format!("`{}` is {} in the file and {} in the table", file.name, file.sql_type(), table.kind)
        });
        parts.push(format!("other types: {shown}"));
    }
    if let Some((file, table)) = &differences.order {
        let shown = |names: &Vec<String>| listed(names, Clone::clone);
        parts.push(format!("other order: {} in the file, {} in the table", shown(file), shown(table)));
    }
    if let Some((file, table)) = differences.count {
        parts.push(format!("{file} columns in the file, {table} to load"));
    }
    format!("the columns do not fit table {table}: {}", parts.join("; "))
}

/// The remedy in the quarantine item; the most likely one comes first.
fn remedy(config: &LoadConfig, file: &[FileColumn], differences: &Differences) -> String {
    // Then the order does not matter, and `copy.columns` is not allowed.
    let goes_by_name = config.schema_change == SchemaChange::AddColumns;
    let Differences { surplus, lacking, other_type, order, .. } = differences;
    let names: Vec<String> = file.iter().map(|column| in_list(&folded(column))).collect();
    let in_order =
        format!("name the files' columns in their order, `\"copy\": {{\"columns\": [{}]}}`", names.join(", "));
    let mut ways: Vec<String> = Vec::new();
    if !surplus.is_empty() {
        ways.extend(for_surplus(&config.target.table, differences, goes_by_name));
        if lacking.is_empty() && !goes_by_name {
            ways.push(format!("a new column is the table's last: where it is not the files' last, also {in_order}"));
        }
    } else if goes_by_name && !lacking.is_empty() {
        ways.push("write files with these columns: they may not be NULL, or rows are merged by them".to_owned());
    } else if !lacking.is_empty() || order.is_some() {
        ways.push(in_order);
    }
    if !other_type.is_empty() {
        ways.push(
            "Redshift does not change these types in place: write files with the table's types, or make the table anew"
                .to_owned(),
        );
    }
    ways.push("then run `cargo xtask retry TABLE`".to_owned());
    ways.push(
        "or leave it to COPY, which goes by position: `\"options\": {\"on_schema_change\": \"ignore\"}`".to_owned(),
    );
    ways.join("; ").replace(";;", ";")
}

/// The remedies for columns that only the file has. If the table also has columns that the file lacks, they may be the same under another
/// name.
fn for_surplus(table: &TableName, differences: &Differences, goes_by_name: bool) -> Vec<String> {
    let Differences { surplus, lacking, .. } = differences;
    let mut ways: Vec<String> = Vec::new();
    if !lacking.is_empty() {
        let rename = |(column, renamed): (&FileColumn, &TargetColumn)| {
            let name = folded(column);
            format!("ALTER TABLE {table} RENAME COLUMN {} TO {name}; where both are the same column", renamed.name)
        };
        ways.extend(differences.renamed().map(rename));
        if goes_by_name {
            ways.push("where they are new columns".to_owned());
        }
    }
    if lacking.is_empty() || goes_by_name {
        ways.extend(surplus.iter().map(|column| format!("{};", AddedColumn::of(column).statement(table))));
        if surplus.iter().any(|column| column.physical == Physical::Written) {
            ways.push("with the type that its values have".to_owned());
        }
    }
    if !lacking.is_empty() {
        ways.push("or write files with the table's columns".to_owned());
    }
    ways
}

/// A column's name as written in `copy.columns`.
fn in_list(name: &Ident) -> String {
    let is_plain = Ident::parse(name.as_str()).is_ok_and(|parsed| parsed == *name);
    let text = if is_plain { name.as_str().to_owned() } else { name.to_string() };
    serde_json::Value::from(text).to_string()
}

fn listed<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    let mut shown: Vec<String> = items.iter().take(NAMED_MAX).map(show).collect();
    if items.len() > NAMED_MAX {
        shown.push(format!("and {} more", items.len() - NAMED_MAX));
    }
    shown.join(", ")
}

#[cfg(test)]
mod adding_tests;
#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod tests;
