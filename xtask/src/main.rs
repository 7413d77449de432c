//! `cargo xtask`: builds, deploys, watches and tests the loader. Shell scripts only start this program.
//!
//! One room per purpose, named after its commands. Imports only go down: rooms use [`loader`], the code about loaders that several rooms
//! share, and [`ground`], which contains nothing about loaders. Rooms do not use each other.

mod bench;
mod build;
mod completions;
mod demo;
mod deploy;
mod gate;
mod ground;
mod loader;
mod local;
mod operate;
mod queue;
mod source;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                                              the whole system on this machine, with real files
  cargo xtask test                                              every check and test
  cargo xtask deploy --statement-name-prefix dev --local        the loader on this machine; it keeps running
  cargo xtask deploy --statement-name-prefix dev --dry-run      what a deployment to AWS would change
  cargo xtask deploy --statement-name-prefix dev                the loader in the account of your AWS credentials
  cargo xtask queue add sales --table shop.sales --source s3://my-bucket/sales/ --cluster analytics --database dev

Exit codes: 0 success, 1 failure, 2 wrong command line, 3 not confirmed; `status`: 0 healthy, 4 late, 5 broken.";

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Loads files from S3 into Redshift tables: build, deploy, demo, test", after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system on this machine with real files, and compare the rows
    #[command(after_help = "Example: cargo xtask demo --keep")]
    Demo(demo::DemoArgs),
    /// Count calls, write units and cost; measure latency, sizes and start-up on this machine
    #[command(
        after_help = "Examples:\n  cargo xtask bench --scenario one --scenario burst\n  cargo xtask bench --files 5000 --output json > bench.json"
    )]
    Bench(bench::BenchArgs),
    /// Build the three functions' zips into cfn-out/assets
    #[command(after_help = "Example: cargo xtask build --profile dev")]
    Build(build::BuildArgs),
    /// Write the CloudFormation template to cfn-out
    #[command(
        after_help = "Examples:\n  cargo xtask synth\n  cargo xtask synth --check\n\nAlso writes the JSON Schemas of the files in queues/ and warehouses/."
    )]
    Synth(synth::SynthArgs),
    /// Build, synthesize and deploy the loader
    #[command(after_help = "Example: cargo xtask deploy --statement-name-prefix dev --local")]
    Deploy(Box<deploy::DeployArgs>),
    /// Check everything: format, lints, template, all tests
    #[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test keys_with_special_characters_are_loaded")]
    Test(gate::test::TestArgs),
    /// Show what a deployment would change
    #[command(after_help = "Examples:\n  cargo xtask diff\n  cargo xtask diff --local --output json")]
    Diff(Box<deploy::diff::DiffArgs>),
    /// Delete the stack; data is kept unless --delete-data is given
    #[command(
        after_help = "Example: cargo xtask destroy --local\n\nSource buckets keep their objects, and target tables their rows. Exit codes: 0 deleted, 1 failure, 3 not confirmed."
    )]
    Destroy(deploy::destroy::DestroyArgs),
    /// Add, list, remove and check queues
    Queue(queue::QueueArgs),
    /// Show one line per table: whether it is late or broken, what is waiting and running, and what to do
    #[command(after_help = operate::status::HELP)]
    Status(operate::status::StatusArgs),
    /// Show what happened to a table: loads, quarantine, and operators' commands
    #[command(
        after_help = "Examples:\n  cargo xtask history shop.sales --since 7d\n  cargo xtask history weather --local --output json\n\nTimes are UTC. The JSON is described by docs/schema/history.schema.json."
    )]
    History(operate::history::HistoryArgs),
    /// Show what became of a file, or of all files below a prefix: loaded, waiting, in quarantine, never seen
    #[command(
        after_help = "Examples:\n  cargo xtask trace s3://my-bucket/sales/2026-01-31.csv\n  cargo xtask trace s3://my-bucket/sales/ --table shop.sales\n  cargo xtask trace \"s3://my-bucket/sales/2026-01-*\"\n\nTimes are UTC. The whole ledger of every table is read; with many tables, --table saves time. The JSON is described by\ndocs/schema/trace.schema.json."
    )]
    Trace(operate::trace::TraceArgs),
    /// Estimate what loading costs the warehouses: loads, wakes, time awake, dollars
    #[command(
        after_help = "Examples:\n  cargo xtask cost --since 7d\n  cargo xtask cost --local --output json\n\nBased on the loads in the tracker. The price comes from the warehouse's file (`base_rpu`, `dollars_per_rpu_hour`)."
    )]
    Cost(operate::cost::CostArgs),
    /// Show what happened to all tables in a period; with --html, as a web page
    #[command(after_help = operate::report::HELP)]
    Report(operate::report::ReportArgs),
    /// Print the logs of the three functions, merged and in order of time
    #[command(
        after_help = "Examples:\n  cargo xtask logs --local --minutes 60\n  cargo xtask logs --load bbf6496f\n  cargo xtask logs --table public.sales --follow"
    )]
    Logs(operate::logs::LogsArgs),
    /// Load the files that are already under a queue's source
    #[command(
        after_help = "Examples:\n  cargo xtask backfill sales --dry-run\n  cargo xtask backfill sales s3://my-bucket/sales/dt=2026-01-31/ --watch\n  cargo xtask backfill sales --since 2026-01-01 --until 2026-02-01\n\nFiles that are loaded, waiting or in quarantine are skipped. Live files of the table come first."
    )]
    Backfill(source::backfill::BackfillArgs),
    /// Compare the files in S3 with those that are loaded, waiting or in quarantine
    #[command(
        after_help = "Examples:\n  cargo xtask verify sales --since 2026-01-31\n  cargo xtask verify sales --record\n  cargo xtask verify sales --rows\n\nExit codes: 0 every object is known, 1 some were never recorded or rows differ, 2 there is no such queue or its files do not state their rows."
    )]
    Verify(source::verify::VerifyArgs),
    /// Load quarantined files again
    #[command(
        after_help = "Examples:\n  cargo xtask retry weather --local --dry-run\n  cargo xtask retry shop.sales --reason \"column widened\"\n\nExit codes: 0 success, 1 failure, 2 nothing is in quarantine, 3 not confirmed."
    )]
    Retry(operate::retry::RetryArgs),
    /// Remove files from quarantine for good, without loading them
    #[command(
        after_help = "Example: cargo xtask dismiss weather --local\n\nFor files that need no loading any more. The dismissed version is never loaded; a new version is."
    )]
    Dismiss(operate::retry::DismissArgs),
    /// Retry a table that waits after a failure, or check one that has stopped, now
    #[command(
        after_help = "Example: cargo xtask resume weather --local\n\nExit codes: 0 retried or checked, 1 failure, 2 nothing is waiting."
    )]
    Resume(operate::act::TableArgs),
    /// Stop loading a table until `unpause`; new files are recorded and wait
    #[command(
        after_help = "Example: cargo xtask pause shop.sales --reason \"the table is rebuilt\"\n\nA submitted load still completes. `load.paused` in a queue's file also pauses its table, with the next deployment.\n\nExit codes: 0 paused, 1 failure, 2 already paused."
    )]
    Pause(operate::act::TableArgs),
    /// Resume loading a paused table, at once
    #[command(
        after_help = "Example: cargo xtask unpause shop.sales\n\nExit codes: 0 resumed, 1 failure, 2 not paused."
    )]
    Unpause(operate::act::TableArgs),
    /// Cancel a table's running statement; its load is repeated after a wait
    #[command(
        after_help = "Examples:\n  cargo xtask cancel shop.sales --dry-run\n  cargo xtask pause shop.sales && cargo xtask cancel shop.sales\n\nExit codes: 0 cancelled, 1 failure, 2 no statement is running."
    )]
    Cancel(operate::act::TableArgs),
    /// Return the messages in a queue's dead-letter queue to the queue
    #[command(
        after_help = "Example: cargo xtask redrive sales --dry-run\n\nFirst remove the cause of the failure: look for `refused` in cargo xtask logs. Files that have loaded are not loaded again."
    )]
    Redrive(operate::redrive::RedriveArgs),
    /// Remove object versions from the ledger, so that a truncated table can load them again
    #[command(
        after_help = "Examples:\n  cargo xtask forget s3://my-bucket/sales/2026-01-31.csv --dry-run\n  cargo xtask forget s3://my-bucket/sales/ --table shop.sales --yes\n\nRows that are still in the table are duplicated by the next load, unless the table merges. Objects that are waiting, loading or\nin quarantine are refused. This command loads nothing: run cargo xtask backfill, or upload the files again.\n\nExit codes: 0 success, 1 failure or in use, 2 not in a ledger, 3 not confirmed."
    )]
    Forget(operate::forget::ForgetArgs),
    /// Run the functions in virtual time with faults at every call
    #[command(disable_help_flag = true)]
    Simulate(gate::simulate::SimulateArgs),
    /// Fuzz one of the parsers, guided by coverage
    #[command(after_help = "Example: cargo xtask fuzz s3_notification --seconds 600")]
    Fuzz(gate::fuzz::FuzzArgs),
    /// Start, stop and find the local stack
    #[command(after_help = "Examples:\n  cargo xtask local up\n  cargo xtask local status\n  cargo xtask local down")]
    Local(local::LocalArgs),
    /// Print completions for a shell
    #[command(after_help = completions::HELP)]
    Completions(completions::CompletionsArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => ground::output::report(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status(args) => return operate::status::run(&args).await,
        Command::Demo(args) => demo::run(&args, operate::report::draw).await,
        Command::Bench(args) => bench::run(&args).await,
        Command::Build(args) => build::run(&args),
        Command::Synth(args) => deploy::synth::run(&args),
        Command::Deploy(args) => deploy::run(&args).await,
        Command::Diff(args) => deploy::diff::run(&args).await,
        Command::Destroy(args) => deploy::destroy::run(&args).await,
        Command::Queue(args) => queue::run(&args).await,
        Command::History(args) => operate::history::run(&args).await,
        Command::Trace(args) => operate::trace::run(&args).await,
        Command::Backfill(args) => source::backfill::run(&args).await,
        Command::Verify(args) => source::verify::run(&args).await,
        Command::Cost(args) => operate::cost::run(&args).await,
        Command::Report(args) => operate::report::run(&args).await,
        Command::Logs(args) => operate::logs::run(&args).await,
        Command::Retry(args) => operate::retry::run(&args).await,
        Command::Dismiss(args) => operate::retry::dismiss(&args).await,
        Command::Resume(args) => operate::resume::run(&args).await,
        Command::Pause(args) => operate::pause::pause(&args).await,
        Command::Unpause(args) => operate::pause::unpause(&args).await,
        Command::Cancel(args) => operate::cancel::run(&args).await,
        Command::Redrive(args) => operate::redrive::run(&args).await,
        Command::Forget(args) => operate::forget::run(&args).await,
        Command::Test(args) => gate::test::run(&args, &Cli::command()),
        Command::Simulate(args) => gate::simulate::run(&args),
        Command::Fuzz(args) => gate::fuzz::run(&args),
        Command::Local(args) => local::run(&args).await,
        Command::Completions(args) => {
            completions::run(&args, Cli::command());
            Ok(())
        }
    }
    .map(|()| ExitCode::SUCCESS)
}
