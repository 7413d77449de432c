//! `cargo xtask queue add`: writes a new configuration if it is valid and fits the existing ones.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value, json};
use synth::workspace;

use crate::ground::output::{Failure, Format, Out};
use crate::loader::queues;

/// `cargo xtask queue add`
#[derive(Args, Debug)]
pub struct AddArgs {
    /// Name of the queue
    name: String,
    /// Target table: schema.table
    #[arg(long)]
    table: String,
    /// Folder of the files: s3://bucket/folder/
    #[arg(long, value_name = "S3_URL")]
    source: String,
    /// Another queue whose source contains this one: its messages feed this table too
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Database
    #[arg(long)]
    database: String,
    /// Provisioned cluster
    #[arg(long, value_name = "ID", required_unless_present = "workgroup", conflicts_with = "workgroup")]
    cluster: Option<String>,
    /// Redshift Serverless workgroup
    #[arg(long, value_name = "NAME")]
    workgroup: Option<String>,
    /// Database user of a provisioned cluster
    #[arg(long, conflicts_with = "secret_arn")]
    db_user: Option<String>,
    /// Secret with the credentials of the database
    #[arg(long, value_name = "ARN")]
    secret_arn: Option<String>,
    /// Role that COPY assumes
    #[arg(long, value_name = "ARN", default_value = "default")]
    role_arn: String,
    /// COPY options, for example "CSV GZIP IGNOREHEADER 1" [default: Parquet]
    #[arg(long)]
    options: Option<String>,
    /// Columns to load, separated by commas [default: all]
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Merge: columns that identify a row, separated by commas
    #[arg(long, value_delimiter = ',', requires = "merge_timestamp", value_name = "COLUMNS")]
    merge_key: Vec<String>,
    /// Merge: column that says which row is newer
    #[arg(long, requires = "merge_key", value_name = "COLUMN")]
    merge_timestamp: Option<String>,
    /// Merge: column and value of rows that say that their row is gone, for example op=D
    #[arg(long, requires = "merge_key", value_name = "COLUMN=VALUE", value_parser = column_and_value)]
    delete_marker: Option<(String, String)>,
    /// Lock the table for each load, because others write it too
    #[arg(long)]
    lock: bool,
    /// Keys are never overwritten (Firehose, Spark, most exports): files load with fewer calls
    #[arg(long)]
    write_once: bool,
}

pub fn run(folder: &Path, args: &AddArgs) -> Result<()> {
    let path = folder.join(format!("{}.json", args.name));
    if path.exists() {
        let message = format!("`{}` exists already", workspace::shown(&path));
        return Err(Failure::usage(message, "change that file, or choose another name").into());
    }
    let text = format!("{:#}\n", document(args));
    let problems =
        |found: Vec<String>| Failure::usage(found.join("\n  "), "correct the command line: --help shows examples");
    synth::queues::parse(&path, text.clone()).map_err(problems)?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    // The files together may have problems that no single file has.
    if let Err(error) = queues::read(folder) {
        std::fs::remove_file(&path)?;
        return Err(error.into());
    }
    let out = Out::new(Format::Text);
    out.ok(format!("wrote {}", workspace::shown(&path)));
    out.line("   next: cargo xtask deploy --statement-name-prefix <database>, which creates and connects the queue");
    Ok(())
}

fn column_and_value(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("write the column, `=`, and the value, such as op=D")?;
    Ok((column.to_owned(), value.to_owned()))
}

fn document(args: &AddArgs) -> Value {
    let some = |pairs: &[(&str, Option<Value>)]| -> Map<String, Value> {
        pairs.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?))).collect()
    };
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let list = |values: &[String]| (!values.is_empty()).then(|| json!(values));
    let copy = some(&[
        ("table_name", Some(json!(args.table))),
        ("options", text(&args.options)),
        ("role_arn", Some(json!(args.role_arn))),
        ("columns", list(&args.columns)),
    ]);
    let cluster = some(&[
        ("identifier", text(&args.cluster)),
        ("workgroup", text(&args.workgroup)),
        ("db_name", Some(json!(args.database))),
        ("db_user", text(&args.db_user)),
        ("secret_arn", text(&args.secret_arn)),
    ]);
    let mut document =
        json!({"$schema": "schema/queue.schema.json", "source": args.source, "copy": copy, "cluster": cluster});
    if let Some(queue) = &args.queue {
        document["queue"] = json!(queue);
    }
    if !args.merge_key.is_empty() {
        document["options"] =
            json!({"merge_duplicate_pks": true, "merge_pk": args.merge_key, "merge_timestamp": args.merge_timestamp});
    }
    if let Some((column, value)) = &args.delete_marker {
        document["options"]["delete_marker"] = json!({"column": column, "value": value});
    }
    if args.lock {
        document["options"]["lock"] = json!(true);
    }
    if args.write_once {
        document["load"] = json!({"write_once": true});
    }
    document
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use loader_core::config::LoadConfig;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: AddArgs,
    }

    /// The configuration that a command line writes.
    fn written(words: &str) -> Value {
        let words = words.split(' ').map(|word| word.replace('_', " ").replace('~', "_"));
        document(&Line::try_parse_from(words).unwrap().args)
    }

    #[test]
    fn what_the_examples_write_is_valid() {
        let schema = jsonschema::validator_for(&loader_core::config::schema()).unwrap();
        for words in [
            "add sales --table shop.sales --source s3://my-bucket/sales/ --cluster analytics --database dev",
            "add orders --table shop.orders --source s3://my-bucket/orders/ --workgroup wg --database dev \
             --options CSV_GZIP_IGNOREHEADER_1 --merge-key id --merge-timestamp updated~at --columns id,updated~at",
            "add clicks --table web.clicks --source s3://my-bucket/clicks/ --workgroup wg --database dev --write-once",
            "add people --table shop.people --source s3://my-bucket/hr/people/ --workgroup wg --database dev --options CSV \
             --columns op,at,id,name --merge-key id --merge-timestamp at --delete-marker op=D --lock",
            "add big --table shop.big --source s3://my-bucket/sales/big/ --queue sales --workgroup wg --database dev",
        ] {
            let document = written(words);
            assert!(schema.is_valid(&document), "{document:#}");
            let config = LoadConfig::from_value(&document).unwrap();
            assert_eq!(config.write_once, words.contains("--write-once"));
        }
    }
}
