//! Starting, watching and ending the programs of the stack.
//!
//! Every program runs in its own process group with its output in a log file. What belongs to a group is killed with it:
//! ministack's function processes are in ministack's group.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

use crate::exec_child::DeathSignal;

/// How long a program may take to come up.
const READY_SECONDS_MAX: u64 = 60;
const POLL_MILLIS: u64 = 20;
const LOG_TAIL_LINES: usize = 15;

/// How to start a program.
#[derive(Debug)]
pub struct Program {
    /// Name for messages and of the log file.
    pub name: &'static str,
    /// Executable.
    pub executable: PathBuf,
    /// Arguments.
    pub arguments: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// Working folder.
    pub folder: PathBuf,
    /// Run as this user and group instead of ours.
    pub user: Option<u32>,
    /// Signal when the supervisor dies.
    pub death_signal: DeathSignal,
}

/// A started program.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it; must be called from a thread that lives as long as the supervisor.
    pub fn start(&self, log_dir: &Path) -> Result<Running> {
        let log = log_dir.join(format!("{}.log", self.name));
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write `{}`", log.display()))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["exec-child", "--parent", &std::process::id().to_string()]);
        command.args(["--death-signal", self.death_signal.name()]);
        if let Some(user) = self.user {
            command.args(["--user", &user.to_string()]);
        }
        command.arg("--").arg(&self.executable).args(&self.arguments);
        command.env_clear().envs(self.environment.iter().cloned());
        command.current_dir(&self.folder).process_group(0);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        Ok(Running { name: self.name, child, log })
    }

    /// Runs it to its end; an unsuccessful end is an error with its last output.
    pub fn run(&self, log_dir: &Path) -> Result<()> {
        let mut running = self.start(log_dir)?;
        let status = running.child.wait()?;
        if !status.success() {
            bail!("{} ended with {status}{}", self.name, running.last_lines());
        }
        Ok(())
    }
}

impl Running {
    /// The process group, which is also the process id.
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until `is_ready` says so; an early end or the time limit is an error with the last log lines.
    pub async fn wait_ready<F>(&mut self, is_ready: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = bool>,
    {
        let started = Instant::now();
        loop {
            if is_ready().await {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                bail!("{} ended with {status} while starting{}", self.name, self.last_lines());
            }
            if started.elapsed() > Duration::from_secs(READY_SECONDS_MAX) {
                bail!("{} does not answer after {READY_SECONDS_MAX} s{}", self.name, self.last_lines());
            }
            tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
        }
    }

    /// Sends `first`, waits at most `patience`, then kills the whole group.
    pub async fn stop(mut self, first: Signal, patience: Duration) {
        let group = self.group();
        if self.ended().is_none() {
            signal_process(group, first);
        }
        let started = Instant::now();
        while self.ended().is_none() && started.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
        }
        signal_group(group, Signal::KILL);
        let _ = self.child.wait();
        while started.elapsed() < patience + Duration::from_secs(5) {
            reap_group(group);
            if !group_exists(group) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
        }
    }

    /// The end of its log, ready to be appended to a message.
    pub fn last_lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        format!("; last lines of `{}`:\n{}", self.log.display(), tail.join("\n"))
    }
}

/// A loopback port that nobody listens on right now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?.port())
}

/// Sends a signal to one process, if it exists.
pub fn signal_process(id: u32, signal: Signal) {
    if let Some(pid) = pid(id) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Sends a signal to a process group, if it exists.
pub fn signal_group(id: u32, signal: Signal) {
    if let Some(pid) = pid(id) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

/// Makes orphans of our programs our children, so that they can be waited for where nobody else does.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

fn reap_group(id: u32) {
    use rustix::process::{WaitOptions, waitpgid};
    let Some(group) = pid(id) else { return };
    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
}

/// Whether the process group still has a process.
pub fn group_exists(id: u32) -> bool {
    pid(id).is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok())
}

/// Whether we are root, which PostgreSQL refuses to run as.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}
