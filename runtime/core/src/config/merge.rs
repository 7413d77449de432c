//! How rows are merged: the fields of `options`, which are valid only together.

use super::file::{KEEP_DAYS_MAX, OneOrMany, OptionsPart, WINDOW_DAYS_MAX};
use super::texts::{given, idents};
use super::{DeleteMarker, LoadMode};
use crate::ident::{Ident, TableName};
use crate::problem::Problems;

/// Suffix that a table of tombstones adds to the target's name.
const TOMBSTONES: &str = "_deleted";

/// What happens to existing rows; by default, rows are added. `table` is the target, if its name is valid.
pub(super) fn mode(
    wishes: Option<&OptionsPart>,
    table: Option<&TableName>,
    columns: &[Ident],
    problems: &mut Problems,
) -> Option<LoadMode> {
    let Some(wishes) = wishes else { return Some(LoadMode::Append) };
    let names: Vec<String> = match &wishes.merge_pk {
        None => Vec::new(),
        Some(OneOrMany::One(text)) => {
            text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        }
        Some(OneOrMany::Many(names)) => names.clone(),
    };
    let keys = idents("options.merge_pk", &names, problems);
    let timestamp = given(wishes.merge_timestamp.as_ref())
        .and_then(|name| problems.take("options.merge_timestamp", Ident::parse(name)));
    if keys.len() != names.len() || (timestamp.is_none() && given(wishes.merge_timestamp.as_ref()).is_some()) {
        return None;
    }
    let window_days = window_days(wishes, problems);
    let delete_marker = delete_marker(wishes, table, problems);
    let mode = match (keys.is_empty(), timestamp) {
        (true, None) if !wishes.merge_duplicate_pks => return Some(LoadMode::Append),
        (false, Some(timestamp)) if wishes.merge_duplicate_pks => {
            LoadMode::Replace { keys, timestamp, window_days, delete_marker }
        }
        (false, Some(timestamp)) => LoadMode::Versions { keys, timestamp },
        (true, _) => {
            problems.add(
                "options.merge_pk",
                "missing: merging needs the column (or a list of columns) that identifies a row",
            );
            return None;
        }
        (false, None) => {
            problems.add("options.merge_timestamp", "missing: merging needs the column that says which row is newer");
            return None;
        }
    };
    check_merge_columns(&mode, columns, problems);
    Some(mode)
}

/// A window limits the search for rows to replace. Without merging there are none, and versions of the same time need no window.
fn window_days(wishes: &OptionsPart, problems: &mut Problems) -> Option<u32> {
    let field = "options.merge_window_days";
    let days = wishes.merge_window_days?;
    if !wishes.merge_duplicate_pks {
        problems
            .add(field, "no row is replaced without `merge_duplicate_pks`: set that to `true`, or remove this field");
    }
    if !(1..=WINDOW_DAYS_MAX).contains(&days) {
        problems.add(field, format!("`{days}` is not a number of days from 1 to {WINDOW_DAYS_MAX}"));
    }
    Some(days)
}

/// A marker needs merging: without it, no row replaces another.
fn delete_marker(wishes: &OptionsPart, table: Option<&TableName>, problems: &mut Problems) -> Option<DeleteMarker> {
    let field = "options.delete_marker";
    let part = wishes.delete_marker.as_ref()?;
    if !wishes.merge_duplicate_pks {
        problems.add(
            field,
            "no row replaces another without `merge_duplicate_pks`: set that to `true`, or remove this field",
        );
    }
    if part.value.is_empty() {
        problems.add("options.delete_marker.value", "missing: say which value marks deleted rows");
    }
    if let Some(days) = part.keep_days.filter(|days| !(1..=KEEP_DAYS_MAX).contains(days)) {
        let rule = format!("`{days}` is not a number of days from 1 to {KEEP_DAYS_MAX}");
        problems.add("options.delete_marker.keep_days", rule);
    }
    let column = problems.take("options.delete_marker.column", Ident::parse(&part.column))?;
    let tombstones = problems.take(field, table?.with_suffix(TOMBSTONES))?;
    Some(DeleteMarker { column, value: part.value.clone(), keep_days: part.keep_days, tombstones })
}

fn check_merge_columns(mode: &LoadMode, columns: &[Ident], problems: &mut Problems) {
    let (LoadMode::Replace { keys, timestamp, .. } | LoadMode::Versions { keys, timestamp }) = mode else { return };
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].contains(key) || key == timestamp {
            problems.add("options.merge_pk", format!("`{}` is named twice: name each merge column once", key.as_str()));
        }
    }
    for column in keys.iter().chain([timestamp]) {
        if !columns.is_empty() && !columns.contains(column) {
            problems.add("copy.columns", format!("lacks `{}`, by which rows are merged: add it", column.as_str()));
        }
    }
    let LoadMode::Replace { delete_marker: Some(DeleteMarker { column, .. }), .. } = mode else { return };
    let name = column.as_str();
    if keys.contains(column) || column == timestamp {
        problems.add(
            "options.delete_marker.column",
            format!("`{name}` is also a column by which rows are merged: name the one that marks deleted rows"),
        );
    }
    if !columns.is_empty() && !columns.contains(column) {
        problems
            .add("copy.columns", format!("lacks `{name}`, which marks deleted rows: add it where the files have it"));
    }
}
