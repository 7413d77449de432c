//! The COPY command of a load, and one that only checks whether COPY would work.

use super::literal;
use crate::config::{CopyRole, LoadConfig, SourceFolder};
use crate::ident::Ident;

/// COPY of a manifest's files into a table, whose name is already quoted. No columns means all columns of the table.
pub fn copy_command(table: &str, columns: &[Ident], config: &LoadConfig, manifest: &str) -> String {
    let columns = match columns {
        [] => String::new(),
        columns => format!(" ({})", columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let role = role(config);
    let options = config.options.to_string();
    let space = if options.is_empty() { "" } else { " " };
    format!("COPY {table}{columns} FROM {} IAM_ROLE {role}{space}{options} MANIFEST", literal(manifest))
}

/// Name of an object that does not exist.
const NO_OBJECT: &str = ".loader-check-no-such-object";

/// COPY of a file that does not exist: the warehouse assumes the role, lists the folder, finds nothing and says so. Any other error would
/// also stop a load. `NOLOAD`, and a format that is not read in advance, make sure that nothing can be written.
pub fn rehearsal(config: &LoadConfig, source: &SourceFolder) -> String {
    let SourceFolder { bucket, prefix } = source;
    let file = literal(&format!("s3://{bucket}/{prefix}{NO_OBJECT}"));
    let region = config.options.region().map(|region| format!(" REGION {region}")).unwrap_or_default();
    format!("COPY {} FROM {file} IAM_ROLE {} CSV NOLOAD{region}", config.target.table, role(config))
}

/// Whether the warehouse's error about a [`rehearsal`] is the expected one.
pub fn rehearsal_found_nothing(words: &str) -> bool {
    words.contains("S3 prefix") && words.contains(NO_OBJECT) && words.contains("does not exist")
}

fn role(config: &LoadConfig) -> String {
    match &config.copy_role {
        CopyRole::Default => "default".to_owned(),
        CopyRole::Arn(arn) => literal(arn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rehearsal_names_role_folder_and_region_only() {
        let config = LoadConfig::from_value(&json!({
            "source": "s3://bucket/o'clock/", "cluster": {"workgroup": "wg", "db_name": "dev"},
            "copy": {"table_name": "shop.sales", "role_arn": "default", "options": "CSV GZIP IGNOREHEADER 1 REGION 'eu-west-1'"},
        }))
        .unwrap();
        let sql = rehearsal(&config, config.source.as_ref().unwrap());
        assert_eq!(
            sql,
            "COPY \"shop\".\"sales\" FROM 's3://bucket/o''clock/.loader-check-no-such-object' IAM_ROLE default CSV NOLOAD REGION 'eu-west-1'"
        );
    }

    #[test]
    fn only_the_missing_object_counts_as_expected() {
        assert!(rehearsal_found_nothing(
            "ERROR: The specified S3 prefix 'x/.loader-check-no-such-object' does not exist"
        ));
        assert!(!rehearsal_found_nothing("ERROR: S3ServiceException:The specified bucket does not exist,Status 404"));
        assert!(!rehearsal_found_nothing("ERROR: Cannot COPY into nonexistent table sales"));
    }
}
