//! The SQL statements of a merge, a function for each.
//!
//! What the catalog says of the columns makes them cheaper and leaves the result as it is. Where only names are known, the statements
//! are to the letter those of earlier versions, whose loads may have to be submitted again.

use super::SqlError;
use super::deleted::{Deleted, GONE};
use crate::config::{LoadConfig, LoadMode};
use crate::ident::{Ident, TableName};
use crate::sql::columns::TargetColumn;

pub(super) const STAGE: &str = "rs_loader_stage";
const RANKED: &str = "rs_loader_ranked";
const RANK: &str = "rs_loader_rank";
const STAGED: &str = "rs_loader_staged";

/// What a NULL timestamp counts as: older than any that a file has, and a window can still be taken from it.
const OLDEST: &str = "0001-01-01";

/// A merge whose columns are those of the target.
pub(super) struct Merge<'a> {
    /// The target table of the load.
    pub table: &'a TableName,
    /// What is loaded, in the order of the files.
    pub columns: &'a [TargetColumn],
    /// Rows that are equal in these are versions of one row.
    pub identifying: Vec<&'a TargetColumn>,
    /// Says which version is newer.
    pub timestamp: &'a TargetColumn,
    /// How much older than the oldest staged row a row of the target can be that a staged one takes the place of, in days;
    /// `None`: of any age.
    pub replaced_days_max: Option<u32>,
    /// Whether the columns are all of the target's, and the files give each its value.
    pub is_whole: bool,
    /// Which staged rows say that their row is gone; `None`: none does.
    pub deleted: Option<Deleted<'a>>,
}

impl Merge<'_> {
    /// The staging table. Made `LIKE` the target it has its distribution and its sort keys, so that rows meet on the node where they are.
    ///
    /// `NOT NULL` comes along, so COPY refuses a NULL that the INSERT would refuse; and it names the file.
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

    /// Staged rows and those of the target that may win against one, ranked together.
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

    /// Makes room for the winners. Rows without a value in an identifying column are found apart, because they cannot be joined by hash.
    pub fn deletes(&self) -> Vec<String> {
        self.lost(self.table, self.replaced_days_max)
    }

    /// Removes the rows of a table whose key has a new winner; with `days`, those within so many days before the oldest staged row.
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

    /// Takes rows out of the staging table that are not newer than the deletion of their key, and those that repeat it.
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

    /// Remembers the deletions that win, one for each key, and forgets those that are old or no longer the last word.
    pub fn bury(&self) -> Vec<String> {
        let Some(deleted) = &self.deleted else { return Vec::new() };
        let keys = list(self.identifying.iter().copied().chain([self.timestamp]).map(|column| &column.name));
        let won = format!("{RANKED} WHERE {RANK} = 1 AND {STAGED} = 1 AND {GONE} = 1");
        let mut statements = self.lost(&deleted.marker.tombstones, None);
        statements.push(deleted.insert(&keys, &won));
        statements.extend(deleted.forget());
        statements
    }

    /// True of the target's rows that are at most so many days older than the oldest staged one, and of those without a timestamp: a
    /// condition that the warehouse can check block by block. `None` where it cannot be made, or where it would not be cheap.
    ///
    /// With 0 days it changes nothing: a row that is older than every staged one wins against none. A staged row without a timestamp is
    /// older than any other, so it lets every row through; also where the catalog said NOT NULL and it is no longer true.
    fn since(&self, alias: &str, days: u32) -> Option<String> {
        let TargetColumn { name, nullable, .. } = self.timestamp;
        let kind = moment(self.timestamp)?;
        // Rows without a timestamp can be in every block, so this is only for who asked for it.
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

    /// A total order: what is left equal is equal in every column, and then the row that is there already wins.
    fn order(&self) -> String {
        let timestamp = &self.timestamp.name;
        let identifies = |name: &Ident| self.identifying.iter().any(|column| column.name == *name);
        let others = self.columns.iter().map(|column| &column.name);
        let newest = |name: &Ident| format!("{name} DESC NULLS LAST");
        // Of the same time as its row, a deletion came after it.
        let gone = self.deleted.as_ref().map(|_| format!("{GONE} DESC"));
        std::iter::once(timestamp)
            .map(newest)
            .chain(gone)
            .chain(others.filter(|name| *name != timestamp && !identifies(name)).map(newest))
            .chain([format!("{STAGED} ASC")])
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Plain equality, which the warehouse can join by hash.
    fn equal(&self, left: &str, right: &str) -> String {
        and(self.identifying.iter().map(|column| equal(left, right, column)))
    }

    /// Equality in which NULL equals NULL: a row without a key value is one row, not none and not many.
    fn same(&self, left: &str, right: &str) -> String {
        and(self.identifying.iter().map(|column| {
            let TargetColumn { name, nullable, .. } = column;
            let equal = equal(left, right, column);
            if *nullable { format!("({equal} OR ({left}.{name} IS NULL AND {right}.{name} IS NULL))") } else { equal }
        }))
    }

    /// True of the rows that plain equality does not find; `None` where there are none.
    fn unknown(&self, alias: &str) -> Option<String> {
        let nullable = self.identifying.iter().filter(|column| column.nullable);
        let unknown: Vec<String> = nullable.map(|column| format!("{alias}.{} IS NULL", column.name)).collect();
        (!unknown.is_empty()).then(|| unknown.join(" OR "))
    }
}

/// The type of a timestamp from which days can be taken, as SQL spells it; `None`: any other.
fn moment(timestamp: &TargetColumn) -> Option<&'static str> {
    match timestamp.kind.as_str() {
        "date" => Some("DATE"),
        "timestamp without time zone" => Some("TIMESTAMP"),
        "timestamp with time zone" => Some("TIMESTAMPTZ"),
        _ => None,
    }
}

/// A window needs a timestamp that is a moment.
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
