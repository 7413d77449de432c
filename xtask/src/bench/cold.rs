//! Cold starts: a function's bootstrap is started as Lambda starts it, against the local stack and a minimal runtime interface.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use loader_core::contract::Function;
use local_client::StackInfo;
use serde_json::{Value, json};
use synth::LoaderProps;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::bench::figures::ColdStart;
use crate::bench::process;
use crate::bench::statistics::median;
use crate::ground::stack::Stack;
use crate::loader::settings;

const RESULT_MAX: Duration = Duration::from_secs(30);

/// Starts a function several times, one after the other.
pub async fn measure(
    function: Function,
    bootstrap: &Path,
    loader: &Stack,
    stack: &StackInfo,
    runs: usize,
) -> Result<ColdStart> {
    let (mut inits, mut answers, mut cpus, mut memories) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let once = start(function, bootstrap, loader, stack);
        let once = tokio::time::timeout(RESULT_MAX, once).await;
        let once = once.with_context(|| format!("{} returned no result within 30 s", function.name()))??;
        inits.push(once.init.as_secs_f64() * 1e3);
        answers.push(once.answer.as_secs_f64() * 1e3);
        cpus.push(once.init_cpu_millis);
        memories.push(once.memory_bytes);
    }
    Ok(ColdStart {
        function: function.name(),
        runs,
        init_millis: median(&mut inits),
        first_answer_millis: median(&mut answers),
        init_cpu_millis: median(&mut cpus),
        memory_bytes: median(&mut memories),
    })
}

/// The times of one start.
struct Start {
    /// Until it requested an event.
    init: Duration,
    /// Until it returned a result.
    answer: Duration,
    init_cpu_millis: f64,
    memory_bytes: f64,
}

async fn start(function: Function, bootstrap: &Path, loader: &Stack, stack: &StackInfo) -> Result<Start> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let environment = [
        ("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name().to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", LoaderProps::default().memory_mb.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "bench".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
        ("AWS_REGION", stack.region.clone()),
        ("AWS_ACCESS_KEY_ID", stack.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", stack.secret_access_key.clone()),
        ("AWS_ENDPOINT_URL", stack.endpoint.clone()),
    ];
    let mut command = Command::new(bootstrap);
    command
        .env_clear()
        .envs(environment)
        .envs(settings::environment(loader)?)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.kill_on_drop(true).spawn().context("cannot start the function")?;
    let start = serve(&listener, &payload(function), started, child.id()).await?;
    child.kill().await?;
    Ok(start)
}

/// An event without work, so that only the start, the connections and the first reads are measured.
fn payload(function: Function) -> Value {
    match function {
        Function::MicrobatchLoader => json!({"Records": []}),
        Function::NextLoader => json!({"sweep": true}),
        Function::BulkLoader => json!({}),
    }
}

/// Lambda's runtime interface for one event, until the function has returned a result.
async fn serve(listener: &TcpListener, payload: &Value, started: Instant, pid: Option<u32>) -> Result<Start> {
    let mut init = None;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let path = requested_path(&mut stream).await?;
        match (path.rsplit('/').next().unwrap_or_default(), init) {
            ("next", None) => {
                init = Some((started.elapsed(), pid.map_or(0.0, process::cpu_millis)));
                stream.write_all(event(payload).as_bytes()).await?;
            }
            ("response", Some((init, init_cpu_millis))) => {
                let memory_bytes = pid.map_or(0.0, process::memory_bytes);
                return Ok(Start { init, answer: started.elapsed(), init_cpu_millis, memory_bytes });
            }
            _ => bail!("the function reported a failure: {path}"),
        }
    }
}

/// Reads the head of a request.
async fn requested_path(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut part = [0; 1024];
        let n = stream.read(&mut part).await?;
        anyhow::ensure!(n > 0, "the function closed its connection");
        head.extend_from_slice(&part[..n]);
    }
    let head = String::from_utf8_lossy(&head);
    head.split_whitespace().nth(1).map(str::to_owned).context("not a request")
}

fn event(payload: &Value) -> String {
    let body = payload.to_string();
    let deadline = u128::from(u64::MAX >> 20);
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\
         Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\nLambda-Runtime-Deadline-Ms: {deadline}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:bench\r\n\
         Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\n\r\n{body}",
        body.len()
    )
}
