//! The load configuration: the file of a queue, or the part of a bulk request that says how to load.
//!
//! Text in, [`LoadConfig`] or all its problems out; after that nobody checks again. The shape of the file is in `file`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

#[cfg(feature = "schema")]
pub use self::file::schema;
use self::file::{
    AGE_SECONDS_MAX, ALARM_AFTER_SECONDS_MAX, ALARM_AFTER_SECONDS_MIN, ClusterPart, File, LoadPart, OneOrMany,
    OptionsPart, TIMEOUT_MINUTES_MAX, WINDOW_DAYS_MAX, refuse_unknown_fields,
};
use crate::copy_options::CopyOptions;
use crate::ident::{Ident, TableName};
use crate::ids::{DbTable, Millis, RedshiftTarget, TargetTable};
use crate::pace::{Pace, PaceFile};
use crate::problem::{Problem, Problems};

mod address;
mod file;

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
    /// Ledger in the warehouse, written in the same transaction as the data.
    pub ledger_table: Option<TableName>,
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
    /// Where the files come from, for the deployment.
    pub source: Option<SourceFolder>,
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
    },
    /// One row per merge key and timestamp: every version once.
    Versions {
        /// Columns that identify a row.
        keys: Vec<Ident>,
        /// Column that tells versions apart.
        timestamp: Ident,
    },
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

/// `s3://bucket/prefix` of the source files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceFolder {
    /// Bucket name.
    pub bucket: String,
    /// Key prefix, may be empty.
    pub prefix: String,
}

impl SourceFolder {
    /// Reads `s3://bucket/prefix`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| format!("`{text}` does not start with `s3://`: write s3://bucket/folder/"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
            return Err(format!(
                "`{bucket}` is no bucket name: 3 to 63 lower case letters, digits, `-` and `.`, as in s3://bucket/folder/"
            ));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
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
        let config = build(&file, value.to_string(), &mut problems);
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

fn build(file: &File, document: String, problems: &mut Problems) -> Option<LoadConfig> {
    let table = problems.take("copy.table_name", TableName::parse(&file.copy.table_name));
    let options = problems.take("copy.options", CopyOptions::parse(file.copy.options.as_deref().unwrap_or("")));
    let copy_role = problems.take("copy.role_arn", copy_role(&file.copy.role_arn));
    let columns = idents("copy.columns", &file.copy.columns, problems);
    let warehouse = warehouse(&file.cluster, problems);
    let login = login(&file.cluster, problems);
    if file.cluster.db_name.is_empty() {
        problems.add("cluster.db_name", "missing: name the database");
    }
    let wishes = file.options.as_ref();
    let mode = mode(wishes, &columns, problems);
    let ledger_table = wishes
        .and_then(|options| given(options.ledger_table.as_ref()))
        .and_then(|name| problems.take("options.ledger_table", TableName::parse(name)));
    let limits = limits(file.load.as_ref(), problems);
    let pace = pace(file.warehouse.as_ref(), problems);
    let source = given(file.source.as_ref()).and_then(|text| problems.take("source", SourceFolder::parse(text)));
    Some(LoadConfig {
        target: TargetTable { warehouse: warehouse?, database: file.cluster.db_name.clone(), table: table? },
        login: login?,
        copy_role: copy_role?,
        options: options?,
        columns,
        mode: mode?,
        ledger_table,
        limits,
        pace,
        paused: file.load.as_ref().is_some_and(|load| load.paused),
        alarm_after_seconds: alarm_after(file.load.as_ref(), problems),
        write_once: file.load.as_ref().is_some_and(|load| load.write_once),
        source,
        document,
    })
}

/// A queue's file names the warehouse's file; the deployment puts its content there, because the functions read one file for each queue.
fn pace(content: Option<&Value>, problems: &mut Problems) -> Option<Arc<Pace>> {
    let field = "warehouse";
    match content? {
        Value::Null => None,
        Value::String(name) => {
            problems.add(
                field,
                format!("`{name}` is only a name: deploy with `cargo xtask deploy`, which puts the content of warehouses/{name}.json here"),
            );
            None
        }
        content => match PaceFile::deserialize(content) {
            Err(error) => {
                problems.add(field, format!("{error}: see docs/configuration.md for the shape"));
                None
            }
            Ok(part) => {
                let mut found = Problems::default();
                let pace = Pace::build(&part, &mut found);
                for problem in found.0 {
                    problems.add(format!("{field}.{}", problem.field), problem.message);
                }
                pace.map(Arc::new)
            }
        },
    }
}

fn copy_role(text: &str) -> Result<CopyRole, String> {
    let is_role = |arn: &str| {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        matches!(parts.as_slice(), ["arn", partition, "iam", "", account, role]
            if partition.starts_with("aws") && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())
                && role.starts_with("role/") && !role.contains(['\'', '\\', ' ']))
    };
    match text {
        "" => {
            Err("missing: write the ARN of the role that COPY assumes, or `default` for the warehouse's default role"
                .into())
        }
        text if text.eq_ignore_ascii_case("default") => Ok(CopyRole::Default),
        text if text.split(',').all(is_role) => Ok(CopyRole::Arn(text.to_owned())),
        text => Err(format!("`{text}` is no role ARN: write arn:aws:iam::<12 digits>:role/<name>, or `default`")),
    }
}

fn warehouse(cluster: &ClusterPart, problems: &mut Problems) -> Option<RedshiftTarget> {
    match (given(cluster.identifier.as_ref()), given(cluster.workgroup.as_ref())) {
        (Some(identifier), None) => Some(RedshiftTarget::Cluster(identifier.to_owned())),
        (None, Some(workgroup)) => Some(RedshiftTarget::Workgroup(workgroup.to_owned())),
        (None, None) => {
            problems.add(
                "cluster",
                "names no warehouse: give `identifier` (provisioned cluster) or `workgroup` (Redshift Serverless)",
            );
            None
        }
        (Some(_), Some(_)) => {
            problems.add("cluster", "has both `identifier` and `workgroup`: keep the one that is meant");
            None
        }
    }
}

fn login(cluster: &ClusterPart, problems: &mut Problems) -> Option<Login> {
    let workgroup = given(cluster.workgroup.as_ref()).is_some();
    match (given(cluster.db_user.as_ref()), given(cluster.secret_arn.as_ref())) {
        (Some(_), Some(_)) => {
            problems.add("cluster", "has both `db_user` and `secret_arn`: keep the one that is meant");
            None
        }
        (Some(_), None) if workgroup => {
            problems.add(
                "cluster.db_user",
                "not possible with a workgroup: the function signs in as itself; remove it, or give `secret_arn`",
            );
            None
        }
        (Some(user), None) => Some(Login::DbUser(user.to_owned())),
        (None, Some(arn)) if arn.starts_with("arn:") && arn.contains(":secretsmanager:") => {
            Some(Login::Secret(arn.to_owned()))
        }
        (None, Some(arn)) => {
            problems.add("cluster.secret_arn", format!("`{arn}` is no secret ARN: write arn:aws:secretsmanager:…"));
            None
        }
        (None, None) if workgroup => Some(Login::Identity),
        (None, None) => Some(Login::DbUser(DB_USER_DEFAULT.to_owned())),
    }
}

fn mode(wishes: Option<&OptionsPart>, columns: &[Ident], problems: &mut Problems) -> Option<LoadMode> {
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
    let mode = match (keys.is_empty(), timestamp) {
        (true, None) if !wishes.merge_duplicate_pks => return Some(LoadMode::Append),
        (false, Some(timestamp)) if wishes.merge_duplicate_pks => LoadMode::Replace { keys, timestamp, window_days },
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

/// Only rows that are replaced are looked for: without merging there are none, and versions of the same time need no window.
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
}

fn limits(load: Option<&LoadPart>, problems: &mut Problems) -> LoadLimits {
    let files_max = load.and_then(|load| load.files_max).unwrap_or(FILES_MAX_DEFAULT);
    let bytes_max = load.and_then(|load| load.bytes_max).unwrap_or(BYTES_MAX_DEFAULT);
    for (field, value) in [("load.files_max", files_max), ("load.bytes_max", bytes_max)] {
        if value == 0 {
            problems.add(field, "`0` would load nothing: give at least 1, or set `load.paused`");
        }
    }
    let age_seconds = load.and_then(|load| load.age_seconds);
    if let Some(seconds) = age_seconds.filter(|seconds| *seconds > AGE_SECONDS_MAX) {
        problems.add("load.age_seconds", format!("`{seconds}` is more than a day ({AGE_SECONDS_MAX})"));
    }
    let timeout_minutes = load.and_then(|load| load.timeout_minutes);
    if let Some(minutes) = timeout_minutes.filter(|minutes| !(1..=TIMEOUT_MINUTES_MAX).contains(minutes)) {
        let rule = format!("`{minutes}` is not a number of minutes from 1 to {TIMEOUT_MINUTES_MAX}");
        problems.add("load.timeout_minutes", format!("{rule}: the Data API ends every statement after a day"));
    }
    LoadLimits { files_max, bytes_max, age_seconds, timeout_minutes }
}

fn alarm_after(load: Option<&LoadPart>, problems: &mut Problems) -> Option<u32> {
    let seconds = load.and_then(|load| load.alarm_after_seconds)?;
    if !(ALARM_AFTER_SECONDS_MIN..=ALARM_AFTER_SECONDS_MAX).contains(&seconds) {
        let range = format!("from {ALARM_AFTER_SECONDS_MIN} to {ALARM_AFTER_SECONDS_MAX}");
        problems.add("load.alarm_after_seconds", format!("`{seconds}` is not a number of seconds {range}"));
    }
    Some(seconds)
}

fn idents(field: &str, names: &[String], problems: &mut Problems) -> Vec<Ident> {
    names.iter().filter_map(|name| problems.take(field, Ident::parse(name))).collect()
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
