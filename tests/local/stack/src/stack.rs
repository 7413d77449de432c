//! Starting, finding and stopping a stack from another program (xtask, tests).
//!
//! A stack is a supervisor process of the `local-stack` binary; its folder holds `stack.json` while it answers and a lock that
//! it keeps for its whole life, so that a stale `stack.json` is recognised whatever happened.

use crate::process;
use crate::progress::Progress;
use crate::supervisor::STACK_LOCK_FILE;
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// File in a stack's folder that says where everything is.
pub const STACK_FILE: &str = "stack.json";
/// Names the `local-stack` binary when it does not lie beside the running program.
pub const BINARY_VARIABLE: &str = "LOCAL_STACK_BIN";
const STOP_SECONDS_MAX: u64 = 30;
const POLL_MILLIS: u64 = 20;

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// Root of the clone, where `.local/` with the tools is; empty means the current folder.
    pub clone_root: PathBuf,
    /// Folder of this stack: its `stack.json` and logs. One stack per folder; several side by side are fine.
    pub dir: PathBuf,
    /// Enforce signatures and IAM policies.
    pub auth: bool,
    /// Folder with PostgreSQL's programs; without it they are looked for.
    pub pg_bin: Option<PathBuf>,
}

/// Where a stack answers, as written to `stack.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackInfo {
    /// The supervisor's process id.
    pub pid: u32,
    /// Endpoint URL for users, tools and tests: all of AWS and the Data API.
    pub endpoint: String,
    /// Endpoint URL that the functions use; counted and disturbed separately.
    pub functions_endpoint: String,
    /// The PostgreSQL server behind the Data API.
    pub warehouse: Warehouse,
    /// Region of everything.
    pub region: String,
    /// Account of everything.
    pub account: String,
    /// Access key of the root user.
    pub access_key_id: String,
    /// Secret of the root user.
    pub secret_access_key: String,
    /// Whether signatures and policies are enforced.
    pub auth: bool,
    /// Folder of the log files.
    pub log_dir: PathBuf,
}

/// How to reach the warehouse with `psql`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warehouse {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User, without password.
    pub user: String,
}

/// A stack that ends with us: its supervisor ends when its standard input does.
#[derive(Debug)]
pub struct Stack {
    info: StackInfo,
    child: Child,
    input: Option<ChildStdin>,
}

impl Stack {
    /// Where it answers.
    pub fn info(&self) -> &StackInfo {
        &self.info
    }

    /// Its fault injection, counts and call log.
    pub fn admin(&self) -> crate::Admin {
        crate::Admin::new(&self.info)
    }

    /// Stops it and waits until nothing of it is left.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.input.take());
        let ended = tokio::time::timeout(Duration::from_secs(STOP_SECONDS_MAX), self.child.wait()).await;
        ended.context("the local stack does not stop")??;
        Ok(())
    }
}

/// Starts a stack that lives as long as the returned value (or this process).
pub async fn start(options: StackOptions, mut progress: impl FnMut(Progress)) -> Result<Stack> {
    let mut command = up_command(&options)?;
    command.arg("--foreground-stdin").stdin(Stdio::piped());
    let (mut child, lines) = spawn(command)?;
    let input = child.stdin.take();
    let info = follow(lines, &mut progress).await?;
    Ok(Stack { info, child, input })
}

/// Starts a stack that goes on until [`down`].
pub async fn start_detached(options: StackOptions, mut progress: impl FnMut(Progress)) -> Result<StackInfo> {
    let mut command = up_command(&options)?;
    command.stdin(Stdio::null());
    let (mut child, lines) = spawn(command)?;
    let info = follow(lines, &mut progress).await?;
    child.wait().await?;
    Ok(info)
}

/// The stack in `dir`, if one is up; a stale `stack.json` is removed.
pub fn info(dir: &Path) -> Result<Option<StackInfo>> {
    if !is_locked(&dir.join(STACK_LOCK_FILE))? {
        let _ = std::fs::remove_file(dir.join(STACK_FILE));
        return Ok(None);
    }
    match std::fs::read(dir.join(STACK_FILE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text).context("`stack.json` is not readable")?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("`stack.json` is not readable"),
    }
}

/// Stops the stack in `dir` and waits until all its processes are gone; `false` when none was up.
pub async fn down(dir: &Path) -> Result<bool> {
    let info = info(dir)?;
    if let Some(info) = &info {
        process::signal_process(info.pid, Signal::TERM);
    }
    let started = Instant::now();
    // The guard of a killed supervisor may still be cleaning up.
    while is_locked(&dir.join(STACK_LOCK_FILE))? || is_locked(&dir.join(crate::guard::LOCK_FILE))? {
        if started.elapsed() > Duration::from_secs(STOP_SECONDS_MAX) {
            bail!("the local stack in `{}` does not stop", dir.display());
        }
        tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
    }
    Ok(info.is_some())
}

/// Whether somebody holds the lock.
pub(crate) fn is_locked(file: &Path) -> Result<bool> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("cannot open `{}`", file.display())),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).context("cannot look at the lock"),
    }
}

fn up_command(options: &StackOptions) -> Result<Command> {
    let mut command = Command::new(binary()?);
    let clone_root = std::path::absolute(if options.clone_root.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &options.clone_root
    })?;
    command.arg("up").arg("--clone-root").arg(clone_root).arg("--dir").arg(&options.dir);
    if options.auth {
        command.arg("--auth");
    }
    if let Some(bin) = &options.pg_bin {
        command.arg("--pg-bin").arg(bin);
    }
    Ok(command)
}

fn spawn(mut command: Command) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run the local-stack binary")?;
    let output = child.stdout.take().context("the local stack has no output")?;
    Ok((child, BufReader::new(output).lines()))
}

/// Passes progress on until the stack is ready.
async fn follow(mut lines: Lines<BufReader<ChildStdout>>, progress: &mut impl FnMut(Progress)) -> Result<StackInfo> {
    while let Some(line) = lines.next_line().await? {
        let event: Progress = serde_json::from_str(&line).with_context(|| format!("unexpected output `{line}`"))?;
        match event {
            Progress::Ready(info) => {
                progress(Progress::Ready(info.clone()));
                return Ok(info);
            }
            Progress::Failed { error } => bail!("the local stack does not start: {error}"),
            other => progress(other),
        }
    }
    bail!("the local stack ended before it was ready")
}

/// The binary beside the running program, or one folder up from `deps/`.
fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(BINARY_VARIABLE) {
        return Ok(named.into());
    }
    let running = std::env::current_exe().context("cannot find the running program")?;
    let beside = running.ancestors().skip(1).take(2).map(|folder| folder.join("local-stack"));
    beside.into_iter().find(|path| path.is_file()).with_context(|| {
        format!(
            "no `local-stack` binary beside `{}`: run `cargo build -p local-stack`, or name it in {BINARY_VARIABLE}",
            running.display()
        )
    })
}
