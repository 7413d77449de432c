//! `cargo xtask queue`: the queue configurations of the clone, written, listed, removed, and checked against the warehouse.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use loader_core::config::{LoadConfig, LoadMode};
use serde_json::{Map, Value, json};

use crate::aws::{Aws, AwsArgs};
use crate::check::{self, CheckArgs};
use crate::connect;
use crate::deploy::STACK_NAME_DEFAULT;
use crate::output::{Failure, Format, Out};
use crate::queues::{self, QueueFile};
use crate::shell;

/// `cargo xtask queue`
#[derive(Args, Debug)]
pub struct QueueArgs {
    #[command(subcommand)]
    command: QueueCommand,
    /// Folder of the queue configurations [default: queues]
    #[arg(long, global = true, value_name = "DIR")]
    queues: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Write the configuration of a new queue
    #[command(after_help = "Examples:
  cargo xtask queue add sales --table shop.sales --source s3://my-bucket/sales/ --cluster analytics --database dev
  cargo xtask queue add orders --table shop.orders --source s3://my-bucket/orders/ --workgroup wg --database dev \\
      --options \"CSV GZIP IGNOREHEADER 1\" --merge-key id --merge-timestamp updated_at
  cargo xtask queue add clicks --table web.clicks --source s3://firehose-bucket/clicks/ --workgroup wg --database dev \\
      --options \"JSON 'auto' GZIP\" --write-once")]
    Add(Box<AddArgs>),
    /// List the queues
    List {
        /// How the result is printed
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Take the notification of a queue away, and its file; the next deployment removes the queue itself
    Remove(RemoveArgs),
    /// Ask the warehouse whether tables and columns fit, and whether COPY can use the role and list the files' folder
    #[command(after_help = "Example: cargo xtask queue check sales")]
    Check(CheckArgs),
}

#[derive(Args, Debug)]
struct AddArgs {
    /// Name of the queue
    name: String,
    /// Target table: schema.table
    #[arg(long)]
    table: String,
    /// Folder of the files: s3://bucket/folder/
    #[arg(long, value_name = "S3_URL")]
    source: String,
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
    /// Keys are never overwritten (Firehose, Spark, most exports): files load with fewer calls
    #[arg(long)]
    write_once: bool,
}

#[derive(Args, Debug)]
struct RemoveArgs {
    /// Name of the queue
    name: String,
    /// Name of the stack that it is deployed in
    #[arg(long, default_value = STACK_NAME_DEFAULT)]
    stack_name: String,
    #[command(flatten)]
    aws: AwsArgs,
}

/// Runs the command.
pub async fn run(args: &QueueArgs) -> Result<()> {
    let folder = queues::folder(args.queues.as_ref());
    match &args.command {
        QueueCommand::Add(add) => write_new(&folder, add),
        QueueCommand::List { output } => list(Out::new(*output), &queues::read(&folder)?),
        QueueCommand::Remove(remove) => take_away(&queues::read(&folder)?, remove).await,
        QueueCommand::Check(args) => check::run(&queues::read(&folder)?, args).await,
    }
}

fn write_new(folder: &std::path::Path, args: &AddArgs) -> Result<()> {
    let path = folder.join(format!("{}.json", args.name));
    if path.exists() {
        let message = format!("`{}` exists already", shell::shown(&path));
        return Err(Failure::usage(message, "change that file, or choose another name").into());
    }
    let text = format!("{:#}\n", document(args));
    let problems =
        |found: Vec<String>| Failure::usage(found.join("\n  "), "correct the command line: --help shows examples");
    queues::parse(&path, text.clone()).map_err(problems)?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    // The files together may have problems that no single one has.
    if let Err(error) = queues::read(folder) {
        std::fs::remove_file(&path)?;
        return Err(error);
    }
    let out = Out::new(Format::Text);
    out.line(format!("{} wrote {}", out.good("ok"), shell::shown(&path)));
    out.line("   next: cargo xtask deploy --statement-name-prefix <database>, which creates and connects the queue");
    Ok(())
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
    if !args.merge_key.is_empty() {
        document["options"] =
            json!({"merge_duplicate_pks": true, "merge_pk": args.merge_key, "merge_timestamp": args.merge_timestamp});
    }
    if args.write_once {
        document["load"] = json!({"write_once": true});
    }
    document
}

fn list(out: Out, queues: &[QueueFile]) -> Result<()> {
    let mut rows = Vec::new();
    for queue in queues {
        let source = queue.config.source.as_ref().map(|source| format!("s3://{}/{}", source.bucket, source.prefix));
        let (table, mode) = (queue.config.db_table().0, mode(&queue.config));
        out.line(format!("   {:<20} {table:<40} {mode:<8} {}", queue.name, source.as_deref().unwrap_or("-")));
        rows.push(
            json!({"name": queue.name, "table": table, "mode": mode, "source": source, "paused": queue.config.paused}),
        );
    }
    out.result(&rows)
}

fn mode(config: &LoadConfig) -> &'static str {
    match config.mode {
        LoadMode::Append => "append",
        LoadMode::Replace { .. } => "merge",
        LoadMode::Versions { .. } => "versions",
    }
}

async fn take_away(queues: &[QueueFile], args: &RemoveArgs) -> Result<()> {
    let out = Out::new(Format::Text);
    let queue = find(queues, &args.name)?;
    let aws = Aws::new(&args.aws).await?;
    let was_deployed = connect::disconnect_queue(&aws, out, &args.stack_name, queue).await?;
    std::fs::remove_file(&queue.path)?;
    out.line(format!("{} removed {}", out.good("ok"), shell::shown(&queue.path)));
    if was_deployed {
        out.line("   next: when the queue is empty, cargo xtask deploy removes it; the tracker keeps what was loaded");
    }
    Ok(())
}

/// The queue of that name, which must be there.
pub fn find<'a>(queues: &'a [QueueFile], name: &str) -> Result<&'a QueueFile> {
    let found = queues.iter().find(|queue| queue.name == name);
    found.ok_or_else(|| Failure::usage(format!("there is no queue `{name}`"), "cargo xtask queue list").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: QueueArgs,
    }

    /// The document that a command line writes.
    fn written(words: &str) -> Value {
        let words = words.split(' ').map(|word| word.replace('_', " ").replace('~', "_"));
        let line = Line::try_parse_from(["queue".to_owned()].into_iter().chain(words)).unwrap();
        let QueueCommand::Add(add) = line.args.command else { panic!("an example of `queue add`") };
        document(&add)
    }

    #[test]
    fn what_the_examples_write_is_valid() {
        let schema = jsonschema::validator_for(&loader_core::config::schema()).unwrap();
        for words in [
            "add sales --table shop.sales --source s3://my-bucket/sales/ --cluster analytics --database dev",
            "add orders --table shop.orders --source s3://my-bucket/orders/ --workgroup wg --database dev \
             --options CSV_GZIP_IGNOREHEADER_1 --merge-key id --merge-timestamp updated~at --columns id,updated~at",
            "add clicks --table web.clicks --source s3://my-bucket/clicks/ --workgroup wg --database dev --write-once",
        ] {
            let document = written(words);
            assert!(schema.is_valid(&document), "{document:#}");
            let config = LoadConfig::from_value(&document).unwrap();
            assert_eq!(config.write_once, words.contains("--write-once"));
        }
    }
}
