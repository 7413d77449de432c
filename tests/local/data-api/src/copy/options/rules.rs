//! Checks which parameters of COPY can be combined, and which formats accept them.

use super::parameters::{FORMATS, Parameters};
use crate::errors::SqlError;

/// The parameters that columnar formats accept.
const COLUMNAR: &[&str] = &[
    "IAM_ROLE",
    "CREDENTIALS",
    "ACCESS_KEY_ID",
    "SECRET_ACCESS_KEY",
    "SESSION_TOKEN",
    "MANIFEST",
    "PARQUET",
    "ORC",
    "ACCEPTINVCHARS",
    "FILLRECORD",
    "STATUPDATE",
    "EXPLICIT_IDS",
    "SERIALIZETOJSON",
];

const NOT_WITH_CSV: &[&str] = &["FIXEDWIDTH", "REMOVEQUOTES", "ESCAPE"];
const NOT_WITH_FIXED_WIDTH: &[&str] = &["DELIMITER", "IGNOREHEADER"];
const NOT_WITH_JSON_OR_AVRO: &[&str] = &[
    "DELIMITER",
    "ESCAPE",
    "FILLRECORD",
    "FIXEDWIDTH",
    "IGNOREBLANKLINES",
    "NULL",
    "READRATIO",
    "REMOVEQUOTES",
    "QUOTE",
];

/// Refuses combinations that Redshift refuses.
pub fn check(parameters: &Parameters) -> Result<(), SqlError> {
    let formats: Vec<_> = parameters.names().filter(|name| FORMATS.contains(name)).collect();
    if formats.len() > 1 {
        return Err(SqlError::new(format!("{} is not compatible with {}", formats[0], formats[1])));
    }
    let format = formats.first().copied().unwrap_or("DELIMITER");
    parameters.names().try_for_each(|name| accepted_by(format, name))?;
    if parameters.has("QUOTE") && format != "CSV" {
        return Err(SqlError::new("QUOTE can only be used with CSV"));
    }
    if parameters.has("SERIALIZETOJSON") && !matches!(format, "PARQUET" | "ORC") {
        return Err(incompatible(format, "SERIALIZETOJSON"));
    }
    if parameters.has("MAXERROR") && parameters.has("IGNOREALLERRORS") {
        return Err(SqlError::new("MAXERROR and IGNOREALLERRORS cannot be specified together"));
    }
    let compressions = ["GZIP", "BZIP2", "LZOP", "ZSTD"].into_iter().filter(|name| parameters.has(name)).count();
    if compressions > 1 {
        return Err(SqlError::new("conflicting or redundant options"));
    }
    credentials(parameters)
}

fn accepted_by(format: &str, name: &str) -> Result<(), SqlError> {
    let shown = if name == "NULL" { "NULL AS" } else { name };
    match format {
        "PARQUET" | "ORC" if !COLUMNAR.contains(&name) => {
            Err(SqlError::new(format!("{shown} argument is not supported for {format} based COPY")))
        }
        "CSV" if NOT_WITH_CSV.contains(&name) => Err(incompatible(format, shown)),
        "FIXEDWIDTH" if NOT_WITH_FIXED_WIDTH.contains(&name) => Err(incompatible(format, shown)),
        "JSON" | "AVRO" if NOT_WITH_JSON_OR_AVRO.contains(&name) => Err(incompatible(format, shown)),
        _ => Ok(()),
    }
}

fn incompatible(format: &str, option: &str) -> SqlError {
    SqlError::new(format!("{format} is not compatible with {option}"))
}

/// Refuses a command without credentials for S3.
fn credentials(parameters: &Parameters) -> Result<(), SqlError> {
    let text = |name| parameters.text(name);
    let valid = match (text("IAM_ROLE"), text("CREDENTIALS"), text("ACCESS_KEY_ID"), text("SECRET_ACCESS_KEY")) {
        (Some(role), None, None, None) => role.split(',').all(is_role),
        (None, Some(credentials), None, None) => {
            credentials.starts_with("aws_iam_role=") || credentials.starts_with("aws_access_key_id=")
        }
        (None, None, Some(_), Some(_)) => true,
        _ => false,
    };
    if valid {
        return Ok(());
    }
    Err(SqlError::new(
        "Invalid credentials. Must be of the format: credentials 'aws_iam_role=...' or \
         'aws_access_key_id=...;aws_secret_access_key=...[;token=...]'",
    ))
}

fn is_role(role: &str) -> bool {
    let role = role.trim();
    let arn = role.strip_prefix("arn:").and_then(|rest| rest.split_once(":iam::"));
    let named = arn.and_then(|(_, rest)| rest.split_once(":role/"));
    matches!(role, "default" | "SESSION")
        || named.is_some_and(|(account, name)| {
            account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()) && !name.is_empty()
        })
}
