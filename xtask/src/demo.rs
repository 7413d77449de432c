//! `cargo xtask demo`: loads real files through the whole system on this machine, and compares the rows at the end.

mod data;
mod drop;
mod summary;
mod watch;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use local_client::{StackInfo, Toxic, ToxicKind};
use synth::workspace;

use crate::ground::aws::Aws;
use crate::ground::local_stack::{self, interruptible};
use crate::ground::output::{Format, Out, seconds};
use crate::ground::stack::Stack;
use crate::loader::deployment;
use crate::loader::deployment::prepared::{self, Prepared};
use crate::loader::deployment::request::Request;
use crate::loader::functions::Profile;
use crate::loader::tracker::Tracker;
use crate::loader::warehouse::{Warehouse, local_databases};
use data::Data;
use drop::Dropper;
use watch::Watch;

/// How long the ends of the first loads are delayed.
const DELAY_MILLIS: u64 = 2_000;

/// The report about the loads, relative to the clone.
const REPORT: &str = ".local/demo-report.html";

/// `cargo xtask demo`
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Keep the stack running at the end, and print how to use it
    #[arg(long)]
    keep: bool,
    /// Cargo profile of the functions: `dev` builds faster, `release` is what AWS runs
    #[arg(long, value_enum, default_value_t)]
    build_profile: Profile,
}

/// Runs the command. Ctrl-C stops the stack before this program ends. `report` writes a page to a path, about the last milliseconds that it is given.
pub async fn run(args: &DemoArgs, report: impl AsyncFn(Aws, Stack, i64, PathBuf) -> Result<()>) -> Result<()> {
    let out = Out::new(Format::Text);
    let started = Instant::now();
    out.title("Prepare");
    let request = Request::for_own_local_stack(None, args.build_profile);
    let data = Data::read()?;
    let binary = local_stack::build(out)?;
    let prepared = prepared::prepare(out, &request.target)?;
    let dir = workspace::root().join(".local/demo");
    let stack = interruptible(local_stack::start(out, local_stack::options(&binary, &dir))).await?;
    let outcome = interruptible(show(out, &request, &prepared, &data, &stack, started, report)).await;
    let outcome = match outcome {
        Ok(()) if args.keep => keep(out, &stack, &prepared).await,
        other => other,
    };
    let step = out.step("stopping the local stack");
    stack.stop().await?;
    step.done("local stack stopped, with all its processes");
    outcome?;
    out.ok(format!("the demo took {}", seconds(started.elapsed())));
    Ok(())
}

async fn show(
    out: Out,
    request: &Request,
    prepared: &Prepared,
    data: &Data,
    stack: &local_client::Stack,
    started: Instant,
    report: impl AsyncFn(Aws, Stack, i64, PathBuf) -> Result<()>,
) -> Result<()> {
    let aws = Aws::of_stack(stack.info().clone()).await?;
    out.title("Deploy");
    let deployed = deployment::apply(out, &aws, request, prepared).await?.context("the demo deploys")?;
    let loader = Stack::get(&aws, &deployed.stack_name).await?;
    create_tables(out, &aws, prepared, data).await?;
    out.title("Load");
    let dropper = Dropper::new(&aws, prepared, data);
    let mut watch = Watch::new(out, Tracker::of_stack(&aws, &loader)?, prepared);
    // Otherwise the first loads would end before another file could be uploaded.
    let late = Toxic::new(ToxicKind::DelayMillis(DELAY_MILLIS)).on("redshift-data", "DescribeStatement");
    stack.gateway().add_toxic(&late).await?;
    dropper.first_wave(out).await?;
    let loads = watch.until_running(stack.info()).await?;
    out.line(out.dim(&format!("   loading {} after the start of the command", seconds(started.elapsed()))));
    dropper.second_wave(out).await?;
    let in_time = watch.still_running(&loads).await?;
    stack.gateway().clear_toxics().await?;
    out.line(out.dim(if in_time {
        "   they arrived while the loads ran"
    } else {
        "   this machine was slow: a load ended before they arrived"
    }));
    watch.until_idle(stack.info(), data.n_object_versions()).await?;
    summary::show(out, &aws, stack.info(), prepared, data, &watch).await?;
    let since_millis = i64::try_from(started.elapsed().as_millis())?;
    report(aws, loader, since_millis, workspace::root().join(REPORT)).await
}

/// What to do if the loads are not as expected.
fn logs_hint(stack: &StackInfo) -> String {
    format!("read the functions' logs in {}", workspace::shown(&stack.log_dir))
}

async fn create_tables(out: Out, aws: &Aws, prepared: &Prepared, data: &Data) -> Result<()> {
    let step = out.step("creating the target tables");
    for table in data.tables.keys() {
        let queue = prepared.queues.iter().find(|queue| &queue.name == table);
        let queue = queue.with_context(|| format!("no queue `{table}`: restore queues/{table}.json"))?;
        let sql = std::fs::read_to_string(data::folder().join(format!("tables/{table}.sql")))?;
        Warehouse::new(aws, &queue.config).run(sql.trim()).await?;
    }
    step.done("target tables created");
    Ok(())
}

async fn keep(out: Out, stack: &local_client::Stack, prepared: &Prepared) -> Result<()> {
    let info = stack.info();
    out.title("The stack stays up until Ctrl-C");
    out.line(format!("   endpoint     {}", info.endpoint));
    for database in local_databases(&prepared.queues) {
        out.line(format!("   warehouse    {}", info.psql(&database)));
    }
    out.line(format!(
        "   drop a file  {} aws s3 cp tests/data/weather/seattle-2012-h1.parquet s3://rs-loader-demo/weather/again.parquet",
        info.environment(),
    ));
    out.line(format!("   logs         {}", workspace::shown(&info.log_dir)));
    match interruptible::<()>(std::future::pending()).await {
        Ok(()) | Err(_) => Ok(()),
    }
}
