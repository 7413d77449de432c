//! The template's parameters: all have a default, so that deploying by hand needs none but the ones that one wants to change.

use loader_core::contract::{self, Function};

use crate::l3::table_source::{QUEUE_NAME_CHARACTERS_MAX, dead_letters_name};
use crate::props::LoaderProps;
use crate::scope::Scope;
use crate::tree::Parameter;
use crate::value::Value;

/// Template parameter: bucket of the functions' zips; empty: `rs-loader-assets-<account>-<region>`.
pub const PARAMETER_ASSETS_BUCKET: &str = "assetsBucket";
/// Template parameter: what stands before the name of each queue of the template.
pub const PARAMETER_QUEUE_NAME_PREFIX: &str = "queueNamePrefix";
/// Template parameter: topic that alarms are sent to; empty: none.
pub const PARAMETER_ALARM_TOPIC_ARN: &str = "alarmTopicArn";
/// Characters of a stack's name at most: a function's name is made of it, and Lambda takes 64 (Lambda, `CreateFunction`).
pub const STACK_NAME_CHARACTERS_MAX: usize = 64 - "-MicrobatchLoader".len();

/// Characters of the first part of a statement's name at most.
pub const STATEMENT_NAME_PREFIX_CHARACTERS_MAX: u32 = 128;

/// Template parameter: key of a function's zip in the assets bucket; default `<package>.zip`.
pub const fn parameter_code_key(function: Function) -> &'static str {
    match function {
        Function::MicrobatchLoader => "microbatchLoaderKey",
        Function::NextLoader => "nextLoaderKey",
        Function::BulkLoader => "bulkLoaderKey",
    }
}

/// The parameters' values, as the resources use them.
pub(super) struct Parameters {
    pub(super) assets_bucket: Value,
    /// A list with the topic, or nothing.
    pub(super) alarm_actions: Value,
}

impl Parameters {
    pub(super) fn new(scope: &Scope, props: &LoaderProps) -> Self {
        scope.add_parameter(statement_name_prefix());
        let bucket = scope.add_parameter(assets_bucket());
        for function in Function::ALL {
            scope.add_parameter(code_key(function));
        }
        scope.add_parameter(queue_name_prefix(props));
        let topic = scope.add_parameter(alarm_topic());
        let has_bucket = scope.add_condition_given("HasAssetsBucket", &bucket);
        let has_topic = scope.add_condition_given("HasAlarmTopic", &topic);
        let default_bucket = Value::sub("rs-loader-assets-${AWS::AccountId}-${AWS::Region}");
        Self {
            assets_bucket: Value::when(has_bucket, bucket, default_bucket),
            alarm_actions: Value::when(has_topic, Value::list([topic]), Value::none()),
        }
    }
}

fn parameter(name: &'static str, default: &str, description: &str) -> Parameter {
    Parameter {
        name,
        description: description.to_owned(),
        default: default.to_owned(),
        allowed_pattern: None,
        constraint: None,
        max_length: None,
    }
}

fn statement_name_prefix() -> Parameter {
    Parameter {
        allowed_pattern: Some("[A-Za-z0-9_.$-]+".into()),
        constraint: Some("letters, digits and _ . $ -".into()),
        max_length: Some(STATEMENT_NAME_PREFIX_CHARACTERS_MAX),
        ..parameter(
            contract::PARAMETER_STATEMENT_NAME_PREFIX,
            contract::PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT,
            "First part of the name of every Redshift Data API statement, usually the database's name; the rule StatementEnded listens to it. \
             Two stacks of an account and region need two.",
        )
    }
}

fn assets_bucket() -> Parameter {
    Parameter {
        allowed_pattern: Some("|[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]".into()),
        constraint: Some("a bucket name, or nothing".into()),
        ..parameter(
            PARAMETER_ASSETS_BUCKET,
            "",
            "Bucket of this region that holds the functions' zips; empty: rs-loader-assets-<account>-<region>.",
        )
    }
}

fn code_key(function: Function) -> Parameter {
    let description = format!("Key of the zip of {} in the assets bucket.", function.name());
    parameter(parameter_code_key(function), &format!("{}.zip", function.package()), &description)
}

/// The longest queue of the template decides how long the prefix may be.
fn queue_name_prefix(props: &LoaderProps) -> Parameter {
    let longest = props.queues.iter().map(|queue| queue.name.len()).max().unwrap_or(0);
    let room = QUEUE_NAME_CHARACTERS_MAX.saturating_sub(dead_letters_name("").len() + longest);
    Parameter {
        allowed_pattern: Some("[A-Za-z0-9_-]*".into()),
        constraint: Some("letters, digits, - and _".into()),
        max_length: u32::try_from(room).ok(),
        ..parameter(
            PARAMETER_QUEUE_NAME_PREFIX,
            "",
            "What stands before the name of each queue, where queues of several stacks would have the same name; the queue's \
             configuration file is named after the whole name.",
        )
    }
}

fn alarm_topic() -> Parameter {
    Parameter {
        allowed_pattern: Some("|arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:.+".into()),
        constraint: Some("the ARN of an SNS topic, or nothing".into()),
        ..parameter(PARAMETER_ALARM_TOPIC_ARN, "", "SNS topic that is told when an alarm rings; empty: none.")
    }
}
