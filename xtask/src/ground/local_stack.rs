//! The local stack, run as the `local-stack` program and found again by its `stack.json`.
//!
//! xtask talks to that program and does not link it: it builds in seconds, the stack's Parquet reader does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};

use crate::ground::output::{Failure, Out, Step};
use crate::ground::shell;

/// Where a stack answers: the part of `stack.json` that is used here.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StackInfo {
    /// The supervisor's process id.
    pub pid: u32,
    /// Endpoint of everything, for users and tools.
    pub endpoint: String,
    /// The PostgreSQL server that is the warehouse.
    pub warehouse: Warehouse,
    /// Region of everything.
    pub region: String,
    /// Account of everything.
    pub account: String,
    /// Access key of the root user.
    pub access_key_id: String,
    /// Secret of the root user.
    pub secret_access_key: String,
    /// Whether signatures and policies are checked.
    pub auth: bool,
    /// Folder of the log files.
    pub log_dir: PathBuf,
}

/// How to reach the warehouse with `psql`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Warehouse {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User, without password.
    pub user: String,
}

impl StackInfo {
    /// The command that opens a database of the warehouse, named `<cluster or workgroup>.<database>`.
    pub fn psql(&self, database: &str) -> String {
        let Warehouse { host, port, user } = &self.warehouse;
        format!("psql -h {host} -p {port} -U {user} -d {database}")
    }

    /// The settings that point the aws command line at the stack.
    pub fn environment(&self) -> String {
        format!(
            "AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION={} AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}",
            self.endpoint, self.region, self.access_key_id, self.secret_access_key
        )
    }
}

/// Folder of the stack that `deploy --local` uses.
pub fn default_dir() -> PathBuf {
    shell::root().join(".local/stack")
}

/// The stack that is up already.
pub fn running() -> Result<StackInfo> {
    find(&default_dir())?.ok_or_else(|| {
        Failure::new(
            "no local stack is up",
            "start it with `cargo xtask local up`, or with `cargo xtask deploy … --local`",
        )
        .into()
    })
}

/// The stack in a folder, if its supervisor lives.
fn find(dir: &Path) -> Result<Option<StackInfo>> {
    let Ok(text) = std::fs::read(dir.join("stack.json")) else { return Ok(None) };
    let stack: StackInfo = serde_json::from_slice(&text).context("`stack.json` is not readable")?;
    let alive = Path::new("/proc").join(stack.pid.to_string()).exists() || !Path::new("/proc/self").exists();
    Ok(alive.then_some(stack))
}

/// The running stack, or a new one that goes on after us.
pub async fn up(out: Out, auth: bool) -> Result<StackInfo> {
    let dir = default_dir();
    if let Some(stack) = find(&dir)? {
        if auth && !stack.auth {
            let message = "the local stack that is up does not check IAM";
            return Err(
                Failure::new(message, "stop it with `cargo xtask local down`, then the same command again").into()
            );
        }
        out.line(format!("{} local stack is up already at {}", out.good("ok"), stack.endpoint));
        return Ok(stack);
    }
    let binary = build(out)?;
    let step = out.step("starting the local stack");
    let mut child = up_command(&binary, &dir, auth).stdin(Stdio::null()).spawn().context("cannot run local-stack")?;
    let stack = follow(&mut child, &step).await?;
    child.wait().await?;
    step.done(format!("local stack up at {}", stack.endpoint));
    Ok(stack)
}

/// A stack that ends when this value does, or this process, however it ends.
#[derive(Debug)]
pub struct Foreground {
    /// Where it answers.
    pub info: StackInfo,
    child: Child,
    input: Option<ChildStdin>,
}

impl Foreground {
    /// Starts one in a folder of its own.
    pub async fn start(out: Out, binary: &Path, dir: &Path) -> Result<Self> {
        let step = out.step("starting the local stack");
        let mut command = up_command(binary, dir, false);
        command.arg("--foreground-stdin").stdin(Stdio::piped());
        let mut child = command.spawn().context("cannot run local-stack")?;
        let input = child.stdin.take();
        let info = follow(&mut child, &step).await?;
        step.done(format!("local stack up at {} (S3, SQS, DynamoDB, Lambda, EventBridge, CloudFormation, Redshift Data API; warehouse: PostgreSQL)", info.endpoint));
        Ok(Self { info, child, input })
    }

    /// Stops it and waits until nothing of it is left.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.input.take());
        tokio::time::timeout(Duration::from_secs(40), self.child.wait())
            .await
            .context("the local stack does not stop")??;
        Ok(())
    }
}

/// Ends with an error on Ctrl-C or when asked to terminate, so that what was started is stopped in order.
pub async fn interruptible<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted", "the local stack is stopped too").into()),
        _ = terminate.recv() => Err(Failure::new("terminated", "the local stack is stopped too").into()),
    }
}

fn up_command(binary: &Path, dir: &Path, auth: bool) -> Command {
    let mut command = Command::new(binary);
    command.arg("up").arg("--clone-root").arg(shell::root()).arg("--dir").arg(dir);
    if auth {
        command.arg("--auth");
    }
    // A group of its own: Ctrl-C is ours to hear, and the stack's end ours to order.
    command.stdout(Stdio::piped()).process_group(0);
    command
}

/// Shows the progress until the stack is ready.
async fn follow(child: &mut Child, step: &Step) -> Result<StackInfo> {
    let output = child.stdout.take().context("the local stack has no output")?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        let mut event: Value = serde_json::from_str(&line).with_context(|| format!("unexpected output `{line}`"))?;
        match event["event"].as_str() {
            Some("ready") => {
                // Its later words are nobody's business, but the pipe must stay open for them.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(serde_json::from_value(event.take())?);
            }
            Some("failed") => {
                bail!("the local stack does not start: {}", event["error"].as_str().unwrap_or("no reason given"))
            }
            _ => tell(step, &event),
        }
    }
    bail!("the local stack ended before it was ready")
}

fn tell(step: &Step, event: &Value) {
    let (part, message) = (event["part"].as_str().unwrap_or_default(), event["message"].as_str().unwrap_or_default());
    if part == "tools" {
        step.line(&format!("   {message}"));
    } else {
        step.now(message);
    }
}

/// Builds the `local-stack` program.
pub fn build(out: Out) -> Result<PathBuf> {
    let step = out.step("building the local stack");
    let executables = shell::cargo_build(&["build", "--package", "local-stack"], &step)?;
    let binary = executables.into_iter().find(|(name, _)| name == "local-stack").map(|(_, path)| path);
    step.done("local stack built");
    binary.context("cargo built no executable `local-stack`")
}

/// Stops the stack that is up; nothing of it is left running.
pub async fn down(out: Out) -> Result<()> {
    let dir = default_dir();
    if find(&dir)?.is_none() {
        out.line("no local stack is up");
        return Ok(());
    }
    let binary = build(out)?;
    let step = out.step("stopping the local stack");
    let status = Command::new(binary).arg("down").arg("--dir").arg(dir).stdout(Stdio::null()).status().await?;
    if !status.success() {
        bail!("the local stack does not stop: local-stack ended with {status}");
    }
    step.done("local stack stopped");
    Ok(())
}

/// How often the functions called each operation, by service.
pub async fn calls(stack: &StackInfo) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut answer: Value = serde_json::from_str(&get(stack, "/_local/calls").await?)?;
    serde_json::from_value(answer["functions"].take()).context("the gateway's counts are not readable")
}

/// Forgets these counts.
pub async fn reset_calls(stack: &StackInfo) -> Result<()> {
    request(stack, "POST", "/_local/calls/reset", "").await.map(drop)
}

/// COPY commands that were submitted since this time (epoch milliseconds).
pub async fn copies_since(stack: &StackInfo, since: i64) -> Result<usize> {
    let statements: Value = serde_json::from_str(&get(stack, "/_standin/statements").await?)?;
    let statements = statements.as_array().context("the stand-in answers no list")?;
    let recent = statements.iter().filter(|statement| statement["created"].as_i64().is_some_and(|at| at >= since));
    let parts = recent.flat_map(|statement| statement["parts"].as_array().into_iter().flatten());
    Ok(parts.filter(|part| part["sql"].as_str().is_some_and(|sql| sql.starts_with("COPY "))).count())
}

/// One question to the gateway's own paths: plain HTTP on loopback needs no client library.
async fn get(stack: &StackInfo, path: &str) -> Result<String> {
    request(stack, "GET", path, "").await
}

/// Puts a fault into the gateway, for example a delay.
pub async fn add_toxic(stack: &StackInfo, toxic: &Value) -> Result<()> {
    request(stack, "POST", "/_local/toxics", &toxic.to_string()).await.map(drop)
}

/// Takes all faults out of the gateway again.
pub async fn remove_toxics(stack: &StackInfo) -> Result<()> {
    request(stack, "DELETE", "/_local/toxics", "").await.map(drop)
}

async fn request(stack: &StackInfo, method: &str, path: &str, body: &str) -> Result<String> {
    let address = stack.endpoint.strip_prefix("http://").unwrap_or(&stack.endpoint);
    let mut stream = TcpStream::connect(address).await.context("the local stack does not answer")?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the local stack's answer is cut off")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("the local stack refuses {method} {path}: {status} {body}");
    }
    Ok(body.to_owned())
}
