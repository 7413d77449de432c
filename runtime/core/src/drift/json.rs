//! Compares JSON files with the columns of their target. COPY silently drops a key without a column, and loads NULL for a missing key.

use super::compare::is_same;
use super::{Misfit, NAMED_MAX, listed, misfit};
use crate::config::LoadConfig;
use crate::copy_options::JsonPaths;
use crate::fit::AddedColumn;
use crate::json_keys::first_key;
use crate::parquet::FileColumn;
use crate::sql::columns::{TargetColumn, TargetColumns, marker_column};

const IGNORE: &str = "`\"options\": {\"on_schema_change\": \"ignore\"}`";

/// What is wrong with a file whose keys are matched to columns by name: values that COPY would drop. A column that `copy.columns` omits is
/// omitted on purpose. With `any_case`, case does not matter; otherwise a key must equal the column's name, which Redshift keeps in lower
/// case.
pub(super) fn by_keys(
    config: &LoadConfig,
    target: &TargetColumns,
    file: &[FileColumn],
    any_case: bool,
) -> Option<Misfit> {
    let all = columns(config, target)?;
    let takes = |column: &TargetColumn, key: &FileColumn| {
        if any_case { is_same(key, column) } else { key.name == column.name.as_str() }
    };
    let dropped: Vec<&FileColumn> = file.iter().filter(|key| !all.iter().any(|column| takes(column, key))).collect();
    if dropped.is_empty() {
        return None;
    }
    let table = &config.target.table;
    let is_new = |key: &&&FileColumn| !all.iter().any(|column| is_same(key, column));
    let new: Vec<&FileColumn> = dropped.iter().filter(is_new).copied().collect();
    let mut ways: Vec<String> = new.iter().take(NAMED_MAX).map(|key| AddedColumn::of(key).statement(table)).collect();
    if !new.is_empty() {
        ways.push("with the type that its values have".to_owned());
        if !config.columns.is_empty() {
            ways.push("name it in `copy.columns`, too".to_owned());
        }
    }
    if !any_case && dropped.iter().any(|key| key.name != key.name.to_lowercase()) {
        ways.push(
            "write `JSON 'auto ignorecase'` in `copy.options`: with 'auto', `ID` is not the column `id`".to_owned(),
        );
    }
    ways.push("then run `cargo xtask retry TABLE`".to_owned());
    ways.push(format!("or let COPY drop what no column has: {IGNORE}"));
    let keys = listed(&dropped, |key| format!("`{}`", key.name));
    let error =
        format!("the keys do not fit table {table}: no column has the name of {keys}, so COPY would drop the values");
    Some(Misfit { error, remedy: ways.join("; ") })
}

/// What is wrong with a file whose keys are matched to columns by the paths of a JSONPaths file, in their order. Like `copy.columns`, the
/// paths are the user's statement about which key belongs to which column, so their order is wrong only if each of them has the name of a
/// column. A whole file may lack a single key, but not every key.
pub(super) fn by_paths(
    config: &LoadConfig,
    target: &TargetColumns,
    file: &[FileColumn],
    JsonPaths { bucket, key }: &JsonPaths,
) -> Option<Misfit> {
    let all = columns(config, target)?;
    if file.is_empty() {
        let table = &config.target.table;
        let error = format!(
            "the keys do not fit table {table}: no path of `s3://{bucket}/{key}` begins with a key of the file's first objects, so every column would be NULL"
        );
        let remedy = format!(
            "correct the paths, in which upper and lower case count; then run `cargo xtask retry TABLE`; or load it as it is: {IGNORE}"
        );
        return Some(Misfit { error, remedy });
    }
    let of_column = |path: &FileColumn| {
        let (name, ends) = first_key(&path.name)?;
        let file = FileColumn { name: name.to_owned(), ..path.clone() };
        (ends && all.iter().any(|column| is_same(&file, column))).then_some(file)
    };
    let by_names: Option<Vec<FileColumn>> = file.iter().map(of_column).collect();
    let Misfit { error, remedy } = misfit(config, target, by_names.as_deref().unwrap_or(file))?;
    let or = if remedy.starts_with("then ") { "" } else { "or " };
    Some(Misfit {
        error: format!("JSONPaths file `s3://{bucket}/{key}`: {error}"),
        remedy: format!("correct the paths, one for each column in their order; {or}{remedy}"),
    })
}

/// The columns to which keys can belong; `None` if they are not known.
fn columns(config: &LoadConfig, target: &TargetColumns) -> Option<Vec<TargetColumn>> {
    match target {
        TargetColumns::Asked(all) if !all.is_empty() => {
            Some(all.iter().cloned().chain(marker_column(config, all)).collect())
        }
        TargetColumns::Asked(_) | TargetColumns::Named(_) => None,
    }
}
