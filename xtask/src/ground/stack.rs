//! A CloudFormation stack: its description, and following an operation on it to its end, with the cause if it fails.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{StackEvent, StackStatus};
use synth::names::{Output, Parameter, SHARED_DEAD_LETTERS_OUTPUT};

use crate::ground::aws::{Aws, Cause, Place, code, failed};
use crate::ground::output::{Failure, Step};

const POLL_SECONDS_MAX: u64 = 3600;
const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// A stack as CloudFormation describes it.
#[derive(Clone, Debug)]
pub struct Stack {
    pub name: String,
    pub id: String,
    pub status: StackStatus,
    pub outputs: BTreeMap<String, String>,
    pub parameters: BTreeMap<String, String>,
    /// When it was last deployed, in epoch milliseconds.
    pub changed_millis: i64,
}

impl Stack {
    /// The stack; `None` if it does not exist.
    pub async fn find(aws: &Aws, name: &str) -> Result<Option<Self>> {
        let described = match aws.cloudformation().describe_stacks().stack_name(name).send().await {
            Ok(described) => described,
            Err(error) if Cause(&error).to_string().contains("does not exist") => return Ok(None),
            Err(error) => return Err(failed(format!("read the stack `{name}`"))(error)),
        };
        let Some(stack) = described.stacks().first() else { return Ok(None) };
        let pair =
            |key: Option<&str>, value: Option<&str>| Some((key?.to_owned(), value.unwrap_or_default().to_owned()));
        let changed = stack.last_updated_time().or(stack.creation_time());
        Ok(Some(Self {
            changed_millis: changed.and_then(|at| at.to_millis().ok()).unwrap_or(0),
            name: name.to_owned(),
            id: stack.stack_id().context("the stack has no id")?.to_owned(),
            status: stack.stack_status().context("the stack has no status")?.clone(),
            outputs: stack.outputs().iter().filter_map(|o| pair(o.output_key(), o.output_value())).collect(),
            parameters: stack
                .parameters()
                .iter()
                .filter_map(|p| pair(p.parameter_key(), p.parameter_value()))
                .collect(),
        }))
    }

    /// The stack; an error if it does not exist.
    pub async fn get(aws: &Aws, name: &str) -> Result<Self> {
        Self::find(aws, name).await?.ok_or_else(|| {
            let local = if aws.local.is_some() { " --local" } else { "" };
            let message = format!("there is no stack `{name}` in {}", aws.region);
            Failure::new(message, format!("cargo xtask deploy --statement-name-prefix <database>{local}")).into()
        })
    }

    /// An output; an error if it does not exist.
    pub fn output(&self, output: Output) -> Result<&str> {
        let name = output.name();
        self.outputs.get(name).map(String::as_str).with_context(|| format!("the stack has no output `{name}`"))
    }

    /// A parameter; `None` if the template had none of this name.
    pub fn parameter(&self, parameter: Parameter) -> Option<&str> {
        self.parameters.get(parameter.name()).map(String::as_str)
    }

    /// URL of the dead-letter queue that its queues share; `None` if each has its own.
    pub fn shared_dead_letters(&self) -> Option<&str> {
        self.outputs.get(SHARED_DEAD_LETTERS_OUTPUT).map(String::as_str)
    }

    pub fn place(&self) -> Result<Place> {
        Place::of_arn(&self.id)
    }

    /// Prefix of its queues' names.
    pub fn queue_name_prefix(&self) -> &str {
        self.parameter(Parameter::QueueNamePrefix).unwrap_or_default()
    }
}

/// How an operation on a stack ended.
#[derive(Debug)]
pub struct Ended {
    pub status: String,
    /// The cause of the failure: the first failed resource, not those that failed because of it.
    pub first_cause: Option<String>,
}

/// Follows the current operation on a stack, with one line per resource.
pub struct Follower<'a> {
    client: Client,
    stack_id: &'a str,
    seen: HashSet<String>,
    first_cause: Option<String>,
    n_done: usize,
    n_total: usize,
}

impl<'a> Follower<'a> {
    /// Must be created before the operation starts, because earlier events are skipped.
    pub async fn new(aws: &Aws, stack_id: &'a str, n_total: usize) -> Result<Self> {
        let client = aws.cloudformation();
        let mut follower = Self { client, stack_id, seen: HashSet::new(), first_cause: None, n_done: 0, n_total };
        follower.new_events().await?;
        Ok(follower)
    }

    /// Waits until the operation ends.
    pub async fn follow(mut self, aws: &Aws, step: &Step) -> Result<Ended> {
        let pause_millis = if aws.local.is_some() { 150 } else { 1_500 };
        for _ in 0..POLL_SECONDS_MAX * 1_000 / pause_millis {
            tokio::time::sleep(Duration::from_millis(pause_millis)).await;
            let status = status(&self.client, self.stack_id).await?;
            for event in self.new_events().await? {
                self.show(&event, step);
            }
            if !status.ends_with("_IN_PROGRESS") {
                return Ok(Ended { status, first_cause: self.first_cause });
            }
        }
        bail!("the operation on the stack did not end within an hour: the CloudFormation console shows its events")
    }

    /// New events, oldest first.
    async fn new_events(&mut self) -> Result<Vec<StackEvent>> {
        let mut events = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.describe_stack_events().stack_name(self.stack_id).set_next_token(token);
            let page = match request.send().await {
                Ok(page) => page,
                Err(error) if Cause(&error).to_string().contains("does not exist") => break,
                Err(error) => return Err(failed("read the stack's events")(error)),
            };
            let n_before = events.len();
            for event in page.stack_events() {
                if self.seen.insert(event.event_id().unwrap_or_default().to_owned()) {
                    events.push(event.clone());
                }
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() || events.len() == n_before {
                break;
            }
        }
        events.reverse();
        Ok(events)
    }

    fn show(&mut self, event: &StackEvent, step: &Step) {
        let status = event.resource_status().map_or("", |status| status.as_str());
        let (id, kind) = (event.logical_resource_id().unwrap_or_default(), event.resource_type().unwrap_or_default());
        if let Some(cause) = cause(event) {
            step.line(&format!("   {status}  {cause}"));
            self.first_cause.get_or_insert(cause);
        } else if status.ends_with("_COMPLETE") && kind != STACK_TYPE {
            self.n_done += 1;
            // Some resources are updated although the change set did not name them.
            let total = if self.n_done <= self.n_total { format!("/{}", self.n_total) } else { String::new() };
            step.line(&format!("   [{:>3}{total}]  {status:<16}  {id}  {kind}", self.n_done));
        } else {
            step.now(&format!("{status} {id}"));
        }
    }
}

/// Why a resource failed; `None` if it was only cancelled because another one failed.
fn cause(event: &StackEvent) -> Option<String> {
    let failed = event.resource_status().is_some_and(|status| status.as_str().ends_with("_FAILED"));
    let (id, kind) = (event.logical_resource_id().unwrap_or_default(), event.resource_type().unwrap_or_default());
    let reason = event.resource_status_reason().unwrap_or_default();
    (failed && !reason.contains("ancelled") && kind != STACK_TYPE).then(|| format!("{id} ({kind}): {reason}"))
}

async fn status(client: &Client, stack_id: &str) -> Result<String> {
    match client.describe_stacks().stack_name(stack_id).send().await {
        Ok(described) => {
            let status = described.stacks().first().and_then(|stack| stack.stack_status());
            Ok(status.map_or_else(|| "DELETE_COMPLETE".to_owned(), |status| status.as_str().to_owned()))
        }
        Err(error) if Cause(&error).to_string().contains("does not exist") => Ok("DELETE_COMPLETE".to_owned()),
        // The next poll asks again.
        Err(error) if code(&error) == "Throttling" => Ok("THROTTLED_IN_PROGRESS".to_owned()),
        Err(error) => Err(failed("read the stack")(error)),
    }
}

/// Deletes a stack and waits until it is gone.
pub async fn delete(aws: &Aws, stack: &Stack, step: &Step) -> Result<()> {
    let follower = Follower::new(aws, &stack.id, 0).await?;
    let request = aws.cloudformation().delete_stack().stack_name(&stack.id);
    request.send().await.map_err(failed(format!("delete the stack `{}`", stack.name)))?;
    let ended = follower.follow(aws, step).await?;
    if ended.status != "DELETE_COMPLETE" {
        let cause = ended.first_cause.unwrap_or_else(|| "no reason given".to_owned());
        bail!("the stack `{}` ended in {}: {cause}", stack.name, ended.status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_is_neither_a_cancelled_resource_nor_the_stack() {
        let event = |id: &str, kind: &str, status: &str, reason: &str| {
            let event = StackEvent::builder().logical_resource_id(id).resource_type(kind);
            event.resource_status(status.into()).resource_status_reason(reason).build()
        };
        let events = [
            event("Bucket", "AWS::S3::Bucket", "CREATE_IN_PROGRESS", ""),
            event("Queue", "AWS::SQS::Queue", "CREATE_FAILED", "Resource creation cancelled"),
            event("stack", STACK_TYPE, "CREATE_FAILED", "The following resource(s) failed to create: [Table, Queue]."),
            event("Table", "AWS::DynamoDB::Table", "CREATE_FAILED", "a table of this name exists"),
            event("Bucket", "AWS::S3::Bucket", "DELETE_FAILED", "the bucket is not empty"),
        ];
        let first = events.iter().find_map(cause);
        assert_eq!(first.as_deref(), Some("Table (AWS::DynamoDB::Table): a table of this name exists"));
    }
}
