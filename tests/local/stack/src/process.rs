//! Starts, watches and stops the programs of the stack.
//!
//! Every program runs in its own process group, with its output in a log file. A group is killed as a whole: ministack's includes the
//! processes of the functions.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

use crate::exec_child::DeathSignal;

/// How long a program may take to start.
const READY_SECONDS_MAX: u64 = 60;
const POLL_MILLIS: u64 = 20;
const LOG_TAIL_LINES: usize = 15;

/// A program and how to start it.
#[derive(Debug)]
pub struct Program {
    /// Name, for messages and the log file.
    pub name: &'static str,
    /// Executable.
    pub executable: PathBuf,
    /// Arguments.
    pub arguments: Vec<String>,
    /// The complete environment; nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// Working folder.
    pub folder: PathBuf,
    /// User and group to run as; default: the supervisor's.
    pub user: Option<u32>,
    /// Signal that the program gets when the supervisor dies.
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
    /// Starts the program. The calling thread must live as long as the supervisor.
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

    /// Runs the program to its end. If it fails, the error contains the end of its output.
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
    /// The process group, which is also the program's process id.
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// The program's log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The exit status, if the program has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until `is_ready` returns `true`. If the program ends or the time limit passes before, the error contains the last log lines.
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
                bail!("{} is not ready after {READY_SECONDS_MAX} s{}", self.name, self.last_lines());
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

    /// The last lines of the program's log, to be appended to a message.
    pub fn last_lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        format!("; last lines of `{}`:\n{}", self.log.display(), tail.join("\n"))
    }
}

/// A loopback port that is not in use right now.
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

/// Adopts orphaned processes of the programs, so that they can be reaped even where no init process does so.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

fn reap_group(id: u32) {
    use rustix::process::{WaitOptions, waitpgid};
    let Some(group) = pid(id) else { return };
    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
}

/// Whether the process group still has processes.
pub fn group_exists(id: u32) -> bool {
    pid(id).is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok())
}

/// Whether this process runs as root, which PostgreSQL refuses.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}
