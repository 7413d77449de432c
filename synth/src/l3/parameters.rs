//! The template's parameters. All have defaults, so that a deployment by hand needs to set only what it changes.

use loader_core::contract::{Function, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT};

use crate::limits::STATEMENT_NAME_PREFIX_CHARACTERS_MAX;
use crate::names::{Parameter, assets_bucket_name, zip_key};
use crate::props::LoaderProps;
use crate::queue_name::prefix_characters_max;
use crate::scope::Scope;
use crate::tree::ParameterProps;
use crate::value::Value;

/// Values derived from the parameters, for the resources.
pub(super) struct Parameters {
    pub(super) assets_bucket: Value,
    /// A list with the topic, or no value.
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
        let default_bucket = Value::sub(assets_bucket_name("${AWS::AccountId}", "${AWS::Region}"));
        Self {
            assets_bucket: Value::when(has_bucket, bucket, default_bucket),
            alarm_actions: Value::when(has_topic, Value::list([topic]), Value::none()),
        }
    }
}

fn parameter(parameter: Parameter, default: &str, description: &str) -> ParameterProps {
    ParameterProps {
        name: parameter.name(),
        description: description.to_owned(),
        default: default.to_owned(),
        allowed_pattern: None,
        constraint: None,
        max_length: None,
    }
}

fn statement_name_prefix() -> ParameterProps {
    ParameterProps {
        allowed_pattern: Some("[A-Za-z0-9_.$-]+".into()),
        constraint: Some("letters, digits and _ . $ -".into()),
        max_length: Some(STATEMENT_NAME_PREFIX_CHARACTERS_MAX),
        ..parameter(
            Parameter::StatementNamePrefix,
            PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT,
            "First part of the name of every Redshift Data API statement, usually the database's name; the rule StatementEnded filters on it. \
             Stacks in the same account and region must not share it.",
        )
    }
}

fn assets_bucket() -> ParameterProps {
    let default = assets_bucket_name("<account>", "<region>");
    ParameterProps {
        allowed_pattern: Some("|[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]".into()),
        constraint: Some("a bucket name, or nothing".into()),
        ..parameter(
            Parameter::AssetsBucket,
            "",
            &format!("Bucket of this region that holds the functions' zips; empty: {default}."),
        )
    }
}

fn code_key(function: Function) -> ParameterProps {
    let description = format!("Key of the zip of {} in the assets bucket.", function.name());
    parameter(Parameter::CodeKey(function), &zip_key(function), &description)
}

/// The longest name of a queue determines how long the prefix may be.
fn queue_name_prefix(props: &LoaderProps) -> ParameterProps {
    let longest = props.queues.iter().map(|queue| queue.name.as_str()).max_by_key(|name| name.len()).unwrap_or("");
    ParameterProps {
        allowed_pattern: Some("[A-Za-z0-9_-]*".into()),
        constraint: Some("letters, digits, - and _".into()),
        max_length: Some(prefix_characters_max(longest)),
        ..parameter(
            Parameter::QueueNamePrefix,
            "",
            "Put before the name of each queue, so that several stacks can have queues of the same name; a queue's \
             configuration file has the full name.",
        )
    }
}

fn alarm_topic() -> ParameterProps {
    ParameterProps {
        allowed_pattern: Some("|arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:.+".into()),
        constraint: Some("the ARN of an SNS topic, or nothing".into()),
        ..parameter(Parameter::AlarmTopicArn, "", "SNS topic that the alarms notify; empty: none.")
    }
}
