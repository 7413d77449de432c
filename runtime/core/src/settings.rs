//! The settings of a function: its environment variables, read once. All problems are reported together.

use crate::contract;
use crate::limits::LOAD_PENDINGS_MAX;
use crate::problem::Problems;

/// Waiting times in milliseconds, and a limit that the proofs reduce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a load that another invocation is working on is left alone. A lower value causes duplicate work, but never duplicate loads.
    pub patience_millis: i64,
    /// How long to wait for an event before asking for a statement's status. A lower value causes more `DescribeStatement` calls.
    pub poll_millis: i64,
    /// First wait after a failure.
    pub backoff_base_millis: i64,
    /// Longest wait between attempts.
    pub backoff_cap_millis: i64,
    /// How long the ledger remembers an object version.
    pub ledger_millis: i64,
    /// How long the history is kept.
    pub history_millis: i64,
    /// Maximum number of pending loads that one load takes. If there are more, some are merged first.
    pub load_pendings_max: usize,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            patience_millis: 60_000,
            poll_millis: 30_000,
            backoff_base_millis: 5_000,
            backoff_cap_millis: 600_000,
            ledger_millis: 64 * DAY_MILLIS,
            history_millis: 90 * DAY_MILLIS,
            load_pendings_max: LOAD_PENDINGS_MAX,
        }
    }
}

const DAY_MILLIS: i64 = 86_400_000;

/// The settings from a function's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bucket of the queue configurations.
    pub config_bucket: String,
    /// Folder of the queue configurations, with its final `/`.
    pub config_prefix: String,
    /// Name of the tracker table.
    pub tracker_table: String,
    /// Bucket of the manifests.
    pub manifest_bucket: String,
    /// Folder of the manifests, with its final `/`.
    pub manifest_prefix: String,
    /// First part of statement names; `None`: the name of the database.
    pub statement_name_prefix: Option<String>,
    /// The stack's name, a dimension of the metrics.
    pub stack_name: String,
    /// How long a queue configuration is cached.
    pub config_cache_millis: i64,
    /// Waiting times.
    pub timing: Timing,
}

impl Settings {
    /// Reads the settings through `variable`, which looks up an environment variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut required = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            if value.is_none() {
                problems.add(name, "missing: set this environment variable of the function (the template does)");
            }
            value.unwrap_or_default()
        };
        let config_bucket = required(contract::CONFIG_BUCKET);
        let tracker_table = required(contract::DDB_TRACKER);
        let manifest_bucket = required(contract::MANIFEST_BUCKET);
        check_bucket(contract::CONFIG_BUCKET, &config_bucket, &mut problems);
        check_bucket(contract::MANIFEST_BUCKET, &manifest_bucket, &mut problems);
        let seconds =
            |name: &str, default: i64, problems: &mut Problems| number(&variable, name, default, problems) * 1000;
        let days =
            |name: &str, default: i64, problems: &mut Problems| number(&variable, name, default, problems) * DAY_MILLIS;
        let timing = Timing {
            patience_millis: seconds(contract::CLAIM_PATIENCE_SECONDS, 60, &mut problems),
            poll_millis: seconds(contract::STATUS_POLL_SECONDS, 30, &mut problems),
            backoff_base_millis: seconds(contract::BACKOFF_BASE_SECONDS, 5, &mut problems),
            backoff_cap_millis: seconds(contract::BACKOFF_CAP_SECONDS, 600, &mut problems),
            ledger_millis: days(contract::LEDGER_DAYS, 64, &mut problems),
            history_millis: days(contract::HISTORY_DAYS, 90, &mut problems),
            ..Timing::default()
        };
        let config_cache_millis = seconds(contract::CONFIG_CACHE_SECONDS, 60, &mut problems);
        problems.into_result()?;
        let text = |name: &str, default: &str| variable(name).unwrap_or_else(|| default.to_owned());
        Ok(Self {
            config_bucket,
            config_prefix: folder(text(contract::CONFIG_PREFIX, contract::CONFIG_PREFIX_DEFAULT)),
            tracker_table,
            manifest_bucket,
            manifest_prefix: folder(text(contract::MANIFEST_PREFIX, contract::MANIFEST_PREFIX_DEFAULT)),
            statement_name_prefix: variable(contract::STATEMENT_NAME_PREFIX).filter(|prefix| !prefix.is_empty()),
            stack_name: text(contract::STACK_NAME, "loader"),
            config_cache_millis,
            timing,
        })
    }
}

fn check_bucket(name: &str, bucket: &str, problems: &mut Problems) {
    if bucket.contains([':', '/']) {
        problems.add(name, format!("`{bucket}` is not a bucket name: write it without `s3://` and without a folder"));
    }
}

/// Adds a missing final `/`; an empty prefix (the bucket's root) stays empty.
fn folder(mut prefix: String) -> String {
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    prefix
}

fn number(variable: &impl Fn(&str) -> Option<String>, name: &str, default: i64, problems: &mut Problems) -> i64 {
    let Some(text) = variable(name).filter(|text| !text.is_empty()) else { return default };
    match text.parse::<i64>() {
        Ok(number) if (0..=1_000_000).contains(&number) => number,
        _ => {
            problems.add(name, format!("`{text}` is not a whole number from 0 to 1000000"));
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Problems> {
        Settings::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const BASE: [(&str, &str); 3] = [("CONFIG_BUCKET", "c"), ("DDB_TRACKER", "t"), ("MANIFEST_BUCKET", "m")];

    #[test]
    fn a_missing_final_slash_is_added() {
        let settings = read(&[BASE.as_slice(), &[("CONFIG_PREFIX", "conf")]].concat()).unwrap();
        assert_eq!((settings.config_prefix.as_str(), settings.manifest_prefix.as_str()), ("conf/", "manifests/"));
        assert_eq!(settings.timing, Timing::default());
    }

    #[test]
    fn all_problems_are_reported_together() {
        let problems =
            read(&[("CONFIG_BUCKET", "s3://c"), ("DDB_TRACKER", "t"), ("BACKOFF_BASE_SECONDS", "soon")]).unwrap_err();
        let fields: Vec<&str> = problems.0.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["MANIFEST_BUCKET", "CONFIG_BUCKET", "BACKOFF_BASE_SECONDS"]);
    }

    #[test]
    fn periods_can_be_set_down_to_a_second() {
        let settings = read(&[BASE.as_slice(), &[("CLAIM_PATIENCE_SECONDS", "1")]].concat()).unwrap();
        assert_eq!(settings.timing.patience_millis, 1000);
    }
}
