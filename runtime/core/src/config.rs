//! The load configuration: the file of a queue, or the part of a bulk request that says how to load.
//!
//! Text is parsed into a [`LoadConfig`] or all its problems; nothing is checked again later. `file` defines the shape of the file; `parts`
//! and `merge` interpret its fields.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

#[cfg(feature = "schema")]
pub use self::file::schema;
use self::file::{File, refuse_unknown_fields};
use crate::copy_options::CopyOptions;
pub use crate::folder::SourceFolder;
use crate::ident::{Ident, TableName};
use crate::ids::{DbTable, Millis, RedshiftTarget, TargetTable};
use crate::limits::SWEEP_MILLIS;
use crate::pace::Pace;
use crate::problem::{Problem, Problems};
use crate::schedule::{Schedule, SourceCheck};

mod address;
mod file;
mod merge;
mod parts;
mod source;
mod texts;

/// Database user of a provisioned cluster if the configuration does not name one.
pub const DB_USER_DEFAULT: &str = "redshift_data_api_user";
/// Maximum number of files in a load, unless `load.files_max` is set.
pub const FILES_MAX_DEFAULT: u64 = 1000;
/// Maximum size of a load in bytes, unless `load.bytes_max` is set: 64 GiB.
pub const BYTES_MAX_DEFAULT: u64 = 64 << 30;
/// Seconds after which a file is late, from the instant at which its load may start, unless `load.alarm_after_seconds` is set.
pub const ALARM_AFTER_SECONDS_DEFAULT: u32 = 600;

/// How a table is loaded. Loads with equal configurations may share a COPY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoadConfig {
    /// The table, its database and warehouse.
    pub target: TargetTable,
    /// How the Data API signs in.
    pub login: Login,
    /// Role that COPY assumes.
    pub copy_role: CopyRole,
    /// Format and options of COPY.
    pub options: CopyOptions,
    /// Columns to load, in the order of the files; empty: all of the table's.
    pub columns: Vec<Ident>,
    /// What happens to rows that already exist.
    pub mode: LoadMode,
    /// What happens to files whose columns do not match the target's.
    pub schema_change: SchemaChange,
    /// Ledger table in the warehouse, written in the same transaction as the rows.
    pub ledger_table: Option<TableName>,
    /// Whether the target is locked before anything else, because others write to it too.
    pub lock: bool,
    /// Limits of one load.
    pub limits: LoadLimits,
    /// Whether loading is paused: no load starts.
    pub paused: bool,
    /// How long the oldest file may wait before the table is late, in seconds; `None`: see [`LoadConfig::late_millis`].
    pub alarm_after_seconds: Option<u32>,
    /// Whether keys are never overwritten, so that an object is loaded as its notification describes it.
    pub write_once: bool,
    /// How the warehouse is used; `None`: each table's loads start on their own.
    pub pace: Option<Arc<Pace>>,
    /// Where the files come from. Used by the deployment, and to assign objects to tables that share a queue.
    pub source: Option<SourceFolder>,
    /// The queue of another table, without the stack's prefix, whose messages also feed this table; `None`: the table has its own queue.
    pub fed_by: Option<String>,
    /// Full names of the configurations of other tables that this queue's messages also feed.
    pub feeds: Vec<String>,
    /// In a bulk request with `force`: what was loaded before this instant is loaded again.
    pub again_before_millis: Option<Millis>,
    /// How often the source is searched for files without an event. Used by the deployment.
    pub source_check: Option<SourceCheck>,
    /// Where S3 Inventory lists the source; the check reads that instead of listing it itself.
    pub inventory: Option<SourceFolder>,
    /// Folders that are loaded on a schedule. Used by the deployment.
    pub bulk: Vec<Schedule>,
    /// The configuration as compact JSON, which the tracker's items store.
    pub document: String,
}

/// Credentials of the Data API call (Redshift management guide, "Authorizing access to the Data API").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Login {
    /// Temporary credentials of a database user; provisioned clusters only.
    DbUser(String),
    /// A Secrets Manager secret.
    Secret(String),
    /// The execution role's own identity; workgroups only.
    Identity,
}

/// The role that Redshift assumes to read the files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CopyRole {
    /// The warehouse's default role.
    Default,
    /// One role ARN, or a chain of them separated by commas.
    Arn(String),
}

/// What happens to rows that already exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoadMode {
    /// Rows are added, and existing ones are not touched.
    Append,
    /// One row per merge key remains: the one with the newest timestamp.
    Replace {
        /// Columns that identify a row.
        keys: Vec<Ident>,
        /// Column that says which row is newer.
        timestamp: Ident,
        /// Maximum age of the rows that a load replaces, in days before the oldest row of the load; `None`: any age.
        window_days: Option<u32>,
        /// Which rows of the files mark a deletion; `None`: none does.
        delete_marker: Option<DeleteMarker>,
    },
    /// Every version once: one row per merge key and timestamp.
    Versions {
        /// Columns that identify a row.
        keys: Vec<Ident>,
        /// Column that distinguishes versions.
        timestamp: Ident,
    },
}

/// A file's row with this value in this column says that the row with its merge key is deleted (`options.delete_marker`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteMarker {
    /// A column of the files; the target may have it too.
    pub column: Ident,
    /// Its value in rows that mark a deletion.
    pub value: String,
    /// How many days a deletion is remembered after it was loaded; `None`: forever.
    pub keep_days: Option<u32>,
    /// The table of tombstones, which remembers deletions.
    pub tombstones: TableName,
}

/// What happens to a file whose columns do not match the target's (`options.on_schema_change`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SchemaChange {
    /// It goes to quarantine before COPY.
    #[default]
    Fail,
    /// It is matched by the names of its columns, and new ones are added to the target.
    AddColumns,
    /// Columns are not compared; COPY decides, by position.
    Ignore,
}

/// Limits of one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoadLimits {
    /// Maximum number of files.
    pub files_max: u64,
    /// Maximum size in bytes; a single larger file is a load of its own.
    pub bytes_max: u64,
    /// How long files may wait for others before their load starts, in seconds. `None`: as the warehouse's pace says, otherwise not at all.
    pub age_seconds: Option<u32>,
    /// How long a statement may run before it is cancelled, in minutes. `None`: forever.
    pub timeout_minutes: Option<u32>,
}

impl LoadConfig {
    /// Reads a configuration file. All problems are reported, each with its field.
    pub fn parse(text: &str) -> Result<Arc<Self>, Problems> {
        let value: Value = serde_json::from_str(text).map_err(|error| Problem {
            field: String::new(),
            message: format!("not JSON ({error}): write one object"),
        })?;
        Self::from_value(&value)
    }

    /// Reads a configuration from parsed JSON.
    pub fn from_value(value: &Value) -> Result<Arc<Self>, Problems> {
        let mut problems = Problems::default();
        if !value.is_object() {
            problems.add("", "not an object: see docs/configuration.md for the shape");
            return Err(problems);
        }
        refuse_unknown_fields(value, &mut problems);
        let file = match File::deserialize(value) {
            Ok(file) => file,
            Err(error) => {
                problems.add("", format!("{error}: see docs/configuration.md for the shape"));
                return Err(problems);
            }
        };
        let config = parts::build(&file, value.to_string(), &mut problems);
        problems.into_result()?;
        config.map(Arc::new).ok_or_else(Problems::default)
    }

    /// Checks that a template can be generated: the names of warehouses and secrets become parts of ARNs in policies. The functions skip
    /// this check, because the Data API checks the names itself.
    pub fn check_addresses(&self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        match &self.target.warehouse {
            RedshiftTarget::Cluster(name) => problems.take("cluster.identifier", address::check_cluster(name)),
            RedshiftTarget::Workgroup(name) => problems.take("cluster.workgroup", address::check_workgroup(name)),
        };
        if let Login::Secret(arn) = &self.login {
            problems.take("cluster.secret_arn", address::check_secret(arn));
        }
        problems.into_result()
    }

    /// Which rows of the files mark a deletion.
    pub fn delete_marker(&self) -> Option<&DeleteMarker> {
        match &self.mode {
            LoadMode::Replace { delete_marker, .. } => delete_marker.as_ref(),
            LoadMode::Append | LoadMode::Versions { .. } => None,
        }
    }

    /// The latest start of a load whose oldest object was recorded at this instant.
    pub fn start_millis(&self, recorded: Millis) -> Millis {
        let own = self.limits.age_seconds.map(|seconds| recorded + i64::from(seconds) * 1000);
        let shared = self.pace.as_ref().map(|pace| pace.start_millis(recorded));
        own.into_iter().chain(shared).min().unwrap_or(recorded)
    }

    /// When a file recorded at this instant becomes late, if it is still waiting. Time that it waits for other files on purpose does not
    /// count.
    pub fn late_millis(&self, recorded: Millis) -> Millis {
        let seconds = |seconds: u32| i64::from(seconds) * 1000;
        match self.alarm_after_seconds {
            Some(after) => recorded + seconds(after),
            None => self.start_millis(recorded) + seconds(ALARM_AFTER_SECONDS_DEFAULT),
        }
    }

    /// Whether the start of such a load is shared by the tables of its warehouse.
    pub fn starts_together(&self, recorded: Millis) -> bool {
        let own = self.limits.age_seconds.map(|seconds| recorded + i64::from(seconds) * 1000);
        let start = self.start_millis(recorded);
        self.pace.is_some() && start > recorded && own != Some(start)
    }

    /// The instant whose minute counts as awake for a statement that starts now: for tables that start together the instant that they
    /// share, however the sweep spreads them. `recorded`: when the statement's oldest object was.
    pub fn awake_millis(&self, recorded: Millis, now: Millis) -> Millis {
        let start = self.start_millis(recorded);
        let is_soon_after = (start..start + 2 * SWEEP_MILLIS).contains(&now);
        if self.starts_together(recorded) && is_soon_after { start } else { now }
    }

    /// The end of the current hours in which nothing of this warehouse may start, if there are such hours now.
    pub fn never_until(&self, now: Millis) -> Option<Millis> {
        self.pace.as_ref().and_then(|pace| pace.never_until(now))
    }

    /// Whether loads start by the queue's own age instead of together with those of the warehouse.
    pub fn starts_on_its_own(&self) -> bool {
        self.pace.is_some() && self.limits.age_seconds.is_some()
    }

    /// Partition key of the target table.
    pub fn db_table(&self) -> DbTable {
        self.target.db_table()
    }
}

#[cfg(test)]
mod tests;
