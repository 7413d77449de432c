//! A local stack for each test binary, with the loader deployed from the synthesized template.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_cloudformation::types::{Capability, Parameter};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use futures::future::{join_all, try_join_all};
use loader_core::contract::{Function, PARAMETER_STATEMENT_NAME_PREFIX};
use local_client::{Stack, StackOptions, Statement};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::template::{template, zip};

mod template;

const ASSETS: &str = "acceptance-assets";
/// Name of the CloudFormation stack.
pub const STACK: &str = "acceptance";
/// Receives before a message goes to the dead-letter queue; more than the faults of most tests take.
const RECEIVES_MAX: u32 = 6;
/// Waits of the functions, shortened so that tests of faults are fast; see also `template`.
const PATIENCE_SECONDS: u32 = 1;
const BACKOFF_SECONDS: u32 = 1;
/// Wait for lines of the log.
const LOG_PATIENCE: Duration = Duration::from_secs(20);
/// Environments of a function that are invoked at once for their log.
const ENVIRONMENTS: usize = 3;

/// How the world of a test binary is set up. Signatures and IAM policies are always checked.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // The settings are independent of each other.
pub struct Setup {
    /// Names and configurations of the queues. The execution role gets only the permissions that they need.
    pub queues: Vec<(String, Value)>,
    /// Receives after which a message goes to the dead-letter queue.
    pub receives_max: u32,
    /// Seconds that a table waits after its first failure; twice that after later ones.
    pub backoff_seconds: u32,
    /// Deploy nothing. The test deploys and then calls [`World::adopt`].
    pub empty: bool,
    /// Seconds after which other invocations take over from a silent one. Tests of large loads need more, because an invocation that looks at many
    /// objects counts as dead after this time.
    pub patience_seconds: u32,
    /// Timeout of BulkLoader in seconds. With 28, it has time for one page of a listing.
    pub bulk_seconds: Option<u32>,
    /// For tests that count calls: the waits of a real deployment, and no scheduled sweep.
    pub quiet: bool,
    /// No scheduled sweep: its rule is disabled.
    pub unswept: bool,
    /// Whether table events are on.
    pub events: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            queues: Vec::new(),
            receives_max: RECEIVES_MAX,
            backoff_seconds: BACKOFF_SECONDS,
            patience_seconds: PATIENCE_SECONDS,
            empty: false,
            bulk_seconds: None,
            quiet: false,
            unswept: false,
            events: false,
        }
    }
}

impl Setup {
    /// A setup with a queue for each table: its name and initial configuration.
    pub fn of(tables: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let queue = |(name, mut config): (&str, Value)| {
            if config["source"].is_null() {
                config["source"] = json!(format!("s3://e2e-{name}/"));
            }
            (name.to_owned(), config)
        };
        Self { queues: tables.into_iter().map(queue).collect(), ..Self::default() }
    }
}

/// The local stack with the deployed loader, and clients for it.
#[derive(Debug)]
pub struct World {
    runtime: Runtime,
    cloudformation: aws_sdk_cloudformation::Client,
    /// The local stack, which ends with this process.
    pub stack: Stack,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Lambda.
    pub lambda: aws_sdk_lambda::Client,
    /// EventBridge.
    pub events: aws_sdk_eventbridge::Client,
    /// CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// The Data API.
    pub data: aws_sdk_redshiftdata::Client,
    /// The deployed template.
    pub template: Value,
    /// Name of the tracker table.
    pub tracker: String,
    /// The loader's bucket.
    pub bucket: String,
}

/// The world of this test binary. The first test that needs it starts it, so all tests must use the same setup.
pub fn world_of(setup: fn() -> Setup) -> &'static World {
    // If the start fails it is not repeated, and every test reports the cause.
    static WORLD: OnceLock<Result<World, String>> = OnceLock::new();
    let world = WORLD.get_or_init(|| World::start(&setup()).map_err(|error| format!("{error:#}")));
    world.as_ref().unwrap_or_else(|error| panic!("the local stack did not start: {error}"))
}

impl World {
    /// Runs a test. An error is a panic with all its causes.
    pub fn run<T>(&self, test: impl Future<Output = Result<T>>) -> T {
        match self.runtime.block_on(test) {
            Ok(value) => value,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Starts a world.
    pub fn start(setup: &Setup) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let root = clone_root()?;
        let options = StackOptions { clone_root: root.clone(), dir: folder()?, auth: true, ..StackOptions::default() };
        let stack = runtime.block_on(local_client::start(options, |_| {}))?;
        let info = stack.info();
        let shared = runtime.block_on(
            aws_config::defaults(aws_config::BehaviorVersion::latest())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
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
            cloudformation: aws_sdk_cloudformation::Client::new(&shared),
            sqs: aws_sdk_sqs::Client::new(&shared),
            dynamodb: aws_sdk_dynamodb::Client::new(&shared),
            lambda: aws_sdk_lambda::Client::new(&shared),
            events: aws_sdk_eventbridge::Client::new(&shared),
            logs: aws_sdk_cloudwatchlogs::Client::new(&shared),
            data: aws_sdk_redshiftdata::Client::new(&shared),
            template: template(setup)?,
            tracker: String::new(),
            bucket: String::new(),
            runtime,
        };
        if !setup.empty {
            world.runtime.block_on(world.deploy(&root))?;
            world.adopt()?;
        }
        Ok(world)
    }

    /// Reads the names of tracker and bucket from the deployed stack.
    pub fn adopt(&mut self) -> Result<()> {
        let stack = self.runtime.block_on(self.deployed("CREATE_COMPLETE"))?;
        let output = |key: &str| {
            let found = stack.outputs().iter().find(|output| output.output_key() == Some(key));
            found.and_then(|output| output.output_value()).map(ToOwned::to_owned).context("an output is missing")
        };
        (self.tracker, self.bucket) = (output("TrackerTableName")?, output("LoaderBucketName")?);
        Ok(())
    }

    async fn deploy(&self, root: &Path) -> Result<()> {
        self.s3.create_bucket().bucket(ASSETS).send().await?;
        for function in Function::ALL {
            let zip = zip(&root.join("target/debug").join(function.package()))?;
            let key = format!("{}.zip", function.package());
            self.s3.put_object().bucket(ASSETS).key(key).body(ByteStream::from(zip)).send().await?;
        }
        let create =
            self.cloudformation.create_stack().stack_name(STACK).template_url(self.upload(&self.template).await?);
        create.parameters(assets_bucket()).capabilities(Capability::CapabilityNamedIam).send().await?;
        Ok(())
    }

    /// Creates another stack from the same zips. It gets only the events of its own statements.
    pub async fn deploy_beside(&self, name: &str, setup: &Setup) -> Result<()> {
        let url = self.upload(&template(setup)?).await?;
        let create = self.cloudformation.create_stack().stack_name(name).template_url(url);
        let prefix = Parameter::builder().parameter_key(PARAMETER_STATEMENT_NAME_PREFIX).parameter_value(name).build();
        let create = create.parameters(assets_bucket()).parameters(prefix);
        create.capabilities(Capability::CapabilityNamedIam).send().await?;
        self.stack_at(name, "CREATE_COMPLETE").await.map(drop)
    }

    /// Uploads a template for `CloudFormation`, because one with many queues is too large for a request.
    async fn upload(&self, template: &Value) -> Result<String> {
        let key = "template.json";
        let body = ByteStream::from(template.to_string().into_bytes());
        self.s3.put_object().bucket(ASSETS).key(key).body(body).send().await?;
        Ok(format!("{}/{ASSETS}/{key}", self.stack.info().endpoint))
    }

    /// Updates the stack to another template.
    pub async fn update(&self, template: &Value) -> Result<()> {
        let update = self.cloudformation.update_stack().stack_name(STACK).template_url(self.upload(template).await?);
        let update = update.parameters(assets_bucket()).capabilities(Capability::CapabilityNamedIam);
        match update.send().await {
            Ok(_) => self.deployed("UPDATE_COMPLETE").await.map(drop),
            Err(error) if format!("{error:?}").contains("No updates are to be performed") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Physical ID of a resource, which is the URL of a queue.
    pub async fn resource(&self, logical_id: &str) -> Result<String> {
        let ask = self.cloudformation.describe_stack_resource().stack_name(STACK).logical_resource_id(logical_id);
        let answer = ask.send().await.with_context(|| format!("no resource {logical_id}"))?;
        let id = answer.stack_resource_detail().and_then(|resource| resource.physical_resource_id());
        id.map(ToOwned::to_owned).with_context(|| format!("{logical_id} has no id"))
    }

    /// Status of the stack.
    pub async fn status(&self) -> Result<String> {
        let answer = self.cloudformation.describe_stacks().stack_name(STACK).send().await?;
        let status = answer.stacks().first().and_then(|stack| stack.stack_status());
        Ok(status.context("the stack is gone")?.as_str().to_owned())
    }

    /// Value of a parameter of the stack.
    pub async fn parameter(&self, name: &str) -> Result<String> {
        let answer = self.cloudformation.describe_stacks().stack_name(STACK).send().await?;
        let parameters = answer.stacks().first().context("the stack is gone")?.parameters();
        let found = parameters.iter().find(|parameter| parameter.parameter_key() == Some(name));
        let value = found.and_then(|parameter| parameter.parameter_value());
        value.map(ToOwned::to_owned).with_context(|| format!("the stack has no parameter {name}"))
    }

    /// Creates the stack from another template, and returns its final status.
    pub async fn create(&self, template: &Value) -> Result<String> {
        self.cloudformation.create_stack().stack_name(STACK).template_body(template.to_string()).send().await?;
        loop {
            let status = self.status().await?;
            if !status.ends_with("IN_PROGRESS") {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the stack has this status.
    async fn deployed(&self, wanted: &str) -> Result<aws_sdk_cloudformation::types::Stack> {
        self.stack_at(STACK, wanted).await
    }

    async fn stack_at(&self, name: &str, wanted: &str) -> Result<aws_sdk_cloudformation::types::Stack> {
        let started = Instant::now();
        loop {
            let answer = self.cloudformation.describe_stacks().stack_name(name).send().await?;
            let stack = answer.stacks().first().context("the stack is gone")?;
            let status = stack.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default();
            if status == wanted {
                return Ok(stack.clone());
            }
            ensure!(status.ends_with("IN_PROGRESS"), "the stack is {status}");
            ensure!(started.elapsed() < Duration::from_mins(1), "the stack is still {status}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Physical name of a function.
    pub fn function(function: Function) -> String {
        format!("{STACK}-{}", function.name())
    }

    /// Invokes a function and returns its result. A function error is an error.
    pub async fn invoke(&self, function: Function, payload: &Value) -> Result<Value> {
        let call = self.lambda.invoke().function_name(Self::function(function));
        let answer = call.payload(aws_sdk_lambda::primitives::Blob::new(payload.to_string())).send().await?;
        let text = String::from_utf8_lossy(answer.payload().map(AsRef::as_ref).unwrap_or_default()).into_owned();
        if let Some(error) = answer.function_error() {
            bail!("{} failed ({error}): {text}", function.name());
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// The lines that the functions have logged since a time in milliseconds.
    pub async fn logged(&self, since: i64) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for function in Function::ALL {
            let group = format!("/aws/lambda/{}", Self::function(function));
            let mut pages =
                self.logs.filter_log_events().log_group_name(group).start_time(since).into_paginator().send();
            while let Some(page) = pages.next().await {
                lines.extend(page?.events.unwrap_or_default().into_iter().filter_map(|event| event.message));
            }
        }
        Ok(lines)
    }

    /// The lines that the functions have logged since a time, as soon as they contain `what`. Fails if they do not within some seconds.
    ///
    /// The local Lambda takes what an invocation has logged until no line comes for five milliseconds. On a busy machine the rest comes with
    /// the next invocation of the same environment, so several environments are invoked again, with nothing to do.
    pub async fn logged_until(&self, since: i64, what: &str, has: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        let started = Instant::now();
        loop {
            let lines = self.logged(since).await?;
            let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
            if has(&lines) {
                return Ok(lines);
            }
            ensure!(started.elapsed() < LOG_PATIENCE, "not in the log: {what}: {lines:#?}");
            let nothing = json!({"Records": []});
            let recorders = (0..ENVIRONMENTS).map(|_| self.invoke(Function::MicrobatchLoader, &nothing));
            let sweeps = (0..ENVIRONMENTS).map(|_| self.sweep());
            let (_, recorded) = futures::join!(join_all(sweeps), try_join_all(recorders));
            recorded?;
        }
    }

    /// Waits until the log contains these events of a load.
    pub async fn has_logged(&self, load_id: &str, events: &[&str]) -> Result<()> {
        let is_of = |line: &Value, event: &str| line["event"] == event && line["load_id"] == load_id;
        let has_all = |lines: &[Value]| events.iter().all(|event| lines.iter().any(|line| is_of(line, event)));
        self.logged_until(0, &format!("{events:?} of load {load_id}"), has_all).await.map(drop)
    }

    /// Starts a sweep at once. Errors are ignored, because the next sweep repeats the work.
    pub async fn sweep(&self) {
        let _ = self.invoke(Function::NextLoader, &json!({"sweep": true})).await;
    }

    /// Lets a bucket notify a queue of new objects below a prefix.
    pub async fn notify(&self, bucket: &str, prefix: &str, queue: &str) -> Result<()> {
        let info = self.stack.info();
        let filter = (!prefix.is_empty()).then(|| {
            let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
            let key = S3KeyFilter::builder().filter_rules(rule).build();
            NotificationConfigurationFilter::builder().key(key).build()
        });
        let to_queue = QueueConfiguration::builder()
            .queue_arn(format!("arn:aws:sqs:{}:{}:{queue}", info.region, info.account))
            .events(Event::from("s3:ObjectCreated:*"))
            .set_filter(filter)
            .build()?;
        let notification = NotificationConfiguration::builder().queue_configurations(to_queue).build();
        let put = self.s3.put_bucket_notification_configuration().bucket(bucket);
        put.notification_configuration(notification).send().await?;
        Ok(())
    }

    /// Changes settings of the Data API stand-in.
    pub async fn standin(&self, settings: &Value) -> Result<()> {
        self.stack.data_api().change(settings).await
    }

    /// All statements that the stand-in remembers.
    pub async fn statements(&self) -> Result<Vec<Statement>> {
        self.stack.data_api().statements().await
    }
}

/// Folder of this test binary's stack.
pub fn folder() -> Result<PathBuf> {
    Ok(clone_root()?.join(".local/acceptance").join(std::process::id().to_string()))
}

/// The clone's folder.
pub fn clone_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.ancestors().nth(2).context("no clone around this crate")?.to_path_buf())
}

fn assets_bucket() -> Parameter {
    Parameter::builder().parameter_key("assetsBucket").parameter_value(ASSETS).build()
}
