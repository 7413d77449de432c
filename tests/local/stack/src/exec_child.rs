//! Becomes another program, after making sure that the kernel ends it when our supervisor ends.
//!
//! The supervisor starts every program through this mode of its own binary: a new process group, another user if asked,
//! the parent-death signal, then `exec`. All of it is safe code because nothing runs between `fork` and `exec`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getppid};

/// What to become.
#[derive(Debug, Clone, clap::Args)]
pub struct ExecChild {
    /// Process id of the supervisor: if it is gone already, nothing is started.
    #[arg(long)]
    parent: i32,
    /// User and group to run as (only root may change).
    #[arg(long)]
    user: Option<u32>,
    /// Signal sent when the supervisor dies.
    #[arg(long, default_value = "kill")]
    death_signal: DeathSignal,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// The signals a child may get when its supervisor dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeathSignal {
    /// SIGKILL.
    Kill,
    /// SIGQUIT: PostgreSQL's immediate shutdown, which takes its workers along.
    Quit,
}

impl DeathSignal {
    /// How the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Quit => "quit",
        }
    }
}

/// Replaces this process; returns only when that fails.
pub fn run(options: &ExecChild) -> Result<()> {
    if let Some(user) = options.user {
        become_user(user).with_context(|| format!("cannot run as user {user}"))?;
    }
    let signal = match options.death_signal {
        DeathSignal::Kill => Signal::KILL,
        DeathSignal::Quit => Signal::QUIT,
    };
    // After the change of user, because that clears it.
    die_with_parent(signal)?;
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(options.parent) {
        bail!("the supervisor {} is gone", options.parent);
    }
    let (program, arguments) = options.command.split_first().context("no program given")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run `{program}`"))
}

#[cfg(target_os = "linux")]
fn become_user(user: u32) -> Result<()> {
    use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
    set_thread_groups(&[])?;
    set_thread_gid(rustix::process::Gid::from_raw(user))?;
    set_thread_uid(rustix::process::Uid::from_raw(user))?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn become_user(_user: u32) -> Result<()> {
    bail!("changing the user is supported on Linux only: do not run as root")
}

#[cfg(target_os = "linux")]
fn die_with_parent(signal: Signal) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(signal)).context("cannot set the parent-death signal")
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps)]
fn die_with_parent(_signal: Signal) -> Result<()> {
    // The guard process alone cleans up.
    Ok(())
}
