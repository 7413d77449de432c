//! The COPY command of a load.

use super::ident::Ident;
use super::literal;
use crate::config::{CopyRole, LoadConfig};

/// COPY of a manifest's files into a table whose name is quoted already; no columns: all of that table's.
pub fn copy_command(table: &str, columns: &[Ident], config: &LoadConfig, manifest: &str) -> String {
    let columns = match columns {
        [] => String::new(),
        columns => format!(" ({})", columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let role = match &config.copy_role {
        CopyRole::Default => "default".to_owned(),
        CopyRole::Arn(arn) => literal(arn),
    };
    let options = config.options.to_string();
    let space = if options.is_empty() { "" } else { " " };
    format!("COPY {table}{columns} FROM {} IAM_ROLE {role}{space}{options} MANIFEST", literal(manifest))
}
