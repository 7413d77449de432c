//! Executes another program that the kernel ends when the supervisor ends.
//!
//! The supervisor starts every program through this mode of its own binary, which changes the user if needed, sets the parent-death signal,
//! and then calls `exec`. No unsafe code is needed, because nothing runs between `fork` and `exec`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getppid};

/// The program to execute, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct ExecChild {
    /// Process id of the supervisor. If it has already ended, nothing is started.
    #[arg(long)]
    parent: i32,
    /// User and group to run as; needs root.
    #[arg(long)]
    user: Option<u32>,
    /// Signal that the program gets when the supervisor dies.
    #[arg(long, default_value = "kill")]
    death_signal: DeathSignal,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// A signal that a program can get when the supervisor dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeathSignal {
    /// SIGKILL.
    Kill,
    /// SIGQUIT: PostgreSQL's immediate shutdown, which also ends its worker processes.
    Quit,
}

impl DeathSignal {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Quit => "quit",
        }
    }
}

/// Replaces this process. Returns only if that fails.
pub fn run(options: &ExecChild) -> Result<()> {
    if let Some(user) = options.user {
        become_user(user).with_context(|| format!("cannot run as user {user}"))?;
    }
    let signal = match options.death_signal {
        DeathSignal::Kill => Signal::KILL,
        DeathSignal::Quit => Signal::QUIT,
    };
    // Must follow the change of user, which clears it.
    die_with_parent(signal)?;
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(options.parent) {
        bail!("the supervisor {} has ended", options.parent);
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
    // Only the guard cleans up here.
    Ok(())
}
