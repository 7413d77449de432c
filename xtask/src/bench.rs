//! `cargo xtask bench`: sizes, cold starts, latency, throughput and what it would cost; measured on this machine, never judged.

mod cold;
mod cost;
mod figures;
mod files;
mod invocations;
mod queue;
mod report;
mod statistics;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use loader_core::contract::Function;
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
use crate::loader::warehouse::Warehouse;
use files::Bench;
use queue::TABLE;
use report::Report;

/// How often each function is started.
const COLD_STARTS: usize = 7;

/// `cargo xtask bench`
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Files that are dropped at once
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    files: u32,
    /// Files that are dropped one by one before
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    singles: u32,
    /// Cargo profile of the functions [default: release where it is built, else dev]
    #[arg(long, value_enum)]
    build_profile: Option<Profile>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// Runs the command. Ctrl-C ends the stack before it ends us.
pub async fn run(args: &BenchArgs) -> Result<()> {
    let out = Out::new(args.output);
    let profile = args.build_profile.unwrap_or_else(built_profile);
    let dir = workspace::root().join(".local/bench");
    let request = Request::for_own_local_stack(Some(queue::write(&dir)?), profile);
    let binary = local_stack::build(out)?;
    let prepared = prepared::prepare(out, &request.target)?;
    let stack = interruptible(local_stack::start(out, &binary, &dir.join("stack"))).await?;
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
    let config = &prepared.queues.first().context("the benchmark has a queue")?.config;
    let warehouse = Warehouse::new(&aws, config);
    warehouse.run(&format!("CREATE TABLE {TABLE} (id BIGINT, at TIMESTAMP, value VARCHAR(64))")).await?;
    let folder = workspace::root().join(".local/bench");
    let mut cold_starts = Vec::new();
    for (function, asset) in Function::ALL.into_iter().zip(&prepared.assets) {
        let step = out.step(format!("starting {} cold", function.name()));
        let bootstrap = unpacked(asset, &folder)?;
        cold_starts.push(cold::measure(function, &bootstrap, &loader, stack.info(), COLD_STARTS).await?);
        step.done(format!("{} started cold {COLD_STARTS} times", function.name()));
    }
    let bench = Bench::new(out, &aws, &loader, stack.info(), config)?;
    let latency = bench.one_by_one(args.singles).await?;
    let burst = bench.at_once(args.singles, args.files).await?;
    let expected = i64::from(args.singles + args.files) * files::ROWS_PER_FILE;
    let found = warehouse.number(&format!("SELECT COUNT(*) FROM {TABLE}")).await?;
    anyhow::ensure!(found == expected, "{expected} rows expected, {found} found: these figures are worth nothing");
    let zips = prepared.assets.iter().map(|asset| (asset.function.package(), asset.bytes)).collect();
    Ok(Report { profile: "", zips, cold_starts, latency, cost: cost::of(&burst), burst })
}

/// What is built already: a benchmark should not begin with a build of minutes.
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

/// The executable of a function's zip.
fn unpacked(asset: &Asset, folder: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&asset.path)?)?;
    let path = folder.join(format!("{}-{BOOTSTRAP}", asset.function.package()));
    let mut file = std::fs::File::create(&path)?;
    std::io::copy(&mut zip.by_name(BOOTSTRAP)?, &mut file)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
