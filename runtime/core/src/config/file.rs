//! The shape of a queue's file: its fields and their types. `config` decides what their values mean.
//!
//! An editor shows the comments on these fields: with the feature `schema`, the JSON Schema is generated from these types.

use serde::Deserialize;
use serde_json::{Map, Value};

#[cfg(feature = "schema")]
use super::{BYTES_MAX_DEFAULT, DB_USER_DEFAULT, FILES_MAX_DEFAULT};
use crate::pace::PACE_FIELDS;
#[cfg(feature = "schema")]
use crate::pace::PaceFile;
use crate::problem::Problems;
#[cfg(feature = "schema")]
use crate::schedule::{SCHEDULES_MAX, TIME_ZONE_DEFAULT};

/// Longest wait for other files, in seconds: a day.
pub(super) const AGE_SECONDS_MAX: u32 = 86_400;
/// Longest time that a statement may run, in minutes: a day (Redshift management guide, Data API: maximum duration of a query).
pub(super) const TIMEOUT_MINUTES_MAX: u32 = 1440;
/// Shortest and longest wait after which a table may be called late, in seconds: a minute, because the sweep looks once a minute, and a
/// week.
pub(super) const ALARM_AFTER_SECONDS_MIN: u32 = 60;
pub(super) const ALARM_AFTER_SECONDS_MAX: u32 = 604_800;
/// Longest look back of a merge, in days: a century, which can be subtracted from every present-day timestamp.
pub(super) const WINDOW_DAYS_MAX: u32 = 36_500;
/// Longest time for which a deletion is remembered, in days.
pub(super) const KEEP_DAYS_MAX: u32 = WINDOW_DAYS_MAX;

/// How the files of one queue are loaded into one table.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(title = "Queue configuration of the Redshift loader", deny_unknown_fields))]
pub(super) struct File {
    /// This schema, for editors.
    #[serde(rename = "$schema")]
    _schema: Option<String>,
    /// Folder of the files: s3://bucket/folder/. The deployment connects it.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^s3://[a-z0-9.-]{3,63}(/.*)?$")))]
    pub source: Option<String>,
    /// Name of another queue whose source contains this one: the table gets its objects from that queue's messages.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[A-Za-z0-9_-]{1,60}$")))]
    pub queue: Option<String>,
    /// Full names of the configurations of other tables that this queue also feeds; written by the deployment.
    #[serde(default)]
    pub feeds: Vec<String>,
    /// The COPY command.
    pub copy: CopyPart,
    /// The warehouse.
    pub cluster: ClusterPart,
    /// How rows are merged; if absent, rows are appended.
    pub options: Option<OptionsPart>,
    /// Name of a file in warehouses/ that says how the warehouse is used; the deployment replaces it with the content.
    #[cfg_attr(feature = "schema", schemars(with = "Option<NameOr>"))]
    pub warehouse: Option<Value>,
    /// Limits of one load.
    pub load: Option<LoadPart>,
    /// Of a bulk request that loads again what was loaded before then, epoch milliseconds; written by the loader.
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub again_before_millis: Option<i64>,
    /// How often the source is searched for files without an event.
    pub source_check: Option<SourceCheckPart>,
    /// Folders that are loaded on a schedule, whether or not S3 sent events about their files.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = SCHEDULES_MAX)))]
    pub bulk: Vec<BulkPart>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["every"])))]
pub(super) struct SourceCheckPart {
    /// How often: 1 hour to 7 days, such as 6 hours.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[1-9][0-9]* (hour|day)s?$"), transform = no_default))]
    pub every: String,
    /// Where S3 Inventory lists the source's bucket: s3://bucket/prefix/source-bucket/configuration/. Read instead of listing the source.
    pub inventory: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["schedule", "s3_path"])))]
pub(super) struct BulkPart {
    /// When: cron(minutes hours day-of-month month day-of-week year), or rate(6 hours).
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1), transform = no_default))]
    pub schedule: String,
    /// Which folder: s3://bucket/folder/, with dates such as {yesterday:%Y-%m-%d}.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1), transform = no_default))]
    pub s3_path: String,
    /// IANA time zone of the schedule and of the dates.
    #[cfg_attr(feature = "schema", schemars(extend("default" = TIME_ZONE_DEFAULT)))]
    pub timezone: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["table_name", "role_arn"])))]
pub(super) struct CopyPart {
    /// Target table: schema.table, or table for the schema public.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1), transform = no_default))]
    pub table_name: String,
    /// ARN of the role that COPY assumes, or `default` for the warehouse's default role.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1), transform = no_default))]
    pub role_arn: String,
    /// COPY options, separated by spaces; Parquet unless a format is named.
    pub options: Option<String>,
    /// Columns to load, in the order of the files; if absent, all columns.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("uniqueItems" = true)))]
    pub columns: Vec<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["db_name"], "oneOf" = one_warehouse())))]
pub(super) struct ClusterPart {
    /// Provisioned cluster.
    pub identifier: Option<String>,
    /// Redshift Serverless workgroup, instead of `identifier`.
    pub workgroup: Option<String>,
    /// Database.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1), transform = no_default))]
    pub db_name: String,
    /// Database user of a provisioned cluster.
    #[cfg_attr(feature = "schema", schemars(extend("default" = DB_USER_DEFAULT)))]
    pub db_user: Option<String>,
    /// Secret with the credentials, instead of `db_user`.
    pub secret_arn: Option<String>,
}

#[derive(Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(super) struct OptionsPart {
    /// true: one row per merge key, the newest; false: every version of a row once.
    #[serde(default)]
    pub merge_duplicate_pks: bool,
    /// Column, or columns, that identify a row.
    pub merge_pk: Option<OneOrMany>,
    /// Column that says which row is newer.
    pub merge_timestamp: Option<String>,
    /// Maximum age of the rows that a load replaces, in days before the load's oldest row; if absent, any age.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = WINDOW_DAYS_MAX)))]
    pub merge_window_days: Option<u32>,
    /// Rows of the files that mark deletions, as change data capture writes them.
    pub delete_marker: Option<DeleteMarkerPart>,
    /// true: each load locks the target first, because others write to it too.
    #[serde(default)]
    pub lock: bool,
    /// Table in the warehouse that records what was loaded, in the same transaction as the rows.
    pub ledger_table: Option<String>,
    /// Files whose columns do not match the table's: Parquet, and if this field is set, CSV with a header and JSON. fail: they go to
    /// quarantine before COPY; add_columns: they are matched by column names, and new columns are added to the table; ignore: COPY decides.
    #[cfg_attr(feature = "schema", schemars(with = "Option<OnSchemaChange>", extend("default" = "fail")))]
    pub on_schema_change: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct DeleteMarkerPart {
    /// Column of the files; the target may have it too.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub column: String,
    /// Its value in rows that mark a deletion.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub value: String,
    /// Days for which a deletion is remembered after it was loaded; if absent, forever.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = KEEP_DAYS_MAX)))]
    pub keep_days: Option<u32>,
}

#[derive(Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(super) struct LoadPart {
    /// Maximum number of files in a load.
    #[cfg_attr(feature = "schema", schemars(range(min = 1), extend("default" = FILES_MAX_DEFAULT)))]
    pub files_max: Option<u64>,
    /// Maximum size of a load in bytes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1), extend("default" = BYTES_MAX_DEFAULT)))]
    pub bytes_max: Option<u64>,
    /// Seconds that files wait for others before their load starts; if absent, as the warehouse's file says, or 0.
    #[cfg_attr(feature = "schema", schemars(range(max = AGE_SECONDS_MAX)))]
    pub age_seconds: Option<u32>,
    /// Minutes that a statement may run before it is cancelled and repeated; if absent, no limit.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = TIMEOUT_MINUTES_MAX)))]
    pub timeout_minutes: Option<u32>,
    /// Seconds after which a waiting file makes the table late; if absent, ten minutes after its load may start.
    #[cfg_attr(feature = "schema", schemars(range(min = ALARM_AFTER_SECONDS_MIN, max = ALARM_AFTER_SECONDS_MAX)))]
    pub alarm_after_seconds: Option<u32>,
    /// true: no load starts.
    #[serde(default)]
    pub paused: bool,
    /// true: keys are never overwritten (Firehose, Spark, most exports), so objects are not looked at before they are loaded.
    #[serde(default)]
    pub write_once: bool,
}

#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum OnSchemaChange {
    Fail,
    AddColumns,
    Ignore,
}

/// In a queue's file, the name of a file in warehouses/; in the deployed configuration, the content of that file.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum NameOr {
    Name(#[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,60}$"))] String),
    Content(Box<PaceFile>),
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(#[cfg_attr(feature = "schema", schemars(length(min = 1), extend("uniqueItems" = true)))] Vec<String>),
}

/// Required fields have no default in the schema, although the parser reads a missing one as empty in order to report all problems at once.
#[cfg(feature = "schema")]
fn no_default(schema: &mut schemars::Schema) {
    schema.remove("default");
}

#[cfg(feature = "schema")]
fn one_warehouse() -> Value {
    let given = |field: &str| {
        let property = serde_json::json!({"type": "string", "minLength": 1});
        serde_json::json!({"required": [field], "properties": {field: property}})
    };
    Value::Array(vec![given("identifier"), given("workgroup")])
}

/// The JSON Schema of a queue's file, in draft 7, which every editor supports.
#[cfg(feature = "schema")]
pub fn schema() -> Value {
    crate::schema::draft07::<File>()
}

const FIELDS: &[(&str, &[&str])] = &[
    ("copy", &["options", "role_arn", "table_name", "columns"]),
    ("cluster", &["identifier", "workgroup", "db_name", "db_user", "secret_arn"]),
    (
        "options",
        &[
            "merge_duplicate_pks",
            "merge_pk",
            "merge_timestamp",
            "merge_window_days",
            "delete_marker",
            "lock",
            "ledger_table",
            "on_schema_change",
        ],
    ),
    (
        "load",
        &["files_max", "bytes_max", "age_seconds", "alarm_after_seconds", "timeout_minutes", "paused", "write_once"],
    ),
    ("warehouse", PACE_FIELDS),
    ("source", &[]),
    ("bulk", &["schedule", "s3_path", "timezone"]),
    ("source_check", &["every", "inventory"]),
    ("queue", &[]),
    ("again_before_millis", &[]),
    ("feeds", &[]),
    ("$schema", &[]),
];

/// Unknown fields are refused, because they would be ignored: a typing error in `merge_pk` would duplicate rows.
pub(super) fn refuse_unknown_fields(value: &Value, problems: &mut Problems) {
    let empty = Map::new();
    let root = value.as_object().unwrap_or(&empty);
    for (name, part) in root {
        let Some((_, known)) = FIELDS.iter().find(|(field, _)| field == name) else {
            let names: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
            problems.add(name, format!("unknown field: the fields are {}", names.join(", ")));
            continue;
        };
        let parts: Vec<(String, &Value)> = match part {
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| (format!("{name}[{index}]"), item)).collect()
            }
            one => vec![(name.clone(), one)],
        };
        for (name, part) in parts {
            for field in part.as_object().unwrap_or(&empty).keys().filter(|field| !known.contains(&field.as_str())) {
                problems.add(format!("{name}.{field}"), format!("unknown field: the fields are {}", known.join(", ")));
            }
        }
    }
}
