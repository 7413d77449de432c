//! The load configuration: the file of a queue, or the part of a bulk request that says how to load.
//!
//! Text in, [`LoadConfig`] or all its problems out; after that nobody checks again. The shape of the file is in `file`, what its
//! fields mean in `parts` and `merge`.

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
use crate::pace::Pace;
use crate::problem::{Problem, Problems};
use crate::schedule::{Schedule, SourceCheck};

mod address;
mod file;
mod merge;
mod parts;
mod source;
mod texts;

/// Database user of a provisioned cluster when the configuration names none.
pub const DB_USER_DEFAULT: &str = "redshift_data_api_user";
/// Files of one load unless `load.files_max` says otherwise.
pub const FILES_MAX_DEFAULT: u64 = 1000;
/// Bytes of one load unless `load.bytes_max` says otherwise: 64 GiB.
pub const BYTES_MAX_DEFAULT: u64 = 64 << 30;
/// Seconds after the instant at which its load may start, from which on a file is late unless `load.alarm_after_seconds` says otherwise.
pub const ALARM_AFTER_SECONDS_DEFAULT: u32 = 600;

/// How a table is loaded. Equal configurations may share a load.
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
    /// What happens to rows that are there already.
    pub mode: LoadMode,
    /// What happens to Parquet files whose columns are not the target's.
    pub schema_change: SchemaChange,
    /// Ledger in the warehouse, written in the same transaction as the data.
    pub ledger_table: Option<TableName>,
    /// The target is locked before anything else, because others write it too.
    pub lock: bool,
    /// Bounds of one load.
    pub limits: LoadLimits,
    /// Nothing is started while this is true.
    pub paused: bool,
    /// A table is late when its oldest file has waited longer, in seconds; `None`: see [`LoadConfig::late_millis`].
    pub alarm_after_seconds: Option<u32>,
    /// Keys are never written again: what a notification says of an object is still true when it is loaded.
    pub write_once: bool,
    /// How its warehouse is used; `None`: loads start on their own.
    pub pace: Option<Arc<Pace>>,
    /// Where the files come from: for the deployment, and where several tables share a queue for what is whose.
    pub source: Option<SourceFolder>,
    /// The queue of another table, without the stack's prefix, whose messages feed this one too; `None`: it has its own.
    pub fed_by: Option<String>,
    /// The configurations of the tables that are fed by this queue's messages too, by their whole names.
    pub feeds: Vec<String>,
    /// Of a bulk request only: what the ledger has as loaded before then is loaded again.
    pub again_before_millis: Option<Millis>,
    /// How often the source is looked through for events that never came, for the deployment.
    pub source_check: Option<SourceCheck>,
    /// Folders that are loaded on a schedule, for the deployment.
    pub bulk: Vec<Schedule>,
    /// The text this was read from, compact: what a tracker item keeps.
    pub document: String,
}

/// Credentials of the Data API call (Redshift management guide, "Authorizing access to the Data API").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Login {
    /// Temporary credentials of a database user; provisioned clusters only.
    DbUser(String),
    /// A Secrets Manager secret.
    Secret(String),
    /// The execution role's own identity; workgroups.
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

/// What happens to rows that are there already.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoadMode {
    /// Rows are added.
    Append,
    /// One row per merge key: the newest timestamp.
    Replace {
        /// Columns that identify a row.
        keys: Vec<Ident>,
        /// Column that says which is newer.
        timestamp: Ident,
        /// How much older than the oldest row of a load the rows are at most that it takes the place of, in days; `None`: any age.
        window_days: Option<u32>,
        /// Which rows of the files say that their row is gone; `None`: no row does.
        delete_marker: Option<DeleteMarker>,
    },
    /// One row per merge key and timestamp: every version once.
    Versions {
        /// Columns that identify a row.
        keys: Vec<Ident>,
        /// Column that tells versions apart.
        timestamp: Ident,
    },
}

/// A row of a file with this value in this column says: the row of this merge key is gone (`options.delete_marker`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteMarker {
    /// A column of the files; the target may have it, too.
    pub column: Ident,
    /// Its value in rows that are gone.
    pub value: String,
    /// For how many days a deletion is remembered after it was loaded; `None`: for ever.
    pub keep_days: Option<u32>,
    /// The table of tombstones, which remembers deletions.
    pub tombstones: TableName,
}

/// What happens to a file whose columns are not those of the target (`options.on_schema_change`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SchemaChange {
    /// It goes to quarantine before COPY.
    #[default]
    Fail,
    /// It goes by the names of its columns, and the target gets those that are new.
    AddColumns,
    /// Nobody compares: COPY decides, by position.
    Ignore,
}

/// Bounds of one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoadLimits {
    /// Files of one load at most.
    pub files_max: u64,
    /// Bytes of one load at most; a single larger file is a load of its own.
    pub bytes_max: u64,
    /// How long files may wait for others before their load starts, in seconds. `None`: as the warehouse's pace says, else at once.
    pub age_seconds: Option<u32>,
    /// How long a statement may run before it is cancelled, in minutes. `None`: for ever.
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

    /// The same, from JSON that is read already.
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

    /// Whether a template can be made from it: what names a warehouse or a secret becomes part of an ARN in a policy. The functions
    /// do without, because what they are told is for the Data API to judge.
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

    /// Which rows of the files say that their row is gone.
    pub fn delete_marker(&self) -> Option<&DeleteMarker> {
        match &self.mode {
            LoadMode::Replace { delete_marker, .. } => delete_marker.as_ref(),
            LoadMode::Append | LoadMode::Versions { .. } => None,
        }
    }

    /// When a load starts at the latest whose oldest object was recorded then.
    pub fn start_millis(&self, recorded: Millis) -> Millis {
        let own = self.limits.age_seconds.map(|seconds| recorded + i64::from(seconds) * 1000);
        let shared = self.pace.as_ref().map(|pace| pace.start_millis(recorded));
        own.into_iter().chain(shared).min().unwrap_or(recorded)
    }

    /// When a file is late that was recorded then and still waits: what waits for others on purpose is not late by that.
    pub fn late_millis(&self, recorded: Millis) -> Millis {
        let seconds = |seconds: u32| i64::from(seconds) * 1000;
        match self.alarm_after_seconds {
            Some(after) => recorded + seconds(after),
            None => self.start_millis(recorded) + seconds(ALARM_AFTER_SECONDS_DEFAULT),
        }
    }

    /// Whether that is an instant which the tables of its warehouse share.
    pub fn starts_together(&self, recorded: Millis) -> bool {
        let own = self.limits.age_seconds.map(|seconds| recorded + i64::from(seconds) * 1000);
        let start = self.start_millis(recorded);
        self.pace.is_some() && start > recorded && own != Some(start)
    }

    /// Until when nothing of this warehouse may start, if that is so now.
    pub fn never_until(&self, now: Millis) -> Option<Millis> {
        self.pace.as_ref().and_then(|pace| pace.never_until(now))
    }

    /// Whether its loads start by an age of the queue's own instead of with the others of their warehouse.
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
