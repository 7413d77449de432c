//! Starts and stops a stack from another program (xtask, tests).
//!
//! A stack is a supervisor process of the program `local-stack`. It ends with the program that started it, or runs until [`down`].

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::info::{GUARD_LOCK_FILE, STACK_LOCK_FILE, StackInfo, info, is_locked};
use crate::{DataApiAdmin, GatewayAdmin, Progress};

/// Environment variable with the path of the `local-stack` program, if it is not beside the running program.
pub const BINARY_VARIABLE: &str = "LOCAL_STACK_BIN";
const STOP_SECONDS_MAX: u64 = 40;
const POLL_MILLIS: u64 = 20;

/// Options of a stack.
#[derive(Clone, Debug, Default)]
pub struct StackOptions {
    /// The `local-stack` program; default: the one beside the running program.
    pub binary: Option<PathBuf>,
    /// Root of the clone, which contains `.local/` with the tools; if empty, the current folder.
    pub clone_root: PathBuf,
    /// Folder of the stack, with its `stack.json` and logs. Each running stack needs its own folder.
    pub dir: PathBuf,
    /// Whether signatures and IAM policies are checked.
    pub auth: bool,
    /// Whether batches for event source mappings are collected up to their size and window, as AWS does; otherwise messages are passed on at once.
    pub batching: bool,
    /// Folder with PostgreSQL's programs; default: they are searched for.
    pub pg_bin: Option<PathBuf>,
}

/// A stack that ends with this process: its supervisor ends when its standard input is closed.
#[derive(Debug)]
pub struct Stack {
    info: StackInfo,
    child: Child,
    input: Option<ChildStdin>,
}

impl Stack {
    /// The addresses of the stack.
    pub fn info(&self) -> &StackInfo {
        &self.info
    }

    /// Client of the gateway: toxics, counts and call log.
    pub fn gateway(&self) -> GatewayAdmin {
        GatewayAdmin::new(&self.info.endpoint)
    }

    /// Client of the Data API stand-in: statements and settings.
    pub fn data_api(&self) -> DataApiAdmin {
        DataApiAdmin::new(&self.info.endpoint)
    }

    /// Stops the stack and waits until all its processes have ended.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.input.take());
        let ended = tokio::time::timeout(Duration::from_secs(STOP_SECONDS_MAX), self.child.wait()).await;
        ended.context("the local stack does not stop")??;
        Ok(())
    }
}

/// Starts a stack that runs as long as the returned value exists (or this process).
pub async fn start(options: StackOptions, mut progress: impl FnMut(Progress)) -> Result<Stack> {
    let mut command = up_command(&options)?;
    command.arg("--foreground-stdin").stdin(Stdio::piped());
    let mut child = spawn(command)?;
    let input = child.stdin.take();
    let info = follow(&mut child, &mut progress).await?;
    Ok(Stack { info, child, input })
}

/// Starts a stack that runs until [`down`].
pub async fn start_detached(options: StackOptions, mut progress: impl FnMut(Progress)) -> Result<StackInfo> {
    let mut command = up_command(&options)?;
    command.stdin(Stdio::null());
    let mut child = spawn(command)?;
    let info = follow(&mut child, &mut progress).await?;
    child.wait().await?;
    Ok(info)
}

/// Stops the stack in `dir` and waits until all its processes have ended. Returns `false` if none was running.
pub async fn down(dir: &Path) -> Result<bool> {
    let info = info(dir)?;
    if let Some(pid) = info.as_ref().and_then(|info| Pid::from_raw(i32::try_from(info.pid).ok()?)) {
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
    let started = Instant::now();
    // The guard of a killed supervisor may still be cleaning up.
    while is_locked(&dir.join(STACK_LOCK_FILE))? || is_locked(&dir.join(GUARD_LOCK_FILE))? {
        if started.elapsed() > Duration::from_secs(STOP_SECONDS_MAX) {
            bail!("the local stack in `{}` does not stop", dir.display());
        }
        tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
    }
    Ok(info.is_some())
}

fn up_command(options: &StackOptions) -> Result<Command> {
    let binary = options.binary.clone().map_or_else(binary, Ok)?;
    let clone_root = std::path::absolute(if options.clone_root.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &options.clone_root
    })?;
    let mut command = Command::new(binary);
    command.arg("up").arg("--clone-root").arg(clone_root).arg("--dir").arg(&options.dir);
    if options.auth {
        command.arg("--auth");
    }
    if options.batching {
        command.arg("--batching");
    }
    if let Some(bin) = &options.pg_bin {
        command.arg("--pg-bin").arg(bin);
    }
    Ok(command)
}

fn spawn(mut command: Command) -> Result<Child> {
    // In its own process group, the stack does not receive Ctrl-C: this process decides when the stack ends.
    command.stdout(Stdio::piped()).process_group(0).spawn().context("cannot run the local-stack program")
}

/// Reports progress until the stack is ready.
async fn follow(child: &mut Child, progress: &mut impl FnMut(Progress)) -> Result<StackInfo> {
    let output = child.stdout.take().context("the local stack has no output")?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        let event: Progress = serde_json::from_str(&line).with_context(|| format!("unexpected output `{line}`"))?;
        match event {
            Progress::Ready(info) => {
                progress(Progress::Ready(info.clone()));
                return Ok(info);
            }
            Progress::Failed { error } => bail!("the local stack did not start: {error}"),
            other => progress(other),
        }
    }
    bail!("the local stack ended before it was ready")
}

/// The program beside the running one, or one folder above it (tests run in `deps/`).
fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(BINARY_VARIABLE) {
        return Ok(named.into());
    }
    let running = std::env::current_exe().context("cannot find the running program")?;
    let mut beside = running.ancestors().skip(1).take(2).map(|folder| folder.join("local-stack"));
    beside.find(|path| path.is_file()).with_context(|| {
        format!(
            "no `local-stack` program beside `{}`: run `cargo build -p local-stack`, or name it in {BINARY_VARIABLE}",
            running.display()
        )
    })
}
