//! The template, deployed as on AWS: zips in a bucket, CloudFormation, then configuration files and notifications.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use aws_sdk_cloudformation::types::{Capability, Parameter, Stack};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use loader_core::contract::{self, Function};
use serde_json::{Value, json};
use synth::{LoaderProps, QueueSource};

use crate::clients::Clients;
use crate::spec::{SOURCE_BUCKET, Spec};
use crate::{wait, zips};

/// Bucket of the zips.
const ASSETS_BUCKET: &str = "end-to-end-assets";

/// How a deployment of a test differs from the template.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// Name of the stack, prefix of its queues and of its statements.
    pub name: String,
    /// Environment variables of the functions beside the template's.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Changes the template before it is deployed.
    pub change: fn(&mut Value),
}

impl Tuning {
    /// Every waiting period of the functions as short as it can be set.
    pub fn quick(name: &str) -> Self {
        let environment = vec![
            (contract::CLAIM_PATIENCE_SECONDS, "1"),
            (contract::STATUS_POLL_SECONDS, "1"),
            (contract::BACKOFF_BASE_SECONDS, "1"),
            (contract::BACKOFF_CAP_SECONDS, "4"),
            (contract::CONFIG_CACHE_SECONDS, "1"),
        ];
        Self { name: name.to_owned(), environment, change: |_| {} }
    }
}

/// A deployed stack.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Name of the stack, prefix of its statements.
    pub name: String,
    /// Stands before the name of each queue.
    pub queue_prefix: String,
    outputs: BTreeMap<String, String>,
}

impl Deployment {
    /// An output of the stack.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output `{name}`: {:?}", self.outputs.keys()))
    }

    /// Name of the tracker table.
    pub fn tracker(&self) -> &str {
        self.output("TrackerTableName")
    }

    /// Name of the loader's bucket.
    pub fn bucket(&self) -> &str {
        self.output("LoaderBucketName")
    }

    /// Deployed name of a function.
    pub fn function(&self, function: Function) -> String {
        format!("{}-{}", self.name, function.name())
    }

    /// Writes the configuration file of a queue.
    pub async fn configure(&self, clients: &Clients, queue: &str, config: &Value) -> Result<()> {
        let key = format!("{}{}{queue}.json", contract::CONFIG_PREFIX_DEFAULT, self.queue_prefix);
        let body = ByteStream::from(config.to_string().into_bytes());
        clients.s3.put_object().bucket(self.bucket()).key(key).body(body).send().await.context("configure")?;
        Ok(())
    }
}

/// Uploads the zips and creates the source bucket: once per stack.
pub async fn prepare(clients: &Clients) -> Result<()> {
    clients.s3.create_bucket().bucket(ASSETS_BUCKET).send().await.context("create the assets bucket")?;
    clients.s3.create_bucket().bucket(SOURCE_BUCKET).send().await.context("create the source bucket")?;
    for function in Function::ALL {
        let body = ByteStream::from_path(zips::zip_of(function)?).await?;
        let key = format!("{}.zip", function.package());
        let put = clients.s3.put_object().bucket(ASSETS_BUCKET).key(key).body(body);
        put.customize().disable_payload_signing().send().await.context("upload a zip")?;
    }
    Ok(())
}

/// Deploys a stack for the queues of `specs`, and writes their configuration files.
pub async fn deploy(clients: &Clients, tuning: &Tuning, specs: &[Spec]) -> Result<Deployment> {
    let queue_prefix = format!("{}-", tuning.name);
    let key = format!("{}.template.json", tuning.name);
    let text = ByteStream::from(template(tuning, specs)?.to_string().into_bytes());
    clients.s3.put_object().bucket(ASSETS_BUCKET).key(&key).body(text).send().await.context("upload the template")?;
    let request = clients
        .cloudformation
        .create_stack()
        .stack_name(&tuning.name)
        .template_url(format!("{}/{ASSETS_BUCKET}/{key}", clients.endpoint))
        .capabilities(Capability::CapabilityIam)
        .capabilities(Capability::CapabilityNamedIam)
        .parameters(parameter(contract::PARAMETER_STATEMENT_NAME_PREFIX, &tuning.name))
        .parameters(parameter("assetsBucket", ASSETS_BUCKET))
        .parameters(parameter("queueNamePrefix", &queue_prefix));
    request.send().await.with_context(|| format!("create the stack `{}`", tuning.name))?;
    let outputs = outputs(clients, &tuning.name).await?;
    let deployment = Deployment { name: tuning.name.clone(), queue_prefix, outputs };
    for spec in specs.iter().filter(|spec| spec.is_configured) {
        deployment.configure(clients, &spec.name, &spec.config).await?;
    }
    Ok(deployment)
}

/// The synthesized template with the test's changes.
fn template(tuning: &Tuning, specs: &[Spec]) -> Result<Value> {
    let queues = specs.iter().map(|spec| QueueSource { name: spec.name.clone(), config: spec.parsed() }).collect();
    let template = synth::loader_template(&LoaderProps { queues, ..LoaderProps::default() });
    let mut template = template.map_err(|problems| anyhow::anyhow!("{problems}"))?.as_value().clone();
    for function in Function::ALL {
        let variables = &mut template["Resources"][function.name()]["Properties"]["Environment"]["Variables"];
        for (name, value) in &tuning.environment {
            variables[*name] = json!(value);
        }
    }
    for spec in specs {
        let Some(seconds) = spec.visibility_seconds else { continue };
        let name = json!({"Fn::Sub": format!("${{queueNamePrefix}}{}", spec.name)});
        let resources = template["Resources"].as_object_mut().context("no resources")?;
        let queue = resources.values_mut().find(|resource| resource["Properties"]["QueueName"] == name);
        queue.context("the template has no such queue")?["Properties"]["VisibilityTimeout"] = json!(seconds);
    }
    (tuning.change)(&mut template);
    Ok(template)
}

fn parameter(name: &str, value: &str) -> Parameter {
    Parameter::builder().parameter_key(name).parameter_value(value).build()
}

async fn outputs(clients: &Clients, name: &str) -> Result<BTreeMap<String, String>> {
    let describe = clients.cloudformation.describe_stacks().stack_name(name);
    let ended = wait::until(async || {
        let stacks = describe.clone().send().await.ok()?.stacks?;
        stacks.into_iter().find(|stack| !status(stack).ends_with("IN_PROGRESS"))
    });
    let stack = ended.await.context("CloudFormation does not come to an end")?;
    if status(&stack) != "CREATE_COMPLETE" {
        let events = clients.cloudformation.describe_stack_events().stack_name(name).send().await?;
        let reasons: Vec<_> = events.stack_events().iter().filter_map(|event| event.resource_status_reason()).collect();
        bail!("the stack `{name}` is {}: {}", status(&stack), reasons.join("; "));
    }
    let pair = |output: &aws_sdk_cloudformation::types::Output| {
        Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
    };
    Ok(stack.outputs().iter().filter_map(pair).collect())
}

fn status(stack: &Stack) -> &str {
    stack.stack_status().map_or("", |status| status.as_str())
}

/// One notification per queue, each for its own folder. A bucket has one list of them, whatever the number of stacks.
pub async fn notify(clients: &Clients, queues: impl Iterator<Item = (&Deployment, &Spec)>) -> Result<()> {
    let mut configurations = Vec::new();
    for (deployment, spec) in queues.filter(|(_, spec)| spec.is_notified) {
        let (region, account) = (local_stack::REGION, local_stack::ACCOUNT);
        let prefix = FilterRule::builder().name(FilterRuleName::Prefix).value(format!("{}/", spec.name)).build();
        let filter = S3KeyFilter::builder().filter_rules(prefix).build();
        let configuration = QueueConfiguration::builder()
            .queue_arn(format!("arn:aws:sqs:{region}:{account}:{}{}", deployment.queue_prefix, spec.name))
            .events(Event::from("s3:ObjectCreated:*"))
            .filter(NotificationConfigurationFilter::builder().key(filter).build());
        configurations.push(configuration.build()?);
    }
    let all = NotificationConfiguration::builder().set_queue_configurations(Some(configurations)).build();
    let request = clients.s3.put_bucket_notification_configuration().bucket(SOURCE_BUCKET);
    request.notification_configuration(all).send().await.context("set the notifications")?;
    Ok(())
}
