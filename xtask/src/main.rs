//! `cargo xtask`: builds, deploys, watches and tests the loader; shell scripts only start this program.
//!
//! A room for each purpose, named as its commands are. Imports go down only: rooms use [`loader`], which is what several rooms do with a
//! loader, and [`ground`], which knows no loader. Rooms do not use each other.

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
  cargo xtask demo                                              the whole path on this machine, with real files
  cargo xtask test                                              everything that must hold
  cargo xtask deploy --statement-name-prefix dev --local        the loader on this machine, left running
  cargo xtask deploy --statement-name-prefix dev --dry-run      what a deployment to AWS would change
  cargo xtask deploy --statement-name-prefix dev                the loader in the account of your AWS credentials
  cargo xtask queue add sales --table shop.sales --source s3://my-bucket/sales/ --cluster analytics --database dev

Exit codes: 0 done, 1 failed, 2 wrong command line, 3 not confirmed; `status`: 0 healthy, 4 late, 5 broken.";

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Loads files from S3 into Redshift tables: build, deploy, demo, test", after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load real files on this machine and count the rows
    #[command(after_help = "Example: cargo xtask demo --keep")]
    Demo(demo::DemoArgs),
    /// Count calls, write units and cost; measure latency, sizes and starts on this machine
    #[command(
        after_help = "Examples:\n  cargo xtask bench --scenario one --scenario burst\n  cargo xtask bench --files 5000 --output json > bench.json"
    )]
    Bench(bench::BenchArgs),
    /// Build the three functions' zips into cfn-out/assets
    Build(build::BuildArgs),
    /// Write the CloudFormation template to cfn-out
    Synth(deploy::synth::SynthArgs),
    /// Build, synthesize and deploy the loader
    #[command(after_help = "Example: cargo xtask deploy --statement-name-prefix dev --local")]
    Deploy(Box<deploy::DeployArgs>),
    /// Check everything: format, lints, template, all tests
    Test(gate::test::TestArgs),
    /// Show what a deployment would change
    Diff(Box<deploy::diff::DiffArgs>),
    /// Delete the stack; the data stays unless told otherwise
    Destroy(deploy::destroy::DestroyArgs),
    /// Add, list, remove and check queues
    Queue(queue::QueueArgs),
    /// One line a table: whether it is late or broken, what waits and runs, and what to do
    #[command(after_help = operate::status::HELP)]
    Status(operate::status::StatusArgs),
    /// What happened to a table: loads, quarantine, and what operators did
    #[command(
        after_help = "Examples:\n  cargo xtask history shop.sales --since 7d\n  cargo xtask history weather --local --output json\n\nTimes are UTC. The JSON is described by docs/schema/history.schema.json."
    )]
    History(operate::history::HistoryArgs),
    /// The story of one file, or of all below a prefix: loaded, waiting, in quarantine, never seen
    #[command(
        after_help = "Examples:\n  cargo xtask trace s3://my-bucket/sales/2026-01-31.csv\n  cargo xtask trace s3://my-bucket/sales/ --table shop.sales\n  cargo xtask trace \"s3://my-bucket/sales/2026-01-*\"\n\nTimes are UTC. The ledger of every table is read whole; --table saves time where there are many. The JSON is described by\ndocs/schema/trace.schema.json."
    )]
    Trace(operate::trace::TraceArgs),
    /// Estimate what loading costs the warehouses: loads, wakes, time awake, dollars
    #[command(
        after_help = "Examples:\n  cargo xtask cost --since 7d\n  cargo xtask cost --local --output json\n\nFrom the loads that the tracker remembers. The price is in the warehouse's file (`base_rpu`, `dollars_per_rpu_hour`)."
    )]
    Cost(operate::cost::CostArgs),
    /// What happened in a period, for all tables; with --html as a page for a browser
    #[command(after_help = operate::report::HELP)]
    Report(operate::report::ReportArgs),
    /// Print what the functions logged, all three in one, by time
    #[command(
        after_help = "Examples:\n  cargo xtask logs --local --minutes 60\n  cargo xtask logs --load bbf6496f\n  cargo xtask logs --table public.sales --follow"
    )]
    Logs(operate::logs::LogsArgs),
    /// Load what lies under a queue's source already
    #[command(
        after_help = "Examples:\n  cargo xtask backfill sales --dry-run\n  cargo xtask backfill sales s3://my-bucket/sales/dt=2026-01-31/ --watch\n  cargo xtask backfill sales --since 2026-01-01 --until 2026-02-01\n\nWhat is loaded, waits, or is in quarantine is left out. Live files of the table come first."
    )]
    Backfill(source::backfill::BackfillArgs),
    /// Compare what lies in S3 with what was loaded, waits, or is in quarantine
    #[command(
        after_help = "Examples:\n  cargo xtask verify sales --since 2026-01-31\n  cargo xtask verify sales --record\n\nExit codes: 0 everything is known, 1 objects were never recorded, 2 there is no such queue."
    )]
    Verify(source::verify::VerifyArgs),
    /// Load quarantined files again, at once
    #[command(
        after_help = "Examples:\n  cargo xtask retry weather --local --dry-run\n  cargo xtask retry shop.sales --reason \"column widened\"\n\nExit codes: 0 done, 1 failed, 2 nothing is in quarantine, 3 not confirmed."
    )]
    Retry(operate::retry::RetryArgs),
    /// Take files out of quarantine for good, without loading them
    #[command(
        after_help = "Example: cargo xtask dismiss weather --local\n\nFor files whose rows somebody saw to. The same version of a file is not loaded again; a new one is."
    )]
    Dismiss(operate::retry::DismissArgs),
    /// Try a table now that waits after a failure, or have one looked at that stands still
    #[command(
        after_help = "Example: cargo xtask resume weather --local\n\nExit codes: 0 it is tried or looked at, 1 failed, 2 nothing of it waits."
    )]
    Resume(operate::resume::ResumeArgs),
    /// Start no more loads of a table until `unpause`; files are recorded and wait
    #[command(
        after_help = "Example: cargo xtask pause shop.sales --reason \"the table is rebuilt\"\n\nA load that is submitted ends. `load.paused` in a queue's file does the same by a deployment.\n\nExit codes: 0 paused, 1 failed, 2 it is paused already."
    )]
    Pause(operate::pause::PauseArgs),
    /// Let a paused table go on, at once
    #[command(
        after_help = "Example: cargo xtask unpause shop.sales\n\nExit codes: 0 it goes on, 1 failed, 2 it is not paused."
    )]
    Unpause(operate::pause::PauseArgs),
    /// End the statement that a table runs; the load is repeated after a wait
    #[command(
        after_help = "Examples:\n  cargo xtask cancel shop.sales --dry-run\n  cargo xtask pause shop.sales && cargo xtask cancel shop.sales\n\nExit codes: 0 it is cancelled, 1 failed, 2 no statement runs."
    )]
    Cancel(operate::cancel::CancelArgs),
    /// Move the messages of a queue's dead-letter queue back to it
    #[command(
        after_help = "Example: cargo xtask redrive sales --dry-run\n\nRemove first what made them fail: `refused` in cargo xtask logs. What was loaded before is not loaded again."
    )]
    Redrive(operate::redrive::RedriveArgs),
    /// Make the ledger forget object versions, so that they can be loaded again into a truncated table
    #[command(
        after_help = "Examples:\n  cargo xtask forget s3://my-bucket/sales/2026-01-31.csv --dry-run\n  cargo xtask forget s3://my-bucket/sales/ --table shop.sales --yes\n\nRows that are in the table still are there twice after the next load, unless it merges. Refused for objects that wait, are\nbeing loaded, or are in quarantine. Nothing loads by this alone: cargo xtask backfill, or upload the files again.\n\nExit codes: 0 done, 1 failed or in use, 2 no ledger knows them, 3 not confirmed."
    )]
    Forget(operate::forget::ForgetArgs),
    /// Run the functions in virtual time with faults at every call, seed by seed
    #[command(disable_help_flag = true)]
    Simulate(gate::simulate::SimulateArgs),
    /// Feed one of the parsers with inputs, guided by coverage
    #[command(after_help = "Example: cargo xtask fuzz s3_notification --seconds 600")]
    Fuzz(gate::fuzz::FuzzArgs),
    /// Start, stop and find the local stack
    Local(local::LocalArgs),
    /// Print the completions of a shell
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
