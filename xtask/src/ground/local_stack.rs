//! The local stack for a command: built, started with progress on the screen, or found running.
//!
//! xtask runs the `local-stack` program instead of linking it: `local-client` builds in seconds, but the stack's Parquet reader does not.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use local_client::{Progress, StackInfo, StackOptions};
use synth::workspace;

use crate::ground::output::{Failure, Out, Step};
use crate::ground::running::default_dir;
use crate::ground::shell;

/// The running stack, or a new one that outlives this program.
pub async fn up(out: Out, auth: bool) -> Result<StackInfo> {
    let dir = default_dir();
    if let Some(stack) = local_client::info(&dir)? {
        if auth && !stack.auth {
            let message = "the running local stack does not check IAM";
            return Err(Failure::new(
                message,
                "stop it with `cargo xtask local down`, then run the same command again",
            )
            .into());
        }
        out.ok(format!("the local stack is already running at {}", stack.endpoint));
        return Ok(stack);
    }
    let options = StackOptions { auth, ..options(&build(out)?, &dir) };
    let step = out.step("starting the local stack");
    let stack = local_client::start_detached(options, |event| show(&step, event)).await?;
    step.done(format!("local stack up at {}", stack.endpoint));
    Ok(stack)
}

/// Starts a stack in a folder of its own. It ends when the returned value is dropped, or when this process ends for any reason.
pub async fn start(out: Out, options: StackOptions) -> Result<local_client::Stack> {
    let step = out.step("starting the local stack");
    let stack = local_client::start(options, |event| show(&step, event)).await?;
    step.done(format!("local stack up at {} (S3, SQS, DynamoDB, Lambda, EventBridge, CloudFormation, Redshift Data API; warehouse: PostgreSQL)", stack.info().endpoint));
    Ok(stack)
}

/// What to start for the commands of this clone.
pub fn options(binary: &Path, dir: &Path) -> StackOptions {
    StackOptions {
        binary: Some(binary.to_owned()),
        clone_root: workspace::root(),
        dir: dir.to_owned(),
        ..StackOptions::default()
    }
}

fn show(step: &Step, event: Progress) {
    match event {
        Progress::Step { part, message } if part == "tools" => step.line(&format!("   {message}")),
        Progress::Step { message, .. } => step.now(&message),
        Progress::Ready(_) | Progress::Failed { .. } | Progress::Stopped => {}
    }
}

/// Returns an error on Ctrl-C or SIGTERM, so that what was started is stopped in order.
pub async fn interruptible<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted", "the local stack is stopped too").into()),
        _ = terminate.recv() => Err(Failure::new("terminated", "the local stack is stopped too").into()),
    }
}

/// Builds the `local-stack` program.
pub fn build(out: Out) -> Result<PathBuf> {
    let step = out.step("building the local stack");
    // With the workspace's features, so that the tests use the same builds of its dependencies.
    let executables = shell::cargo_build(&["build", "--workspace", "--bin", "local-stack"], &step)?;
    let binary = executables.into_iter().find(|(name, _)| name == "local-stack").map(|(_, path)| path);
    step.done("local stack built");
    binary.context("cargo built no executable `local-stack`")
}

/// Stops the running stack with all its processes.
pub async fn down(out: Out) -> Result<()> {
    let dir = default_dir();
    if local_client::info(&dir)?.is_none() {
        out.line("no local stack is up");
        return Ok(());
    }
    let step = out.step("stopping the local stack");
    local_client::down(&dir).await?;
    step.done("local stack stopped");
    Ok(())
}
