//! Whether the columns of a file can be matched to the target by their names.

use std::collections::BTreeSet;

use super::compare::contradicts;
use crate::config::{LoadConfig, LoadMode};
use crate::fit::{AddedColumn, Fit, folded};
use crate::ident::Ident;
use crate::limits::{ADDED_COLUMNS_MAX, COLUMN_LIST_BYTES_MAX, IDENTIFIER_BYTES_MAX, TABLE_COLUMNS_MAX};
use crate::parquet::{FileColumn, Meaning};
use crate::sql::columns::{Identity, TargetColumn, TargetColumns};

/// Names that Redshift reserves (database guide, CREATE TABLE: column names), or uses for system columns.
const SYSTEM_COLUMNS: [&str; 8] = ["oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "insertxid"];
/// Maximum precision of a DECIMAL (database guide, numeric types).
const DECIMAL_DIGITS_MAX: u8 = 38;

/// How a file maps to the target by name; `None` if names are not enough to tell.
///
/// Either the file has every column of the target, in any order, and perhaps others that can be added. Or it lacks some that may be NULL
/// and has no others: a missing column beside a new one may be the same column under another name.
pub(super) fn by_name(config: &LoadConfig, target: &TargetColumns, file: &[FileColumn]) -> Option<Fit> {
    let TargetColumns::Asked(all) = target else { return None };
    let known = |column: &FileColumn| all.iter().find(|known| super::compare::is_same(column, known));
    let names: Vec<Ident> =
        file.iter().map(|column| known(column).map_or_else(|| folded(column), |known| known.name.clone())).collect();
    let distinct: BTreeSet<&Ident> = names.iter().collect();
    let surplus: Vec<&FileColumn> = file.iter().filter(|column| known(column).is_none()).collect();
    let lacking: Vec<&TargetColumn> = all.iter().filter(|column| !distinct.contains(&column.name)).collect();
    let numbers_itself = |column: &TargetColumn| column.identity != Identity::No || super::may_be_numbered(column);
    let is_optional = |column: &&TargetColumn| {
        numbers_itself(column) || (surplus.is_empty() && column.nullable && !merges_by(config, column))
    };
    let takes = |known: &TargetColumn, column: &FileColumn| {
        known.identity != Identity::Always && !contradicts(column, &known.kind)
    };
    let fits = |column: &FileColumn| known(column).map_or_else(|| can_be_added(column), |known| takes(known, column));
    let is_certain = surplus.len() < file.len()
        && distinct.len() == names.len()
        && lacking.iter().all(is_optional)
        && file.iter().all(fits);
    let has_room = surplus.len() <= ADDED_COLUMNS_MAX
        && all.len() + surplus.len() <= TABLE_COLUMNS_MAX
        && names.iter().map(|name| name.as_str().len()).sum::<usize>() <= COLUMN_LIST_BYTES_MAX;
    let added = surplus.into_iter().map(AddedColumn::of).collect();
    (is_certain && has_room).then_some(Fit { columns: names, added })
}

/// Whether rows are merged by the column: rows without a value in it would all become one row.
fn merges_by(config: &LoadConfig, column: &TargetColumn) -> bool {
    match &config.mode {
        LoadMode::Append => false,
        LoadMode::Replace { keys, timestamp, .. } | LoadMode::Versions { keys, timestamp } => {
            keys.contains(&column.name) || *timestamp == column.name
        }
    }
}

fn can_be_added(column: &FileColumn) -> bool {
    let name = folded(column);
    let has_type = match column.meaning {
        Meaning::Decimal(precision, scale) => (1..=DECIMAL_DIGITS_MAX).contains(&precision) && scale <= precision,
        Meaning::Plain | Meaning::Text | Meaning::Date | Meaning::Time | Meaning::Timestamp => true,
    };
    has_type
        && name.as_str().len() <= IDENTIFIER_BYTES_MAX
        && !name.as_str().contains('\0')
        && !SYSTEM_COLUMNS.contains(&name.as_str())
}
