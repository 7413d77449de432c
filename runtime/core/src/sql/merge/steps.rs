//! The SQL statements of a merge, one function each.
//!
//! Knowledge from the catalog makes the statements cheaper without changing their result. If only names are known, the statements are
//! identical to those of earlier versions, whose loads may have to be submitted again.

use super::SqlError;
use super::deleted::{Deleted, GONE};
use crate::config::{LoadConfig, LoadMode};
use crate::ident::{Ident, TableName};
use crate::sql::columns::TargetColumn;

pub(super) const STAGE: &str = "rs_loader_stage";
const RANKED: &str = "rs_loader_ranked";
const RANK: &str = "rs_loader_rank";
const STAGED: &str = "rs_loader_staged";

/// Replaces a NULL timestamp: older than any in a file, and days can still be subtracted from it.
const OLDEST: &str = "0001-01-01";

/// A merge whose columns are known.
pub(super) struct Merge<'a> {
    /// The load's target table.
    pub table: &'a TableName,
    /// The columns to load, in the order of the files.
    pub columns: &'a [TargetColumn],
    /// Columns that identify a row: rows that are equal in these are versions of one row.
    pub identifying: Vec<&'a TargetColumn>,
    /// Column that says which version is newer.
    pub timestamp: &'a TargetColumn,
    /// Maximum age of the target's rows that a staged row replaces, in days before the oldest staged row; `None`: any age.
    pub replaced_days_max: Option<u32>,
    /// Whether these are all columns of the target, and the files provide all values.
    pub is_whole: bool,
    /// How deletions are recognized; `None`: no row marks one.
    pub deleted: Option<Deleted<'a>>,
}

impl Merge<'_> {
    /// The staging table. Created `LIKE` the target, it has its distribution and sort keys, so rows are joined on the node where they are
    /// stored.
    ///
    /// `NOT NULL` is copied too, so COPY refuses a NULL that the INSERT would refuse, and its error names the file.
    pub fn stage(&self) -> String {
        let Self { table, .. } = self;
        if let Some(deleted) = &self.deleted {
            return format!("CREATE TEMP TABLE {STAGE} AS SELECT {} FROM {table} WHERE 1 = 0", deleted.staged());
        }
        if self.is_whole {
            return format!("CREATE TEMP TABLE {STAGE} (LIKE {table})");
        }
        format!("CREATE TEMP TABLE {STAGE} AS SELECT {} FROM {table} WHERE 1 = 0", self.names())
    }

    /// The staged rows, ranked together with the target's rows that may win against one.
    pub fn ranked(&self) -> String {
        let (table, names, t) = (self.table, self.names(), self.of("t"));
        let since = self.since("t", 0).map(|since| format!(" AND {since}")).unwrap_or_default();
        let staged = self.deleted.as_ref().map(|deleted| format!("{}, ", deleted.is_gone("s"))).unwrap_or_default();
        let (there, gone) =
            if self.deleted.is_some() { (format!("0 AS {GONE}, "), format!("{GONE}, ")) } else { Default::default() };
        let mut rows = vec![
            format!("SELECT {}, {staged}1 AS {STAGED} FROM {STAGE} s", self.of("s")),
            format!(
                "SELECT {t}, {there}0 AS {STAGED} FROM {table} t WHERE EXISTS (SELECT 1 FROM {STAGE} s WHERE {}){since}",
                self.equal("t", "s")
            ),
        ];
        if let Some(unknown) = self.unknown("t") {
            let unknown = if since.is_empty() { unknown } else { format!("({unknown})") };
            rows.push(format!("SELECT {t}, {there}0 AS {STAGED} FROM {table} t WHERE {unknown}{since}"));
        }
        format!(
            "CREATE TEMP TABLE {RANKED} AS SELECT {names}, {gone}{STAGED}, \
             ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {}) AS {RANK} FROM ({}) u",
            list(self.identifying.iter().map(|column| &column.name)),
            self.order(),
            rows.join(" UNION ALL "),
        )
    }

    /// Removes the rows that winners replace. Rows with NULL in an identifying column are handled separately, because they cannot be found
    /// by a hash join.
    pub fn deletes(&self) -> Vec<String> {
        self.lost(self.table, self.replaced_days_max)
    }

    /// Removes a table's rows whose key has a new winner; with `days`, only those within so many days before the oldest staged row.
    fn lost(&self, table: &TableName, days: Option<u32>) -> Vec<String> {
        let table = table.to_string();
        let lost = format!("DELETE FROM {table} USING {RANKED} r WHERE r.{RANK} = 1 AND r.{STAGED} = 1");
        let since = days.and_then(|days| self.since(&table, days));
        let since = since.map(|since| format!(" AND {since}")).unwrap_or_default();
        let joined = format!("{lost} AND {}{since}", self.equal(&table, "r"));
        let apart =
            self.unknown("r").map(|unknown| format!("{lost} AND ({unknown}) AND {}{since}", self.same(&table, "r")));
        [joined].into_iter().chain(apart).collect()
    }

    /// Writes the winners that are new.
    pub fn insert(&self) -> String {
        let (table, names) = (self.table, self.names());
        let kept = if self.deleted.is_some() { format!(" AND {GONE} = 0") } else { String::new() };
        format!("INSERT INTO {table} ({names}) SELECT {names} FROM {RANKED} WHERE {RANK} = 1 AND {STAGED} = 1{kept}")
    }

    /// Removes staged rows that are not newer than the deletion of their key, including repeats of the deletion.
    pub fn late(&self) -> Vec<String> {
        let Some(deleted) = &self.deleted else { return Vec::new() };
        let TargetColumn { name, nullable, .. } = self.timestamp;
        let older = format!("{STAGE}.{name} <= d.{name}");
        let older = if *nullable { format!("({older} OR {STAGE}.{name} IS NULL)") } else { older };
        let late = format!("DELETE FROM {STAGE} USING {} d WHERE", deleted.marker.tombstones);
        let joined = format!("{late} {} AND {older}", self.equal(STAGE, "d"));
        let apart =
            self.unknown("d").map(|unknown| format!("{late} ({unknown}) AND {} AND {older}", self.same(STAGE, "d")));
        [joined].into_iter().chain(apart).collect()
    }

    /// Records the winning deletions, one per key, and removes tombstones that are expired or superseded.
    pub fn bury(&self) -> Vec<String> {
        let Some(deleted) = &self.deleted else { return Vec::new() };
        let keys = list(self.identifying.iter().copied().chain([self.timestamp]).map(|column| &column.name));
        let won = format!("{RANKED} WHERE {RANK} = 1 AND {STAGED} = 1 AND {GONE} = 1");
        let mut statements = self.lost(&deleted.marker.tombstones, None);
        statements.push(deleted.insert(&keys, &won));
        statements.extend(deleted.forget());
        statements
    }

    /// A condition for the target's rows that are at most so many days older than the oldest staged one, and for those without a timestamp.
    /// The warehouse can check it block by block. `None` if it cannot be expressed, or would not be cheap.
    ///
    /// With 0 days it does not change the result: a row that is older than every staged one cannot win. A staged row without a timestamp is
    /// older than any other, so it lets every row through, even if the catalog said NOT NULL and that is no longer true.
    fn since(&self, alias: &str, days: u32) -> Option<String> {
        let TargetColumn { name, nullable, .. } = self.timestamp;
        let kind = moment(self.timestamp)?;
        // Rows without a timestamp can be in any block, so they are only included if a window was configured.
        if *nullable && self.replaced_days_max.is_none() {
            return None;
        }
        let window = match (days, kind) {
            (0, _) => String::new(),
            // The result keeps the column's type, so that no row is converted for the comparison.
            (days, "DATE") => format!(" - {days}"),
            (days, _) => format!(" - INTERVAL '{days} days'"),
        };
        let oldest = format!("SELECT MIN(COALESCE({name}, CAST('{OLDEST}' AS {kind}))){window} FROM {STAGE}");
        let since = format!("{alias}.{name} >= ({oldest})");
        Some(if *nullable { format!("({since} OR {alias}.{name} IS NULL)") } else { since })
    }

    fn names(&self) -> String {
        list(self.columns.iter().map(|column| &column.name))
    }

    fn of(&self, alias: &str) -> String {
        self.columns.iter().map(|column| format!("{alias}.{}", column.name)).collect::<Vec<_>>().join(", ")
    }

    /// A total order: rows that are still equal are equal in every column, and then the existing row wins.
    fn order(&self) -> String {
        let timestamp = &self.timestamp.name;
        let identifies = |name: &Ident| self.identifying.iter().any(|column| column.name == *name);
        let others = self.columns.iter().map(|column| &column.name);
        let newest = |name: &Ident| format!("{name} DESC NULLS LAST");
        // At the same timestamp, the deletion came after the row.
        let gone = self.deleted.as_ref().map(|_| format!("{GONE} DESC"));
        std::iter::once(timestamp)
            .map(newest)
            .chain(gone)
            .chain(others.filter(|name| *name != timestamp && !identifies(name)).map(newest))
            .chain([format!("{STAGED} ASC")])
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Plain equality, which allows a hash join.
    fn equal(&self, left: &str, right: &str) -> String {
        and(self.identifying.iter().map(|column| equal(left, right, column)))
    }

    /// Equality in which NULL equals NULL: rows without a key value are versions of one row.
    fn same(&self, left: &str, right: &str) -> String {
        and(self.identifying.iter().map(|column| {
            let TargetColumn { name, nullable, .. } = column;
            let equal = equal(left, right, column);
            if *nullable { format!("({equal} OR ({left}.{name} IS NULL AND {right}.{name} IS NULL))") } else { equal }
        }))
    }

    /// The condition for rows that plain equality does not find; `None` if there are none.
    fn unknown(&self, alias: &str) -> Option<String> {
        let nullable = self.identifying.iter().filter(|column| column.nullable);
        let unknown: Vec<String> = nullable.map(|column| format!("{alias}.{} IS NULL", column.name)).collect();
        (!unknown.is_empty()).then(|| unknown.join(" OR "))
    }
}

/// The SQL name of a timestamp type from which days can be subtracted; `None` for any other type.
fn moment(timestamp: &TargetColumn) -> Option<&'static str> {
    match timestamp.kind.as_str() {
        "date" => Some("DATE"),
        "timestamp without time zone" => Some("TIMESTAMP"),
        "timestamp with time zone" => Some("TIMESTAMPTZ"),
        _ => None,
    }
}

/// Checks that a window has a timestamp from which days can be subtracted.
pub(super) fn check_window(config: &LoadConfig, timestamp: &TargetColumn) -> Result<(), SqlError> {
    let TargetColumn { name, kind, .. } = timestamp;
    let is_wanted = matches!(config.mode, LoadMode::Replace { window_days: Some(_), .. });
    if !is_wanted || moment(timestamp).is_some() {
        Ok(())
    } else if kind.is_empty() {
        Err(SqlError::MissingColumn { table: config.target.table.clone(), column: name.clone() })
    } else {
        Err(SqlError::NoWindow { column: name.clone(), kind: kind.clone() })
    }
}

fn list<'a>(names: impl Iterator<Item = &'a Ident>) -> String {
    names.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn and(conditions: impl Iterator<Item = String>) -> String {
    conditions.collect::<Vec<_>>().join(" AND ")
}

fn equal(left: &str, right: &str, TargetColumn { name, .. }: &TargetColumn) -> String {
    format!("{left}.{name} = {right}.{name}")
}
