//! A Lambda function with a native executable, its logs and its role, and a queue for failed invocations.

use crate::architecture::Architecture;
use crate::l1::{
    CfnEventInvokeConfig, CfnEventInvokeConfigProps, CfnEventSourceMapping, CfnEventSourceMappingProps, CfnFunction,
    CfnFunctionProps, CfnPermission, CfnPermissionProps,
};
use crate::l2::log_group::LogGroup;
use crate::l2::queue::Queue;
use crate::l2::role::Role;
use crate::policy::Statement;
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Memory of a function in MB (Lambda, quotas).
pub const MEMORY_MB: std::ops::RangeInclusive<u32> = 128..=10_240;
/// Batch size of a standard queue (Lambda, `CreateEventSourceMapping`).
pub const BATCH_SIZE: std::ops::RangeInclusive<u32> = 1..=10_000;
/// Concurrent invocations for one queue (Lambda, `ScalingConfig`). A limit of one is not possible.
pub const MAXIMUM_CONCURRENCY: std::ops::RangeInclusive<u32> = 2..=1000;
/// Age in seconds up to which an asynchronous invocation is retried (Lambda, `PutFunctionEventInvokeConfig`).
pub const EVENT_AGE_SECONDS: std::ops::RangeInclusive<u32> = 60..=21_600;

/// Code, size and environment of a function.
pub struct FunctionProps<'a> {
    /// Physical name, at most 64 characters (Lambda, `CreateFunction`).
    pub name: Value,
    /// What the function does, in one line of at most 256 characters (Lambda, `CreateFunction`).
    pub description: &'a str,
    /// Bucket and key of the zip with its `bootstrap`.
    pub code: (Value, Value),
    /// Processor architecture that the zip's executable is built for.
    pub architecture: Architecture,
    /// Memory in MB, 128 to 10,240. Processor time is proportional to it; 1,769 MB have one whole processor.
    pub memory_mb: u32,
    /// Seconds after which Lambda ends an invocation, 1 to 900 (Lambda, quotas).
    pub timeout_seconds: u32,
    /// Environment variables, at most 4 KB of names and values (Lambda, quotas).
    pub environment: Vec<(&'static str, Value)>,
    /// Execution role. The function adds the permission to write its logs.
    pub role: &'a Role,
    /// Log group that the function writes to, as JSON.
    pub log_group: &'a LogGroup,
}

/// How asynchronous invocations are retried.
pub struct AsyncProps<'a> {
    /// Retries of a failed invocation, 0 to 2 (Lambda, `PutFunctionEventInvokeConfig`).
    pub retries: u32,
    /// Age in seconds after which an invocation is discarded, 60 to 21,600.
    pub age_seconds_max: u32,
    /// Queue for discarded invocations.
    pub on_failure: &'a Queue,
}

/// A function of the stack.
#[derive(Clone)]
pub struct Function {
    resource: Resource,
    role: Role,
}

impl Function {
    /// Adds a function on `provided.al2023` that may write its own logs.
    pub fn new(scope: &Scope, props: FunctionProps<'_>) -> Self {
        if !MEMORY_MB.contains(&props.memory_mb) {
            let (least, most) = (MEMORY_MB.start(), MEMORY_MB.end());
            scope.problem(format!("memory `{}` MB: Lambda takes {least} to {most}", props.memory_mb));
        }
        props.log_group.grant_write(props.role);
        let logging = Value::map([("LogFormat", "JSON".into()), ("LogGroup", props.log_group.name())]);
        let resource = CfnFunction::new(
            scope,
            CfnFunctionProps {
                FunctionName: Some(props.name),
                Description: Some(props.description.into()),
                Runtime: Some("provided.al2023".into()),
                Architectures: Some(Value::list([props.architecture.to_string()])),
                Handler: Some("bootstrap".into()),
                Code: Some(Value::map([("S3Bucket", props.code.0), ("S3Key", props.code.1)])),
                Role: Some(props.role.arn()),
                MemorySize: Some(props.memory_mb.into()),
                Timeout: Some(props.timeout_seconds.into()),
                LoggingConfig: Some(logging),
                Environment: Some(Value::map([("Variables", Value::map(props.environment))])),
            },
        );
        Self { resource, role: props.role.clone() }
    }

    /// Sets how asynchronous invocations are retried, and lets the role send discarded ones to the queue.
    pub fn configure_async(&self, props: &AsyncProps<'_>) {
        let scope = self.resource.scope().child("Async");
        if props.retries > 2 || !EVENT_AGE_SECONDS.contains(&props.age_seconds_max) {
            scope.problem(format!(
                "`{}` retries within `{}` s: Lambda takes 0 to 2 within {} to {} s",
                props.retries,
                props.age_seconds_max,
                EVENT_AGE_SECONDS.start(),
                EVENT_AGE_SECONDS.end()
            ));
        }
        props.on_failure.grant_send_messages(&self.role);
        let destination = Value::map([("OnFailure", Value::map([("Destination", props.on_failure.arn())]))]);
        CfnEventInvokeConfig::new(
            &scope,
            CfnEventInvokeConfigProps {
                FunctionName: Some(self.name()),
                Qualifier: Some("$LATEST".into()),
                MaximumRetryAttempts: Some(props.retries.into()),
                MaximumEventAgeInSeconds: Some(props.age_seconds_max.into()),
                DestinationConfig: Some(destination),
            },
        );
    }

    /// Invokes the function with message batches of a queue, and lets its role consume them. If some messages of a batch fail, only those are
    /// received again.
    pub fn add_event_source(&self, scope: &Scope, queue: &Queue, props: &BatchProps) {
        props.check(scope);
        queue.grant_consume_messages(&self.role);
        CfnEventSourceMapping::new(
            scope,
            CfnEventSourceMappingProps {
                FunctionName: Some(self.name()),
                EventSourceArn: Some(queue.arn()),
                BatchSize: Some(props.batch_size.into()),
                MaximumBatchingWindowInSeconds: Some(props.window_seconds.into()),
                ScalingConfig: Some(Value::map([("MaximumConcurrency", props.maximum_concurrency)])),
                FunctionResponseTypes: Some(Value::list(["ReportBatchItemFailures"])),
            },
        );
    }

    /// Lets a service invoke the function on behalf of `source` only.
    pub fn grant_invoke(&self, scope: &Scope, service: &str, source: Value) {
        CfnPermission::new(
            scope,
            CfnPermissionProps {
                Action: Some("lambda:InvokeFunction".into()),
                FunctionName: Some(self.name()),
                Principal: Some(service.into()),
                SourceArn: Some(source),
            },
        );
    }

    /// Lets a role invoke the function.
    pub fn grant_invoke_by(&self, role: &Role) {
        role.permit(Statement::allow(&["lambda:InvokeFunction"], [self.arn()]));
    }

    /// ARN without a version, so it always refers to the newest code.
    pub fn arn(&self) -> Value {
        self.resource.arn()
    }

    /// Physical name, which Lambda's API accepts in place of the ARN.
    pub fn name(&self) -> Value {
        self.resource.reference()
    }
}

/// Size of message batches, and how long Lambda waits to fill one (Lambda, `CreateEventSourceMapping`).
#[derive(Clone, Copy, Debug)]
pub struct BatchProps {
    /// Maximum messages in a batch, 1 to 10,000.
    pub batch_size: u32,
    /// Maximum seconds to wait for a batch to fill, 0 to 300; a batch size above 10 needs at least 1.
    pub window_seconds: u32,
    /// Maximum concurrent invocations, 2 to 1,000.
    pub maximum_concurrency: u32,
}

impl BatchProps {
    fn check(self, scope: &Scope) {
        if !BATCH_SIZE.contains(&self.batch_size) || self.window_seconds > 300 {
            scope.problem(format!(
                "batches of `{}` within `{}` s: Lambda takes 1 to 10000 within 0 to 300 s",
                self.batch_size, self.window_seconds
            ));
        }
        if self.batch_size > 10 && self.window_seconds == 0 {
            scope.problem(format!("batches of `{}` need a window: give at least 1 s", self.batch_size));
        }
        if !MAXIMUM_CONCURRENCY.contains(&self.maximum_concurrency) {
            scope.problem(format!("maximum concurrency `{}`: Lambda takes 2 to 1000", self.maximum_concurrency));
        }
    }
}
