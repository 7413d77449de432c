//! `cargo xtask queue`: writes, lists and removes the clone's queue configurations, and checks them against the warehouse.

mod add;
mod check;
mod list;
mod remove;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::ground::output::{Format, Out};
use crate::loader::queues;
use crate::queue::add::AddArgs;
use crate::queue::check::CheckArgs;
use crate::queue::remove::RemoveArgs;

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
    /// List the queues configured in the clone; needs no stack, so it takes no --local
    #[command(
        after_help = "To see what is deployed and how it is doing: cargo xtask status, with --local for the local stack."
    )]
    List {
        /// Format of the result
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Remove a queue's notification and its file; the next deployment removes the queue
    #[command(after_help = "Example: cargo xtask queue remove sales --local")]
    Remove(RemoveArgs),
    /// Ask the warehouse whether tables and columns fit, and whether COPY can use the role and list the files' folder
    #[command(
        after_help = "Examples:\n  cargo xtask queue check sales           the warehouse in the account of your AWS credentials\n  cargo xtask queue check sales --local   the warehouse of the local stack"
    )]
    Check(CheckArgs),
}

pub async fn run(args: &QueueArgs) -> Result<()> {
    let folder = queues::folder(args.queues.as_ref());
    match &args.command {
        QueueCommand::Add(add) => add::run(&folder, add),
        QueueCommand::List { output } => list::run(Out::new(*output), &queues::read(&folder)?),
        QueueCommand::Remove(remove) => remove::run(&queues::read(&folder)?, remove).await,
        QueueCommand::Check(args) => check::run(&queues::read(&folder)?, args).await,
    }
}
