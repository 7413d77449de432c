//! Interprets the fields of a queue's file, part by part. Every problem names its field.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::file::{
    AGE_SECONDS_MAX, ALARM_AFTER_SECONDS_MAX, ALARM_AFTER_SECONDS_MIN, ClusterPart, File, LoadPart, OptionsPart,
    TIMEOUT_MINUTES_MAX,
};
use super::merge::mode;
use super::source::{fed_by, inventory, schedules, source_check};
use super::texts::{given, idents};
use super::{
    BYTES_MAX_DEFAULT, CopyRole, DB_USER_DEFAULT, FILES_MAX_DEFAULT, LoadConfig, LoadLimits, Login, SchemaChange,
    SourceFolder,
};
use crate::copy_options::{CopyOptions, FileFormat};
use crate::ident::{Ident, TableName};
use crate::ids::{RedshiftTarget, TargetTable};
use crate::pace::{Pace, PaceFile};
use crate::problem::Problems;

/// The configuration that a file describes; `document` is its text as compact JSON.
pub(super) fn build(file: &File, document: String, problems: &mut Problems) -> Option<LoadConfig> {
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
    let mode = mode(wishes, table.as_ref(), &columns, problems);
    let ledger_table = wishes
        .and_then(|options| given(options.ledger_table.as_ref()))
        .and_then(|name| problems.take("options.ledger_table", TableName::parse(name)));
    let limits = limits(file.load.as_ref(), problems);
    let pace = pace(file.warehouse.as_ref(), problems);
    let source = given(file.source.as_ref()).and_then(|text| problems.take("source", SourceFolder::parse(text)));
    let source_check = source_check(file, problems);
    let schema_change = schema_change(wishes, options.as_ref(), &columns, problems);
    Some(LoadConfig {
        target: TargetTable { warehouse: warehouse?, database: file.cluster.db_name.clone(), table: table? },
        login: login?,
        copy_role: copy_role?,
        options: options?,
        columns,
        mode: mode?,
        schema_change,
        ledger_table,
        lock: wishes.is_some_and(|options| options.lock),
        limits,
        pace,
        paused: file.load.as_ref().is_some_and(|load| load.paused),
        alarm_after_seconds: alarm_after(file.load.as_ref(), problems),
        write_once: file.load.as_ref().is_some_and(|load| load.write_once),
        fed_by: fed_by(file, source.as_ref(), problems),
        feeds: file.feeds.clone(),
        again_before_millis: file.again_before_millis,
        source_check,
        inventory: inventory(file, source_check, source.as_ref(), problems),
        bulk: schedules(&file.bulk, source.as_ref(), problems),
        source,
        document,
    })
}

/// A queue's file names the warehouse's file. The deployment replaces the name with that file's content, because the functions read one
/// file per queue.
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

/// Parquet files describe their columns. CSV files with a header and JSON files do too, but reading them takes a call per file, so they are
/// compared only if the queue asks for it. Other formats are never compared.
fn schema_change(
    wishes: Option<&OptionsPart>,
    copy: Option<&CopyOptions>,
    columns: &[Ident],
    problems: &mut Problems,
) -> SchemaChange {
    let field = "options.on_schema_change";
    let wish = match wishes.and_then(|options| options.on_schema_change.as_deref()) {
        None if copy.is_some_and(|copy| copy.format == FileFormat::Parquet) => return SchemaChange::default(),
        None | Some("ignore") => return SchemaChange::Ignore,
        Some("fail") => SchemaChange::Fail,
        Some("add_columns") => SchemaChange::AddColumns,
        Some(other) => {
            problems.add(field, format!("`{other}` is not allowed: write `fail`, `add_columns` or `ignore`"));
            return SchemaChange::default();
        }
    };
    let has_names = copy.is_some_and(|copy| copy.naming().is_some());
    if has_names && wish == SchemaChange::AddColumns {
        problems.add(
            field,
            "the header of a CSV file and the keys of a JSON file tell no types, so no columns can be added: write `fail`",
        );
    } else if !has_names && copy.is_some_and(|copy| copy.format != FileFormat::Parquet) {
        problems.add(
            field,
            "only columns of Parquet files are compared, of CSV files with `IGNOREHEADER 1` and of JSON files, neither compressed nor with `ENCODING`: remove this field, or write `ignore`",
        );
    }
    if wish == SchemaChange::AddColumns && !columns.is_empty() {
        problems.add(field, "`add_columns` goes by the names in the files: remove `copy.columns`, or write `fail`");
    }
    if wish == SchemaChange::AddColumns && wishes.is_some_and(|options| options.delete_marker.is_some()) {
        problems.add(field, "with `options.delete_marker` no columns are added: remove one of them, or write `fail`");
    }
    if wish == SchemaChange::AddColumns && copy.is_some_and(|copy| copy.has("EXPLICIT_IDS")) {
        problems.add(field, "`add_columns` and `EXPLICIT_IDS` exclude each other: remove one of them");
    }
    wish
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
        text => Err(format!("`{text}` is not a role ARN: write arn:aws:iam::<12 digits>:role/<name>, or `default`")),
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
            problems.add("cluster", "has both `identifier` and `workgroup`: keep the intended one");
            None
        }
    }
}

fn login(cluster: &ClusterPart, problems: &mut Problems) -> Option<Login> {
    let workgroup = given(cluster.workgroup.as_ref()).is_some();
    match (given(cluster.db_user.as_ref()), given(cluster.secret_arn.as_ref())) {
        (Some(_), Some(_)) => {
            problems.add("cluster", "has both `db_user` and `secret_arn`: keep the intended one");
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
            problems.add("cluster.secret_arn", format!("`{arn}` is not a secret ARN: write arn:aws:secretsmanager:…"));
            None
        }
        (None, None) if workgroup => Some(Login::Identity),
        (None, None) => Some(Login::DbUser(DB_USER_DEFAULT.to_owned())),
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
