//! Names in the template that users rely on: parameters, outputs, logical IDs, and physical names that contain the stack's name.
//!
//! These names must not change: users have parameters and outputs in their scripts, and a changed logical ID replaces the resource.

use loader_core::contract::{self, Function};

/// A parameter of the template. Each has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// First part of every statement name; the rule for ended statements filters on it.
    StatementNamePrefix,
    /// Bucket of the functions' zips; if empty, [`assets_bucket_name`].
    AssetsBucket,
    /// Key of a function's zip in the assets bucket; default [`zip_key`].
    CodeKey(Function),
    /// Prefix of the name of every table's queue and dead-letter queue.
    QueueNamePrefix,
    /// SNS topic that the alarms notify; if empty, none.
    AlarmTopicArn,
}

impl Parameter {
    /// In the order of the template.
    pub const ALL: [Self; 7] = [
        Self::StatementNamePrefix,
        Self::AssetsBucket,
        Self::CodeKey(Function::MicrobatchLoader),
        Self::CodeKey(Function::NextLoader),
        Self::CodeKey(Function::BulkLoader),
        Self::QueueNamePrefix,
        Self::AlarmTopicArn,
    ];

    /// The parameter's name in the template and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StatementNamePrefix => contract::PARAMETER_STATEMENT_NAME_PREFIX,
            Self::AssetsBucket => "assetsBucket",
            Self::CodeKey(Function::MicrobatchLoader) => "microbatchLoaderKey",
            Self::CodeKey(Function::NextLoader) => "nextLoaderKey",
            Self::CodeKey(Function::BulkLoader) => "bulkLoaderKey",
            Self::QueueNamePrefix => "queueNamePrefix",
            Self::AlarmTopicArn => "alarmTopicArn",
        }
    }
}

/// An output of the deployed stack. In addition there is one for each queue ([`queue_url_output`]), unless they exceed the number of outputs
/// that a stack can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Bucket of the configurations and manifests.
    LoaderBucketName,
    /// Name of the tracker table.
    TrackerTableName,
    /// ARN of the functions' execution role.
    LoaderRoleArn,
    /// Physical name of a function.
    FunctionName(Function),
    /// ARN of a function.
    FunctionArn(Function),
    /// URL of the dead-letter queue for invocations and events.
    DeadLettersUrl,
}

impl Output {
    /// In the order of the template.
    pub const ALL: [Self; 10] = [
        Self::LoaderBucketName,
        Self::TrackerTableName,
        Self::LoaderRoleArn,
        Self::FunctionName(Function::MicrobatchLoader),
        Self::FunctionArn(Function::MicrobatchLoader),
        Self::FunctionName(Function::NextLoader),
        Self::FunctionArn(Function::NextLoader),
        Self::FunctionName(Function::BulkLoader),
        Self::FunctionArn(Function::BulkLoader),
        Self::DeadLettersUrl,
    ];

    /// The output's name, as `CloudFormation` returns it (`DescribeStacks`, `OutputKey`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoaderBucketName => "LoaderBucketName",
            Self::TrackerTableName => "TrackerTableName",
            Self::LoaderRoleArn => "LoaderRoleArn",
            Self::FunctionName(Function::MicrobatchLoader) => "MicrobatchLoaderName",
            Self::FunctionName(Function::NextLoader) => "NextLoaderName",
            Self::FunctionName(Function::BulkLoader) => "BulkLoaderName",
            Self::FunctionArn(Function::MicrobatchLoader) => "MicrobatchLoaderArn",
            Self::FunctionArn(Function::NextLoader) => "NextLoaderArn",
            Self::FunctionArn(Function::BulkLoader) => "BulkLoaderArn",
            Self::DeadLettersUrl => "DeadLettersUrl",
        }
    }
}

/// The output with the name of the table events' pipe. It exists only if table events are on, which is how a deployment knows that they are.
pub const EVENTS_OUTPUT: &str = "EventsPipeName";

/// Name of the output with the URL of a table's queue, from the queue's logical ID.
pub fn queue_url_output(logical_id: &str) -> String {
    format!("{logical_id}Url")
}

/// The output with the URL of the shared dead-letter queue; see [`crate::limits::QUEUES_APART_MAX`] for when there is one.
pub const SHARED_DEAD_LETTERS_OUTPUT: &str = "SharedDeadLettersUrl";
/// Logical ID of the shared dead-letter queue. No queue's name can produce it: their logical IDs end in `Queue`, `Dlq` or `Mapping`.
pub const SHARED_DEAD_LETTERS: &str = "SharedDeadLetters";

/// Logical ID of a resource that a loader has only once, whatever its queues. The IDs of alarms, policies and log groups are derived from
/// these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalId {
    /// The tracker table.
    Tracker,
    /// Bucket of the configurations and manifests.
    LoaderBucket,
    /// The execution role of the three functions.
    LoaderRole,
    /// A function.
    Function(Function),
    /// The dead-letter queue for invocations and events.
    DeadLetters,
    /// The rule that matches ended statements.
    StatementEnded,
    /// The rule that starts the sweep every minute.
    Sweep,
    /// The dashboard.
    Dashboard,
    /// The table events' pipe, if they are on; its role is named after it.
    Events,
    /// The group of the schedules, if a queue has any; its role is named after it.
    Schedules,
}

impl LogicalId {
    /// The logical ID in the template.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracker => "Tracker",
            Self::LoaderBucket => "LoaderBucket",
            Self::LoaderRole => "LoaderRole",
            Self::Function(function) => function.name(),
            Self::DeadLetters => "DeadLetters",
            Self::StatementEnded => "StatementEnded",
            Self::Sweep => "Sweep",
            Self::Dashboard => "Dashboard",
            Self::Events => "Events",
            Self::Schedules => "Schedules",
        }
    }
}

/// Physical name of a function of the stack `stack`.
pub fn function_name(stack: &str, function: Function) -> String {
    format!("{stack}-{}", function.name())
}

/// The log group of a function of the stack `stack`.
pub fn log_group_name(stack: &str, function: Function) -> String {
    format!("/aws/lambda/{}", function_name(stack, function))
}

/// Default bucket of the functions' zips.
pub fn assets_bucket_name(account: &str, region: &str) -> String {
    format!("rs-loader-assets-{account}-{region}")
}

/// Default key of a function's zip: the zip of the last deployment.
pub fn zip_key(function: Function) -> String {
    format!("{}.zip", function.package())
}
