//! One local stack per test binary, with the loader deployed from the synthesized template.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_cloudformation::types::{Capability, Parameter};
use aws_sdk_s3::primitives::ByteStream;
use loader_core::contract::Function;
use local_stack::{Stack, StackOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const ASSETS: &str = "acceptance-assets";
const STACK: &str = "acceptance";
/// Waiting periods of the functions, set down so that faults are over soon.
const WAITS: [(&str, &str); 5] = [
    ("CLAIM_PATIENCE_SECONDS", "1"),
    ("STATUS_POLL_SECONDS", "1"),
    ("BACKOFF_BASE_SECONDS", "1"),
    ("BACKOFF_CAP_SECONDS", "2"),
    ("CONFIG_CACHE_SECONDS", "1"),
];

/// Everything a test talks to.
#[derive(Debug)]
pub struct World {
    runtime: Runtime,
    /// The stack; it ends with this process.
    pub stack: Stack,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Lambda.
    pub lambda: aws_sdk_lambda::Client,
    /// The Data API.
    pub data: aws_sdk_redshiftdata::Client,
    /// The tracker table's name.
    pub tracker: String,
    /// The loader's bucket.
    pub bucket: String,
}

/// The world of this test binary, brought up by the first test that asks.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::start().unwrap_or_else(|error| panic!("the local stack does not come up: {error:#}")))
}

impl World {
    /// Runs a test to its end; an error is a failure with its whole chain.
    pub fn run<T>(&self, test: impl Future<Output = Result<T>>) -> T {
        match self.runtime.block_on(test) {
            Ok(value) => value,
            Err(error) => panic!("{error:#}"),
        }
    }

    fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let root = clone_root()?;
        let dir = root.join(".local/acceptance").join(std::process::id().to_string());
        let options = StackOptions { clone_root: root.clone(), dir, ..StackOptions::default() };
        let stack = runtime.block_on(local_stack::start(options, |_| {}))?;
        let info = stack.info();
        let shared = runtime.block_on(
            aws_config::defaults(aws_config::BehaviorVersion::latest())
                .endpoint_url(&info.endpoint)
                .region(aws_config::Region::new(info.region.clone()))
                .credentials_provider(aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test"))
                .load(),
        );
        let s3 =
            aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&shared).force_path_style(true).build());
        let mut world = Self {
            stack,
            s3,
            sqs: aws_sdk_sqs::Client::new(&shared),
            dynamodb: aws_sdk_dynamodb::Client::new(&shared),
            lambda: aws_sdk_lambda::Client::new(&shared),
            data: aws_sdk_redshiftdata::Client::new(&shared),
            tracker: String::new(),
            bucket: String::new(),
            runtime,
        };
        let cloudformation = aws_sdk_cloudformation::Client::new(&shared);
        let (tracker, bucket) = world.runtime.block_on(world.deploy(&cloudformation, &root))?;
        world.tracker = tracker;
        world.bucket = bucket;
        Ok(world)
    }

    async fn deploy(&self, cloudformation: &aws_sdk_cloudformation::Client, root: &Path) -> Result<(String, String)> {
        self.s3.create_bucket().bucket(ASSETS).send().await?;
        for function in Function::ALL {
            let zip = zip(&root.join("target/debug").join(function.package()))?;
            let key = format!("{}.zip", function.package());
            self.s3.put_object().bucket(ASSETS).key(key).body(ByteStream::from(zip)).send().await?;
        }
        let parameter = |key: &str, value: &str| Parameter::builder().parameter_key(key).parameter_value(value).build();
        cloudformation
            .create_stack()
            .stack_name(STACK)
            .template_body(template()?)
            .parameters(parameter("assetsBucket", ASSETS))
            .capabilities(Capability::CapabilityNamedIam)
            .send()
            .await?;
        let started = Instant::now();
        loop {
            let answer = cloudformation.describe_stacks().stack_name(STACK).send().await?;
            let stack = answer.stacks().first().context("the stack is gone")?;
            let status = stack.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default();
            if status == "CREATE_COMPLETE" {
                let output = |key: &str| {
                    let found = stack.outputs().iter().find(|output| output.output_key() == Some(key));
                    found
                        .and_then(|output| output.output_value())
                        .map(ToOwned::to_owned)
                        .context("an output is missing")
                };
                return Ok((output("TrackerTableName")?, output("LoaderBucketName")?));
            }
            ensure!(status.ends_with("IN_PROGRESS"), "the stack is {status}");
            ensure!(started.elapsed() < Duration::from_mins(1), "the stack does not come up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Physical name of a function.
    pub fn function(function: Function) -> String {
        format!("{STACK}-{}", function.name())
    }

    /// Invokes a function and answers what it answers; a function error is an error.
    pub async fn invoke(&self, function: Function, payload: &Value) -> Result<Value> {
        let call = self.lambda.invoke().function_name(Self::function(function));
        let answer = call.payload(aws_sdk_lambda::primitives::Blob::new(payload.to_string())).send().await?;
        let text = String::from_utf8_lossy(answer.payload().map(AsRef::as_ref).unwrap_or_default()).into_owned();
        if let Some(error) = answer.function_error() {
            bail!("{} failed ({error}): {text}", function.name());
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// The sweep, without waiting for its minute. It may be disturbed: then the next one does the work.
    pub async fn sweep(&self) {
        let _ = self.invoke(Function::NextLoader, &json!({"sweep": true})).await;
    }

    /// Steers the Data API stand-in.
    pub async fn standin(&self, settings: &Value) -> Result<()> {
        let answer = self.http("POST", "/_standin/settings", &settings.to_string()).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "the stand-in refuses {settings}: {answer}");
        Ok(())
    }

    /// All statements that the stand-in knows.
    pub async fn statements(&self) -> Result<Vec<Value>> {
        let answer = self.http("GET", "/_standin/statements", "").await?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let start = body.find(['[', '{']).unwrap_or(0);
        let end = body.rfind([']', '}']).map_or(body.len(), |at| at + 1);
        let value: Value = serde_json::from_str(&body[start..end]).with_context(|| body.to_owned())?;
        let list = value.as_array().cloned().or_else(|| value["statements"].as_array().cloned());
        list.context("no list of statements")
    }

    async fn http(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let address = self.stack.info().endpoint.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

fn clone_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.ancestors().nth(2).context("no clone around this crate")?.to_path_buf())
}

/// The loader without queues (each test connects its own, as a user would by hand), with short waits.
fn template() -> Result<String> {
    let template =
        synth::loader_template(&synth::LoaderProps::default()).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let mut template: Value = serde_json::from_str(&template.to_json())?;
    for function in Function::ALL {
        let variables = &mut template["Resources"][function.name()]["Properties"]["Environment"]["Variables"];
        ensure!(variables.is_object(), "{} has no environment", function.name());
        for (name, value) in WAITS {
            variables[name] = json!(value);
        }
    }
    Ok(template.to_string())
}

fn zip(binary: &Path) -> Result<Vec<u8>> {
    let build = "build it: cargo build -p microbatch-loader -p next-loader -p bulk-loader (`cargo xtask test` does)";
    let content = std::fs::read(binary).with_context(|| format!("{} is missing; {build}", binary.display()))?;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755).compression_level(Some(1));
    zip.start_file("bootstrap", options)?;
    zip.write_all(&content)?;
    Ok(zip.finish()?.into_inner())
}
