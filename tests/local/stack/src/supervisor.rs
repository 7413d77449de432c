//! The supervisor: starts all programs in order, waits for a reason to end, and stops them.
//!
//! It runs in the foreground, until its standard input is closed or it gets a signal, or as a daemon, until it gets a signal. It starts
//! programs only from its main thread, because the kernel sends the parent-death signal when the thread that started a program ends.

use std::fs::File;
use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use local_client::info::{STACK_FILE, STACK_LOCK_FILE, is_locked};
use local_client::{Progress, StackInfo, Warehouse};
use local_data_api::Standin;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::gateway::{self, Listeners, Upstreams};
use crate::guard::Guard;
use crate::postgres::{self, Postgres};
use crate::process::{self, Running};
use crate::{ministack, tools};

const PROGRESS_FILE: &str = "progress.jsonl";
const WATCH_MILLIS: u64 = 200;
const FOLLOW_MILLIS: u64 = 20;

/// Options of a stack.
#[derive(Debug, Clone, clap::Args)]
pub struct Up {
    /// Folder of the stack.
    #[arg(long)]
    dir: PathBuf,
    /// Root of the clone, which contains `.local/` with the tools.
    #[arg(long, default_value = ".")]
    clone_root: PathBuf,
    /// Stay in the foreground, and end when standard input is closed.
    #[arg(long)]
    foreground_stdin: bool,
    /// Check signatures and IAM policies.
    #[arg(long)]
    auth: bool,
    /// Collect batches for event source mappings up to their size and window, as AWS does.
    #[arg(long)]
    batching: bool,
    /// Folder with PostgreSQL's programs.
    #[arg(long)]
    pg_bin: Option<PathBuf>,
}

impl Up {
    fn log_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    fn prepare_folder(&mut self) -> Result<()> {
        self.dir = std::path::absolute(&self.dir)?;
        let log_dir = self.log_dir();
        std::fs::create_dir_all(&log_dir).with_context(|| format!("cannot create `{}`", log_dir.display()))
    }
}

/// `local-stack up`.
pub fn up(mut up: Up) -> Result<ExitCode> {
    up.prepare_folder()?;
    if is_locked(&up.dir.join(STACK_LOCK_FILE))? {
        // Checked here so that the logs of the running stack are not overwritten.
        say(&Progress::Failed { error: already_up(&up.dir).to_string() });
        return Ok(ExitCode::FAILURE);
    }
    if up.foreground_stdin {
        return supervise(up);
    }
    detach(&up)
}

/// Starts the daemon and prints its progress until it is ready or has failed.
fn detach(up: &Up) -> Result<ExitCode> {
    let log_dir = up.log_dir();
    let progress = log_dir.join(PROGRESS_FILE);
    let output = File::create(&progress).context("cannot write the progress file")?;
    let errors = File::create(log_dir.join("supervisor.log"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("supervise").arg("--dir").arg(&up.dir).arg("--clone-root").arg(&up.clone_root);
    if up.auth {
        command.arg("--auth");
    }
    if up.batching {
        command.arg("--batching");
    }
    if let Some(bin) = &up.pg_bin {
        command.arg("--pg-bin").arg(bin);
    }
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    let mut daemon = command.spawn().context("cannot start the supervisor")?;
    let mut reader = std::io::BufReader::new(File::open(&progress)?);
    let mut line = String::new();
    loop {
        let ended = daemon.try_wait()?.is_some();
        // A line without a line feed is still being written.
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            say_line(line.trim_end());
            match serde_json::from_str(&line) {
                Ok(Progress::Ready(_)) => return Ok(ExitCode::SUCCESS),
                Ok(Progress::Failed { .. }) => return Ok(ExitCode::FAILURE),
                _ => line.clear(),
            }
        }
        if ended {
            bail!("the supervisor ended; see `{}`", log_dir.join("supervisor.log").display());
        }
        std::thread::sleep(Duration::from_millis(FOLLOW_MILLIS));
    }
}

/// Runs the supervisor in this process.
pub fn supervise(mut up: Up) -> Result<ExitCode> {
    up.prepare_folder()?;
    if !up.foreground_stdin {
        // Detach from the terminal, so that the daemon does not receive its signals.
        let _ = rustix::process::setsid();
    }
    start_logging(&up.log_dir())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(run(&up));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => {
            say(&Progress::Stopped);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(&Progress::Failed { error: format!("{error:#}") });
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn run(up: &Up) -> Result<()> {
    let lock = File::create(up.dir.join(STACK_LOCK_FILE)).context("cannot create the lock file")?;
    if !lock_patiently(&lock).await {
        return Err(already_up(&up.dir));
    }
    process::adopt_orphans();
    let mut end = End::listen(up.foreground_stdin)?;
    let mut parts = Parts::new(Guard::start(&up.dir)?);
    let outcome = tokio::select! {
        outcome = parts.bring_up(up) => outcome,
        () = end.wait() => Err(anyhow::anyhow!("stopped while starting")),
    };
    let outcome = match outcome {
        Ok(info) => {
            publish(&up.dir, &info)?;
            say(&Progress::Ready(info));
            tokio::select! {
                () = end.wait() => Ok(()),
                broken = parts.watch() => Err(anyhow::anyhow!(broken)),
            }
        }
        Err(error) => Err(error),
    };
    let _ = std::fs::remove_file(up.dir.join(STACK_FILE));
    parts.take_down().await?;
    drop(lock);
    outcome
}

fn already_up(dir: &Path) -> anyhow::Error {
    anyhow::anyhow!("a local stack is already running in `{}`: stop it with `local-stack down`", dir.display())
}

/// Retries for a moment, because a process that checks the lock holds it briefly.
async fn lock_patiently(lock: &File) -> bool {
    for _ in 0..20 {
        if lock.try_lock().is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// All running parts, so that they can be stopped however far the start got.
struct Parts {
    guard: Guard,
    postgres: Option<Postgres>,
    ministack: Option<Running>,
    standin: Option<Standin>,
}

impl Parts {
    fn new(guard: Guard) -> Self {
        Self { guard, postgres: None, ministack: None, standin: None }
    }

    async fn bring_up(&mut self, up: &Up) -> Result<StackInfo> {
        let log_dir = up.log_dir();
        let tools = tools::prepare(&up.clone_root, up.pg_bin.as_deref(), &mut |event| say(&event))?;
        say(&Progress::step("gateway", "choosing ports"));
        let listeners = Listeners::bind().await?;
        let ministack_listens = SocketAddr::from((Ipv4Addr::LOCALHOST, process::free_port()?));
        say(&Progress::step("ministack", "starting S3, SQS, DynamoDB, Lambda, EventBridge, CloudFormation and IAM"));
        let settings = ministack::Settings {
            python: tools.python,
            folder: up.dir.join("ministack"),
            listen: ministack_listens,
            endpoint: listeners.endpoint,
            functions_endpoint: listeners.functions_endpoint,
            auth: up.auth,
            batching: up.batching,
        };
        let ministack = self.ministack.insert(ministack::start(&settings, &log_dir)?);
        self.guard.group(ministack.group())?;
        say(&Progress::step("warehouse", format!("starting PostgreSQL of `{}`", tools.postgres_bin.display())));
        let prepared = postgres::prepare(&tools.postgres_bin, &log_dir)?;
        self.guard.remove(prepared.folder())?;
        let postgres = self.postgres.insert(prepared.start(&log_dir)?);
        self.guard.quit(postgres.group())?;
        postgres.wait_ready().await?;
        let warehouse = postgres.address();
        ministack::wait_ready(ministack, ministack_listens).await?;
        say(&Progress::step("stand-in", "starting the Redshift Data API"));
        let standin = start_standin(warehouse, ministack_listens).await?;
        let upstreams = Upstreams { ministack: ministack_listens, standin: standin.address, auth: up.auth };
        self.standin = Some(standin);
        let (endpoint, functions_endpoint) = (listeners.endpoint, listeners.functions_endpoint);
        gateway::serve(listeners, upstreams);
        Ok(describe(up, [endpoint, functions_endpoint], warehouse))
    }

    /// Returns when a program has ended by itself, with the end of its log.
    async fn watch(&mut self) -> String {
        loop {
            if let Some(running) = &mut self.ministack
                && let Some(status) = running.ended()
            {
                return format!("ministack ended with {status}{}", running.last_lines());
            }
            if let Some(words) = self.postgres.as_mut().and_then(Postgres::ended) {
                return words;
            }
            tokio::time::sleep(Duration::from_millis(WATCH_MILLIS)).await;
        }
    }

    /// Stops ministack with its functions first, because they use the other parts.
    async fn take_down(self) -> Result<()> {
        if let Some(ministack) = self.ministack {
            ministack.stop(Signal::KILL, Duration::from_secs(1)).await;
        }
        if let Some(standin) = self.standin {
            // Do not wait for running statements.
            let _ = tokio::time::timeout(Duration::from_secs(1), standin.shutdown()).await;
        }
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
        self.guard.done()
    }
}

async fn start_standin(warehouse: SocketAddr, ministack: SocketAddr) -> Result<Standin> {
    let settings = local_data_api::Settings {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        warehouse: local_data_api::Warehouse {
            host: warehouse.ip().to_string(),
            port: warehouse.port(),
            user: postgres::USER.to_owned(),
        },
        aws_endpoint: format!("http://{ministack}"),
        region: crate::REGION.to_owned(),
        account: crate::ACCOUNT.to_owned(),
        latency: local_data_api::Latency::default(),
    };
    local_data_api::serve(settings).await.context("the Data API stand-in did not start")
}

fn describe(up: &Up, endpoints: [SocketAddr; 2], warehouse: SocketAddr) -> StackInfo {
    let [endpoint, functions_endpoint] = endpoints.map(|address| format!("http://{address}"));
    StackInfo {
        pid: std::process::id(),
        endpoint,
        functions_endpoint,
        warehouse: Warehouse {
            host: warehouse.ip().to_string(),
            port: warehouse.port(),
            user: postgres::USER.to_owned(),
        },
        region: crate::REGION.to_owned(),
        account: crate::ACCOUNT.to_owned(),
        access_key_id: crate::ACCESS_KEY_ID.to_owned(),
        secret_access_key: crate::SECRET_ACCESS_KEY.to_owned(),
        auth: up.auth,
        log_dir: up.log_dir(),
    }
}

/// Writes `stack.json` atomically, so that readers see the whole file or none.
fn publish(dir: &Path, info: &StackInfo) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer_pretty(&mut file, info)?;
    file.persist(dir.join(STACK_FILE)).context("cannot write `stack.json`")?;
    Ok(())
}

/// The reasons for the supervisor to end.
struct End {
    stdin: Option<tokio::sync::oneshot::Receiver<()>>,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl End {
    fn listen(watch_stdin: bool) -> Result<Self> {
        Ok(Self {
            stdin: watch_stdin.then(stdin_end),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        let stdin = async {
            match &mut self.stdin {
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stdin => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Reads standard input on its own thread, because a blocked read cannot be cancelled.
fn stdin_end() -> tokio::sync::oneshot::Receiver<()> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = sender.send(());
    });
    receiver
}

fn start_logging(log_dir: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(log_dir.join("gateway.log"))?;
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOCAL_STACK_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_ansi(false).with_env_filter(filter).with_writer(std::sync::Arc::new(file)).init();
    Ok(())
}

fn say(event: &Progress) {
    if let Ok(line) = serde_json::to_string(event) {
        say_line(&line);
    }
}

/// Writes a line. Errors are ignored, because the program that started the stack may no longer read.
fn say_line(line: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
