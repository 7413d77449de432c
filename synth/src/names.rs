//! Names that the template gives and its users rely on: parameters, outputs, logical ids, and physical names made from the stack's name.
//!
//! A name here is a promise. Users have parameters and outputs in their scripts; a changed logical id replaces the resource.

use loader_core::contract::{self, Function};

/// A parameter of the template. All have a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// First part of every statement name, and of the filter of the rule that listens to statements.
    StatementNamePrefix,
    /// Bucket of the functions' zips; empty: [`assets_bucket_name`].
    AssetsBucket,
    /// Key of a function's zip in the assets bucket; default [`zip_key`].
    CodeKey(Function),
    /// Before the name of every queue of a table, and of its dead-letter queue.
    QueueNamePrefix,
    /// SNS topic that receives the alarms; empty: none.
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

    /// As it is written in the template and on the command line.
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

/// An output of the deployed stack. Beside these there is one per queue ([`queue_url_output`]), unless there are more than a stack has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Bucket of the configurations and manifests.
    LoaderBucketName,
    /// The tracker table.
    TrackerTableName,
    /// The role of the functions.
    LoaderRoleArn,
    /// Physical name of a function.
    FunctionName(Function),
    /// ARN of a function.
    FunctionArn(Function),
    /// Queue of the invocations and events that were given up.
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

    /// As `CloudFormation` returns it (`DescribeStacks`, `OutputKey`).
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

/// The output with the name of the pipe of the table events, where they are on. By it a deployment knows that they are.
pub const EVENTS_OUTPUT: &str = "EventsPipeName";

/// The output with the URL of a table's queue, from the queue's logical id.
pub fn queue_url_output(logical_id: &str) -> String {
    format!("{logical_id}Url")
}

/// The output with the URL of the dead-letter queue that queues share, where they do: [`crate::limits::QUEUES_APART_MAX`].
pub const SHARED_DEAD_LETTERS_OUTPUT: &str = "SharedDeadLettersUrl";
/// Logical id of that queue. No queue's name gives this id: theirs end in `Queue`, `Dlq` or `Mapping`.
pub const SHARED_DEAD_LETTERS: &str = "SharedDeadLetters";

/// Logical id of a resource that every loader has once, whatever its queues. Ids of alarms, policies and log groups are made from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalId {
    /// Table of the waiting and running loads.
    Tracker,
    /// Bucket of the configurations and manifests.
    LoaderBucket,
    /// The one role of the three functions.
    LoaderRole,
    /// A function.
    Function(Function),
    /// Queue of the invocations and events that were given up.
    DeadLetters,
    /// Rule: a statement ended.
    StatementEnded,
    /// Rule: every minute.
    Sweep,
    /// The dashboard.
    Dashboard,
    /// The pipe of the table events; its role is named after it. Only where they are on.
    Events,
    /// Group of the schedules; its role is named after it. Only where a queue has schedules.
    Schedules,
}

impl LogicalId {
    /// As it is written in the template.
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

/// Bucket of the functions' zips where none is given.
pub fn assets_bucket_name(account: &str, region: &str) -> String {
    format!("rs-loader-assets-{account}-{region}")
}

/// Key of a function's zip where none is given: the zip of the last deployment.
pub fn zip_key(function: Function) -> String {
    format!("{}.zip", function.package())
}
