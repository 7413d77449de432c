//! `cargo xtask bench`: calls, write units, latency, sizes, cold starts and their cost in AWS. Measured on this machine; never a pass or
//! fail.

mod cold;
mod cost;
mod figures;
mod files;
mod invocations;
mod measure;
mod path;
mod process;
mod queue;
mod report;
mod scenario;
mod statistics;
mod units;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum as _};
use loader_core::contract::Function;
use serde_json::json;
use synth::workspace;

use crate::ground::aws::Aws;
use crate::ground::local_stack::{self, interruptible};
use crate::ground::output::{Format, Out};
use crate::ground::stack::Stack;
use crate::loader::deployment;
use crate::loader::deployment::prepared::{self, Prepared};
use crate::loader::deployment::request::Request;
use crate::loader::functions::archive::BOOTSTRAP;
use crate::loader::functions::{Asset, Profile};
use figures::ColdStart;
use files::Bench;
use local_client::{DataApiAdmin, StackOptions};
use measure::Pace;
use report::Report;
use scenario::Scenario;

/// Number of cold starts of each function.
const COLD_STARTS: usize = 7;
/// Minimum duration of a statement. In a real warehouse a statement outlasts the write of its id, so calls are counted under the same
/// condition.
const STATEMENT_MILLIS: u64 = 250;
/// Delay added to each call to find how many of them are sequential. Far more than the noise of a busy machine.
const DELAY_MILLIS: u64 = 50;
/// Number of files for each of the fifty tables.
const FILES_A_TABLE: u32 = 10;
/// Duration of the steady stream.
const STEADY_SECONDS: u32 = 60;

/// `cargo xtask bench`
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// What to measure; can be repeated [default: all]
    #[arg(long, value_enum, value_name = "NAME")]
    scenario: Vec<Scenario>,
    /// Number of files uploaded at once; `large` uploads ten times as many
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    files: u32,
    /// Number of files loaded one by one
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    singles: u32,
    /// Cargo profile of the functions [default: release if it is built, else dev]
    #[arg(long, value_enum)]
    build_profile: Option<Profile>,
    /// Format of the result
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// Runs the command. Ctrl-C stops the stack before this program ends.
pub async fn run(args: &BenchArgs) -> Result<()> {
    let out = Out::new(args.output);
    let profile = args.build_profile.unwrap_or_else(built_profile);
    let dir = workspace::root().join(".local/bench");
    let request = Request::for_own_local_stack(Some(queue::write(&dir)?), profile);
    let binary = local_stack::build(out)?;
    let prepared = prepared::prepare(out, &request.target)?;
    let options = StackOptions { batching: true, ..local_stack::options(&binary, &dir.join("stack")) };
    let stack = interruptible(local_stack::start(out, options)).await?;
    let outcome = interruptible(measure(out, args, &request, &prepared, &stack)).await;
    let step = out.step("stopping the local stack");
    stack.stop().await?;
    step.done("local stack stopped");
    let report = Report { profile: profile_name(profile), ..outcome? };
    report.show(out);
    out.result(&report)
}

async fn measure(
    out: Out,
    args: &BenchArgs,
    request: &Request,
    prepared: &Prepared,
    stack: &local_client::Stack,
) -> Result<Report> {
    let aws = Aws::of_stack(stack.info().clone()).await?;
    let deployed = deployment::apply(out, &aws, request, prepared).await?.context("the benchmark deploys")?;
    let loader = Stack::get(&aws, &deployed.stack_name).await?;
    DataApiAdmin::new(&stack.info().endpoint).change(&json!({"started_millis": STATEMENT_MILLIS})).await?;
    let configs = prepared.queues.iter().map(|queue| (queue.name.clone(), &*queue.config)).collect();
    let mut bench = Bench::new(out, &aws, &loader, stack.info(), configs)?;
    let mut report = Report::default();
    for scenario in wanted(&args.scenario) {
        run_scenario(&mut bench, args, prepared, scenario, &mut report).await?;
    }
    bench.ensure_rows().await.context("the figures are not valid")?;
    Ok(report)
}

/// The requested scenarios, or all of them, in their order.
fn wanted(given: &[Scenario]) -> BTreeSet<Scenario> {
    let wanted: &[Scenario] = if given.is_empty() { Scenario::value_variants() } else { given };
    wanted.iter().copied().collect()
}

async fn cold_starts(bench: &Bench<'_>, prepared: &Prepared) -> Result<Vec<ColdStart>> {
    let folder = workspace::root().join(".local/bench");
    let mut cold_starts = Vec::new();
    for (function, asset) in Function::ALL.into_iter().zip(&prepared.assets) {
        let step = bench.out.step(format!("starting {} cold", function.name()));
        let bootstrap = unpacked(asset, &folder)?;
        cold_starts.push(cold::measure(function, &bootstrap, bench.loader, bench.stack, COLD_STARTS).await?);
        step.done(format!("{} started cold {COLD_STARTS} times", function.name()));
    }
    Ok(cold_starts)
}

async fn run_scenario(
    bench: &mut Bench<'_>,
    args: &BenchArgs,
    prepared: &Prepared,
    scenario: Scenario,
    report: &mut Report,
) -> Result<()> {
    let (appended, once) = ([queue::APPENDED.to_owned()], [queue::WRITTEN_ONCE.to_owned()]);
    let (what, tables, pace) = match scenario {
        Scenario::Start => {
            report.zips = prepared.assets.iter().map(|asset| (asset.function.package(), asset.bytes)).collect();
            report.cold_starts = cold_starts(bench, prepared).await?;
            return Ok(());
        }
        Scenario::One => {
            for table in [queue::APPENDED, queue::MERGED, queue::WRITTEN_ONCE] {
                for delay_millis in [0, DELAY_MILLIS] {
                    report.one_by_one.push(measure::one_by_one(bench, table, args.singles, delay_millis).await?);
                }
            }
            return Ok(());
        }
        Scenario::Burst => (format!("{} at once", args.files), appended.to_vec(), Pace::AtOnce(args.files)),
        Scenario::Large => (format!("{} at once", 10 * args.files), appended.to_vec(), Pace::AtOnce(10 * args.files)),
        Scenario::WriteOnce => (format!("{} written once", args.files), once.to_vec(), Pace::AtOnce(args.files)),
        Scenario::Steady => ("one a second".to_owned(), appended.to_vec(), Pace::EverySecond(STEADY_SECONDS)),
        Scenario::Tables => ("fifty tables".to_owned(), queue::many(), Pace::AtOnce(FILES_A_TABLE)),
    };
    report.many.push(measure::many(bench, &what, &tables, pace).await?);
    Ok(())
}

/// Uses what is already built: a benchmark should not begin with a build of several minutes.
fn built_profile() -> Profile {
    let release = workspace::root().join("target/release");
    let built = Function::ALL.iter().all(|function| release.join(function.package()).is_file());
    if built { Profile::Release } else { Profile::Dev }
}

fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Release => "release",
        Profile::Dev => "dev",
    }
}

/// The executable in a function's zip.
fn unpacked(asset: &Asset, folder: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&asset.path)?)?;
    let path = folder.join(format!("{}-{BOOTSTRAP}", asset.function.package()));
    let mut file = std::fs::File::create(&path)?;
    std::io::copy(&mut zip.by_name(BOOTSTRAP)?, &mut file)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
