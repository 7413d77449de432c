//! Failure classes: why an attempt failed and what follows. One table maps error texts to classes and gives the source of each row.
//!
//! The name of the class is in the log, the history, the quarantine and the metrics.

use std::fmt;

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// Repeat at once: the conflict has passed.
    RetryNow,
    /// Repeat after a growing wait: the service is busy or unavailable.
    RetryLater,
    /// Look at the objects again: one changed or was deleted after the manifest was written.
    Refresh,
    /// A file is bad: find it, set it apart, and load the others.
    BadInput,
    /// The files are fine, but someone must grant, create or free something. The table waits and probes.
    OperatorsTurn,
    /// The text is unknown. The load waits as for an operator's turn, and is then split as for bad input.
    Unexplained,
    /// It can no longer be known whether the rows were committed.
    OutcomeUnknown,
    /// The object was deleted before it was loaded.
    Deleted,
}

impl FailureClass {
    /// All classes, for reading a name back.
    pub const ALL: [Self; 8] = [
        Self::RetryNow,
        Self::RetryLater,
        Self::Refresh,
        Self::BadInput,
        Self::OperatorsTurn,
        Self::Unexplained,
        Self::OutcomeUnknown,
        Self::Deleted,
    ];

    /// The name in logs, items and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RetryNow => "retry_now",
            Self::RetryLater => "retry_later",
            Self::Refresh => "refresh",
            Self::BadInput => "bad_input",
            Self::OperatorsTurn => "operators_turn",
            Self::Unexplained => "unexplained",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Deleted => "deleted",
        }
    }

    /// Reads a class from its [name](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// What to do with objects that are in quarantine with this class.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::BadInput => {
                "correct the file and upload it again (a new version loads without further action), or correct the table or the COPY options and run `cargo xtask retry TABLE`"
            }
            Self::Deleted => {
                "nothing to load any more: upload the object again if it is needed, and run `cargo xtask dismiss TABLE`"
            }
            Self::OutcomeUnknown => {
                "check whether the target table contains the rows of these files: if not, run `cargo xtask retry TABLE --outcome-unknown`; if so, `cargo xtask dismiss TABLE`"
            }
            Self::Unexplained | Self::RetryNow | Self::RetryLater | Self::Refresh | Self::OperatorsTurn => {
                "read the error, remove its cause, then run `cargo xtask retry TABLE`"
            }
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

struct Row {
    /// In lower case; the text must contain all parts.
    contains: &'static [&'static str],
    class: FailureClass,
    #[allow(dead_code, reason = "documents the row")]
    source: &'static str,
}

const fn row(contains: &'static [&'static str], class: FailureClass, source: &'static str) -> Row {
    Row { contains, class, source }
}

const MANAGEMENT: &str = "Redshift management guide, Data API: troubleshooting and considerations";
const ISOLATION: &str = "Redshift database guide, serializable isolation";
const COPY_ERRORS: &str = "Redshift database guide, troubleshooting data loads; load error reference";
const COLUMNAR: &str = "Redshift database guide, COPY from columnar data formats";
const S3_ERRORS: &str = "Redshift database guide, S3ServiceException errors";
const SQL_ERRORS: &str = "PostgreSQL-style error texts of Redshift";

/// The errors of [`crate::sql::columns::TargetColumns::guard`] if columns were added, removed or reordered, or their types changed.
const OTHER_COUNT: &[&str] = &["each union query must have the same number of columns"];
const OTHER_TYPES: &[&str] = &["union types", "cannot be matched"];
/// The error if a column named in the SQL does not exist. A configured column may never have existed.
const NO_COLUMN: &[&str] = &["column", "does not exist"];

/// The first matching row applies, so specific rows come before general ones.
const TABLE: &[Row] = &[
    row(OTHER_COUNT, FailureClass::RetryNow, SQL_ERRORS),
    row(OTHER_TYPES, FailureClass::RetryNow, SQL_ERRORS),
    row(&["column", "already exists"], FailureClass::RetryNow, SQL_ERRORS),
    row(&["serializable isolation violation"], FailureClass::RetryNow, ISOLATION),
    row(&["could not serialize access"], FailureClass::RetryNow, ISOLATION),
    row(&["1018", "relation does not exist"], FailureClass::RetryNow, ISOLATION),
    row(&["deadlock detected"], FailureClass::RetryNow, ISOLATION),
    row(&["conflict with concurrent transaction"], FailureClass::RetryNow, ISOLATION),
    row(&["connection", "lost"], FailureClass::RetryNow, MANAGEMENT),
    row(&["connection", "closed"], FailureClass::RetryNow, MANAGEMENT),
    row(&["connection", "reset"], FailureClass::RetryNow, MANAGEMENT),
    row(&["connection", "refused"], FailureClass::RetryLater, MANAGEMENT),
    row(&["connection", "timed out"], FailureClass::RetryLater, MANAGEMENT),
    row(&["could not connect"], FailureClass::RetryLater, MANAGEMENT),
    row(&["too many connections"], FailureClass::RetryLater, MANAGEMENT),
    row(&["connection limit"], FailureClass::RetryLater, MANAGEMENT),
    row(&["resize"], FailureClass::RetryLater, MANAGEMENT),
    row(&["maintenance"], FailureClass::RetryLater, MANAGEMENT),
    row(&["read-only mode"], FailureClass::RetryLater, MANAGEMENT),
    row(&["system is in", "mode"], FailureClass::RetryLater, MANAGEMENT),
    row(&["cluster", "not available"], FailureClass::RetryLater, MANAGEMENT),
    row(&["cluster", "paused"], FailureClass::RetryLater, MANAGEMENT),
    row(&["throttl"], FailureClass::RetryLater, MANAGEMENT),
    row(&["rate exceeded"], FailureClass::RetryLater, MANAGEMENT),
    row(&["too many requests"], FailureClass::RetryLater, MANAGEMENT),
    row(&["active statements exceeded"], FailureClass::RetryLater, MANAGEMENT),
    row(&["active sessions exceeded"], FailureClass::RetryLater, MANAGEMENT),
    row(&["activestatementsexceeded"], FailureClass::RetryLater, MANAGEMENT),
    row(&["activesessionsexceeded"], FailureClass::RetryLater, MANAGEMENT),
    row(&["slowdown"], FailureClass::RetryLater, S3_ERRORS),
    row(&["slow down"], FailureClass::RetryLater, S3_ERRORS),
    row(&["status 503"], FailureClass::RetryLater, S3_ERRORS),
    row(&["status 500"], FailureClass::RetryLater, S3_ERRORS),
    row(&["internalerror"], FailureClass::RetryLater, S3_ERRORS),
    row(&["serviceunavailable"], FailureClass::RetryLater, S3_ERRORS),
    row(&["reduce your request rate"], FailureClass::RetryLater, S3_ERRORS),
    row(&["timeout was reached"], FailureClass::RetryLater, COLUMNAR),
    row(&["timed out"], FailureClass::RetryLater, COLUMNAR),
    row(&["resolve host"], FailureClass::RetryLater, COLUMNAR),
    row(&["statement timeout"], FailureClass::RetryLater, SQL_ERRORS),
    row(&["cancelled on user"], FailureClass::RetryLater, SQL_ERRORS),
    row(&["canceling statement"], FailureClass::RetryLater, SQL_ERRORS),
    row(&["out of memory"], FailureClass::RetryLater, SQL_ERRORS),
    row(&["nosuchbucket"], FailureClass::OperatorsTurn, S3_ERRORS),
    row(&["bucket does not exist"], FailureClass::OperatorsTurn, S3_ERRORS),
    row(&["nosuchkey"], FailureClass::Refresh, S3_ERRORS),
    row(&["specified key does not exist"], FailureClass::Refresh, S3_ERRORS),
    row(&["status 404"], FailureClass::Refresh, S3_ERRORS),
    row(&["mandatory file"], FailureClass::Refresh, S3_ERRORS),
    row(&["content_length"], FailureClass::Refresh, COLUMNAR),
    row(&["content length"], FailureClass::Refresh, COLUMNAR),
    row(&["file size", "manifest"], FailureClass::Refresh, COLUMNAR),
    row(&["precondition"], FailureClass::Refresh, S3_ERRORS),
    row(&["invalidobjectstate"], FailureClass::BadInput, S3_ERRORS),
    row(&["accessdenied"], FailureClass::OperatorsTurn, S3_ERRORS),
    row(&["access denied"], FailureClass::OperatorsTurn, S3_ERRORS),
    row(&["status 403"], FailureClass::OperatorsTurn, S3_ERRORS),
    row(&["not authorized"], FailureClass::OperatorsTurn, S3_ERRORS),
    row(&["permission denied"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["must be owner"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["password authentication failed"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["user", "does not exist"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["disk full"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["no space left"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["iam role", "not"], FailureClass::OperatorsTurn, S3_ERRORS),
    row(&["not attached to cluster"], FailureClass::OperatorsTurn, S3_ERRORS),
    row(&["does not exist"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["cannot find", "table"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["nonexistent table"], FailureClass::OperatorsTurn, COPY_ERRORS),
    row(&["cannot copy into"], FailureClass::OperatorsTurn, COPY_ERRORS),
    row(&["syntax error"], FailureClass::OperatorsTurn, SQL_ERRORS),
    row(&["is not supported for"], FailureClass::OperatorsTurn, COLUMNAR),
    row(&["resourcenotfound"], FailureClass::OperatorsTurn, MANAGEMENT),
    row(&["load_error_detail"], FailureClass::BadInput, COPY_ERRORS),
    row(&["stl_load_errors"], FailureClass::BadInput, COPY_ERRORS),
    row(&["load into table", "failed"], FailureClass::BadInput, COPY_ERRORS),
    row(&["spectrum scan error"], FailureClass::BadInput, COLUMNAR),
    row(&["parquet"], FailureClass::BadInput, COLUMNAR),
    row(&["incompatible"], FailureClass::BadInput, COLUMNAR),
    row(&["number of columns"], FailureClass::BadInput, COLUMNAR),
    row(&["column count"], FailureClass::BadInput, COLUMNAR),
    row(&["invalid", "file"], FailureClass::BadInput, COLUMNAR),
    row(&["corrupt"], FailureClass::BadInput, COLUMNAR),
    row(&["malformed"], FailureClass::BadInput, COPY_ERRORS),
    row(&["invalid json"], FailureClass::BadInput, COPY_ERRORS),
    row(&["invalid input syntax"], FailureClass::BadInput, SQL_ERRORS),
    row(&["invalid digit"], FailureClass::BadInput, COPY_ERRORS),
    row(&["invalid timestamp"], FailureClass::BadInput, COPY_ERRORS),
    row(&["invalid date"], FailureClass::BadInput, COPY_ERRORS),
    row(&["invalid byte sequence"], FailureClass::BadInput, COPY_ERRORS),
    row(&["delimiter not found"], FailureClass::BadInput, COPY_ERRORS),
    row(&["extra column"], FailureClass::BadInput, COPY_ERRORS),
    row(&["missing data for"], FailureClass::BadInput, COPY_ERRORS),
    row(&["cannot insert a null value"], FailureClass::BadInput, SQL_ERRORS),
    row(&["null value", "not-null constraint"], FailureClass::BadInput, SQL_ERRORS),
    row(&["value too long"], FailureClass::BadInput, SQL_ERRORS),
    row(&["exceeds", "length"], FailureClass::BadInput, COPY_ERRORS),
    row(&["out of range"], FailureClass::BadInput, SQL_ERRORS),
    row(&["numeric field overflow"], FailureClass::BadInput, SQL_ERRORS),
    row(&["numeric data overflow"], FailureClass::BadInput, SQL_ERRORS),
    row(&["overflow"], FailureClass::BadInput, SQL_ERRORS),
];

/// Names of Redshift's own tables, which its texts put in quotes.
const OWN_NAMES: [&str; 2] = ["sys_load_error_detail", "stl_load_errors"];
/// The word after one of these is a name chosen by a user,
const BEFORE_A_NAME: [&str; 3] = ["relation", "table", "column"];
/// and so is the word after one of these if `for` or `of` precedes it,
const OF_A_NAME: [&str; 6] = ["schema", "view", "user", "role", "bucket", "database"];
/// unless it is one of these.
const NO_NAMES: [&str; 20] = [
    "does", "is", "not", "has", "on", "of", "in", "for", "to", "with", "was", "and", "or", "already", "failed",
    "count", "must", "cannot", "system", "limit",
];

/// Whether the text says that something does not exist: an object, or a file that the COPY options name, such as a `JSONPaths` file.
pub fn is_missing(text: &str) -> bool {
    let text = text.to_lowercase();
    ["nosuchkey", "specified key does not exist", "status 404"].iter().any(|part| text.contains(part))
}

/// Whether the text says that the target lacks the columns that the SQL was built for. Cached columns are then out of date and must be read
/// again, whatever the class.
pub fn is_changed_table(text: &str) -> bool {
    let text = without_names(&text.to_lowercase());
    [OTHER_COUNT, OTHER_TYPES, NO_COLUMN].iter().any(|parts| parts.iter().all(|part| text.contains(part)))
}

/// Classifies an error text of the warehouse.
pub fn classify(text: &str) -> FailureClass {
    let text = without_names(&text.to_lowercase());
    TABLE
        .iter()
        .find(|row| row.contains.iter().all(|part| text.contains(part)))
        .map_or(FailureClass::Unexplained, |row| row.class)
}

/// The part of a warehouse's text that may be logged. The text can contain values of rows, so only the matched words of the table and line
/// numbers remain.
pub fn without_values(text: &str) -> String {
    let own = without_names(&text.to_lowercase());
    let known = TABLE.iter().filter(|row| row.contains.iter().all(|part| own.contains(part)));
    let mut said: Vec<String> = Vec::new();
    for words in known.map(|row| row.contains.join(" … ")).chain(lines_of_files(text)) {
        if !said.contains(&words) {
            said.push(words);
        }
    }
    if said.is_empty() { "text that matches no rule".to_owned() } else { said.join("; ") }
}

/// Each `line 3` for a line of a file that the text names.
fn lines_of_files(text: &str) -> impl Iterator<Item = String> {
    text.split("' line ").skip(1).filter_map(|rest| {
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (!number.is_empty()).then(|| format!("line {number}"))
    })
}

/// The text without names that users chose. These appear in quotes, in URLs and ARNs, or after words such as `relation`. A table may be
/// called `maintenance`, and a folder `connection/lost`.
fn without_names(text: &str) -> String {
    let unquoted = without_quoted(&without_quoted(text, '\''), '"');
    let mut words = Vec::new();
    let (mut name_follows, mut of) = (false, false);
    for word in unquoted.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let named = word.contains("://") || word.contains("arn:") || (name_follows && !NO_NAMES.contains(&bare));
        if !named {
            words.push(word);
        }
        name_follows = BEFORE_A_NAME.contains(&word) || (of && OF_A_NAME.contains(&word));
        of = ["for", "of"].contains(&word);
    }
    words.join(" ")
}

/// A quote opens only if no word character precedes it, and closes only if none follows it, so an apostrophe is neither.
fn without_quoted(text: &str, quote: char) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some(open) = rest.find(quote) {
        let (before, inside) = (&rest[..open], &rest[open + 1..]);
        let close = inside.match_indices(quote).map(|(at, _)| at).find(|at| !starts_word(&inside[at + 1..]));
        kept.push_str(before);
        match close {
            Some(close) if !ends_word(before) => {
                if OWN_NAMES.contains(&&inside[..close]) {
                    kept.push_str(&inside[..close]);
                }
                rest = &inside[close + 1..];
            }
            _ => rest = inside,
        }
    }
    kept + rest
}

fn ends_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(char::is_alphanumeric)
}

fn starts_word(text: &str) -> bool {
    text.chars().next().is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_chosen_by_users_do_not_classify() {
        let cases = [
            (
                "Load into table 'maintenance_log' failed.  Check 'sys_load_error_detail' system table for details.",
                FailureClass::BadInput,
            ),
            (
                "Load into table 'resize' failed. Check 'stl_load_errors' system table for details.; file 's3://b/it's maintenance.csv' line 1 column 'slowdown': Invalid digit, Value 't'",
                FailureClass::BadInput,
            ),
            (
                "Spectrum Scan Error. File 'https://s3.eu-west-1.amazonaws.com/fleet-maintenance/a.parquet' has an incompatible Parquet schema",
                FailureClass::BadInput,
            ),
            (
                "Spectrum Scan Error. File s3://b/connection/closed/bad.parquet has an incompatible Parquet schema",
                FailureClass::BadInput,
            ),
            ("ERROR: permission denied for relation maintenance", FailureClass::OperatorsTurn),
            ("ERROR: Cannot COPY into nonexistent table throttled", FailureClass::OperatorsTurn),
            ("ERROR: column \"overflow\" of relation \"corrupt\" does not exist", FailureClass::OperatorsTurn),
            ("ERROR: 1018 DETAIL: Relation does not exist", FailureClass::RetryNow),
            ("FATAL: the database system is in recovery mode", FailureClass::RetryLater),
            (
                "S3ServiceException:The operation is not valid for the object's storage class,Status 403,Error InvalidObjectState",
                FailureClass::BadInput,
            ),
            ("Spectrum Scan Error: Timeout was reached reading s3://b/good.parquet", FailureClass::RetryLater),
            ("ERROR: the cluster is being resized", FailureClass::RetryLater),
            ("ERROR: permission denied for schema maintenance", FailureClass::OperatorsTurn),
            ("FATAL: the database connection was lost", FailureClass::RetryNow),
            ("Database connection closed", FailureClass::RetryNow),
            ("database maintenance in progress", FailureClass::RetryLater),
            (
                "S3ServiceException:The specified bucket does not exist,Status 404,Error NoSuchBucket",
                FailureClass::OperatorsTurn,
            ),
        ];
        for (text, class) in cases {
            assert_eq!(classify(text), class, "{text}");
        }
    }

    #[test]
    fn changed_columns_are_read_again() {
        let cases = [
            (
                "Query #1 failed with ERROR: each UNION query must have the same number of columns",
                FailureClass::RetryNow,
            ),
            ("ERROR: each UNION query must have the same number of columns\n  Position: 48", FailureClass::RetryNow),
            ("ERROR: UNION types bigint and character varying cannot be matched", FailureClass::RetryNow),
            ("ERROR: column \"number of columns\" does not exist in sales", FailureClass::OperatorsTurn),
            ("ERROR: column t.amount does not exist", FailureClass::OperatorsTurn),
            ("ERROR: column \"amount\" of relation \"sales\" does not exist", FailureClass::OperatorsTurn),
        ];
        for (text, class) in cases {
            assert_eq!((classify(text), is_changed_table(text)), (class, true), "{text}");
        }
        for text in ["ERROR: relation \"column\" does not exist", "Spectrum Scan Error: number of columns differ"] {
            assert!(!is_changed_table(text), "{text}");
        }
    }

    #[test]
    fn a_log_contains_no_values_of_rows() {
        let cases = [
            (
                "ERROR: Load into table 'sales' failed.  Check 'sys_load_error_detail' system table for details.; \
                 file 's3://b/k.csv' line 3 column 'id': Invalid digit, Value 's', Pos 0, Type: Long secret; \
                 file 's3://b/k.csv' line 12 column 'id': Invalid digit, Value 'e', Pos 0",
                "load_error_detail; load into table … failed; invalid … file; invalid digit; line 3; line 12",
            ),
            ("ERROR: invalid input syntax for type bigint: \"secret\"", "invalid input syntax"),
            ("ERROR: Failing row contains (secret, 7)", "text that matches no rule"),
            ("ERROR: date/time field value out of range: secret", "out of range"),
            ("aborted: Query cancelled on user's request", "cancelled on user"),
        ];
        for (text, logged) in cases {
            assert_eq!(without_values(text), logged, "{text}");
        }
    }

    #[test]
    fn names_read_back() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::parse(class.name()), Some(class));
        }
    }

    #[test]
    fn texts_of_the_warehouse() {
        let cases = [
            (
                "ERROR: 1023 DETAIL: Serializable isolation violation on table - 100, transactions forming the cycle",
                FailureClass::RetryNow,
            ),
            ("ERROR: deadlock detected", FailureClass::RetryNow),
            ("ThrottlingException: Rate exceeded", FailureClass::RetryLater),
            ("S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown", FailureClass::RetryLater),
            ("S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey", FailureClass::Refresh),
            ("S3ServiceException:Access Denied,Status 403,Error AccessDenied", FailureClass::OperatorsTurn),
            ("ERROR: permission denied for relation sales", FailureClass::OperatorsTurn),
            ("ERROR: relation \"sales\" does not exist", FailureClass::OperatorsTurn),
            ("ERROR: Cannot COPY into nonexistent table sales", FailureClass::OperatorsTurn),
            (
                "Load into table 'sales' failed.  Check 'sys_load_error_detail' system table for details.",
                FailureClass::BadInput,
            ),
            (
                "Spectrum Scan Error. File 's3://b/k' has an incompatible Parquet schema for column 's3://b.x'",
                FailureClass::BadInput,
            ),
            ("ERROR: Cannot insert a NULL value into column id", FailureClass::BadInput),
            ("something nobody has seen", FailureClass::Unexplained),
        ];
        for (text, class) in cases {
            assert_eq!(classify(text), class, "{text}");
        }
    }
}
