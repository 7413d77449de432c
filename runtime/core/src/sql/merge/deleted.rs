//! Rows that mark deletions (`options.delete_marker`), and the table that remembers them.
//!
//! A deleted row is no longer in the target, so the deletion must be remembered elsewhere: otherwise a late version of the row would bring
//! it back. A tombstone is a merge key with the timestamp of its deletion. The target and the tombstones are the two halves of what a merge
//! keeps: the greatest row of each key is in one of them.

use crate::config::{DeleteMarker, LoadConfig, LoadMode};
use crate::ident::Ident;
use crate::sql::literal;

/// Staging column: 1 in rows that mark a deletion.
pub(super) const GONE: &str = "rs_loader_gone";
/// The day on which a tombstone was written, by the warehouse's clock.
const DELETED_ON: &str = "rs_loader_deleted_on";
/// Length of a marker's column that only the files have: Redshift's default for VARCHAR.
const MARKER_LENGTH: u32 = 256;

/// How deletions are recognized among the staged rows.
pub(super) struct Deleted<'a> {
    /// Marker's column and value.
    pub marker: &'a DeleteMarker,
    /// The columns of the staging table, in the order of the files.
    pub staged: Vec<Ident>,
    /// The marker's column, if the target has no column of that name.
    pub only_staged: Option<Ident>,
}

impl Deleted<'_> {
    /// The columns of the staging table as a query of the target, which drops `NOT NULL`: a row that marks a deletion may have nothing but
    /// the key.
    pub fn staged(&self) -> String {
        let column = |name: &Ident| {
            if self.only_staged.as_ref() == Some(name) {
                format!("CAST(NULL AS VARCHAR({MARKER_LENGTH})) AS {name}")
            } else {
                name.to_string()
            }
        };
        self.staged.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// The SQL condition for a staged row that marks a deletion.
    pub fn is_gone(&self, alias: &str) -> String {
        let DeleteMarker { column, value, .. } = self.marker;
        format!("CASE WHEN {alias}.{column} = {} THEN 1 ELSE 0 END AS {GONE}", literal(value))
    }

    /// Writes tombstones. `keys` are the merge keys and the timestamp; `won` selects the rows that have them.
    pub fn insert(&self, keys: &str, won: &str) -> String {
        let table = &self.marker.tombstones;
        format!("INSERT INTO {table} ({keys}, {DELETED_ON}) SELECT {keys}, CURRENT_DATE FROM {won}")
    }

    /// Removes tombstones that are past their time.
    pub fn forget(&self) -> Option<String> {
        let DeleteMarker { tombstones, keep_days, .. } = self.marker;
        keep_days.map(|days| format!("DELETE FROM {tombstones} WHERE {DELETED_ON} < CURRENT_DATE - {days}"))
    }
}

/// The SQL statement that creates the table of tombstones with the types of the target's columns, for the owner of the schema. `None` if no
/// row marks a deletion.
pub fn tombstones_table(config: &LoadConfig) -> Option<String> {
    let DeleteMarker { tombstones, .. } = config.delete_marker()?;
    let keys = remembered(config).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let table = &config.target.table;
    Some(format!("CREATE TABLE {tombstones} AS SELECT {keys}, CURRENT_DATE AS {DELETED_ON} FROM {table} WHERE 1 = 0"))
}

/// The query that asks whether the user may read and write the table of tombstones: 1 or 0.
pub fn tombstones_privileges(config: &LoadConfig) -> Option<String> {
    let table = literal(&config.delete_marker()?.tombstones.to_string());
    let each = ["SELECT", "INSERT", "DELETE"].map(|privilege| format!("has_table_privilege({table}, '{privilege}')"));
    Some(format!("SELECT CASE WHEN {} THEN 1 ELSE 0 END", each.join(" AND ")))
}

fn remembered(config: &LoadConfig) -> Vec<&Ident> {
    match &config.mode {
        LoadMode::Replace { keys, timestamp, .. } => keys.iter().chain([timestamp]).collect(),
        LoadMode::Append | LoadMode::Versions { .. } => Vec::new(),
    }
}
