//! An `EventBridge` pipe from the stream of a table to the account's default event bus. What it cannot deliver for a day goes to a queue.

use crate::l1::{CfnPipe, CfnPipeProps};
use crate::l2::queue::Queue;
use crate::l2::role::Role;
use crate::l2::table::Table;
use crate::policy::Statement;
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Patterns of a pipe's filter (`EventBridge`, quotas: "Filters per pipe"), any of which lets a record pass.
const PATTERNS_MAX: usize = 5;
/// Characters of an input template (`EventBridge` Pipes API, `PipeTargetParameters`).
const TEMPLATE_CHARACTERS_MAX: usize = 8_192;
/// Records read at once: as many as one request to an event bus takes (`EventBridge` API, `PutEvents`).
const BATCH_SIZE: u32 = 10;

/// What a pipe passes on, and as what.
pub struct PipeProps<'a> {
    /// What it is for, in one line of at most 512 characters.
    pub description: &'a str,
    /// The table, which has a stream.
    pub table: &'a Table,
    /// Event patterns; a record that matches one of them passes. At most five.
    pub patterns: Vec<serde_json::Value>,
    /// Text that becomes the event's detail; variables are paths into the record, `<$.dynamodb.Keys.id.S>`.
    pub template: String,
    /// `source` of the events.
    pub source: &'static str,
    /// `detail-type` of the events.
    pub detail_type: &'static str,
    /// Queue of what is given up.
    pub dead_letters: &'a Queue,
}

/// A pipe of the stack.
pub struct Pipe {
    resource: Resource,
}

impl Pipe {
    /// A pipe with a role that may read the stream, put events on the default bus and write to the queue. Pipes assumes it for pipes of
    /// this account only: the pipe's own name is not known before its role.
    pub fn new(scope: &Scope, props: PipeProps<'_>) -> Self {
        if props.patterns.len() > PATTERNS_MAX || props.template.len() > TEMPLATE_CHARACTERS_MAX {
            scope.problem(format!(
                "`{}` patterns and a template of `{}` characters: a pipe takes {PATTERNS_MAX} and {TEMPLATE_CHARACTERS_MAX}",
                props.patterns.len(),
                props.template.len()
            ));
        }
        let role = role(scope, &props);
        let patterns = props.patterns.iter().map(|pattern| Value::map([("Pattern", Value::from(pattern.to_string()))]));
        let stream = Value::map([
            // What was committed while the pipe is made passes too.
            ("StartingPosition", "TRIM_HORIZON".into()),
            ("BatchSize", BATCH_SIZE.into()),
            ("OnPartialBatchItemFailure", "AUTOMATIC_BISECT".into()),
            ("DeadLetterConfig", Value::map([("Arn", props.dead_letters.arn())])),
        ]);
        let source = Value::map([
            ("DynamoDBStreamParameters", stream),
            ("FilterCriteria", Value::map([("Filters", Value::list(patterns))])),
        ]);
        let event = Value::map([("Source", props.source), ("DetailType", props.detail_type)]);
        let target = Value::map([("EventBridgeEventBusParameters", event), ("InputTemplate", props.template.into())]);
        let resource = CfnPipe::new(
            scope,
            CfnPipeProps {
                Description: Some(props.description.into()),
                RoleArn: Some(role.arn()),
                Source: Some(props.table.stream_arn()),
                SourceParameters: Some(source),
                Target: Some(default_bus()),
                TargetParameters: Some(target),
                DesiredState: Some("RUNNING".into()),
            },
        );
        Self { resource }
    }

    /// Physical name, made by `CloudFormation`.
    pub fn name(&self) -> Value {
        self.resource.reference()
    }
}

fn role(scope: &Scope, props: &PipeProps<'_>) -> Role {
    let pipes = Value::sub("arn:${AWS::Partition}:pipes:${AWS::Region}:${AWS::AccountId}:pipe/*");
    let role =
        Role::assumed_for(&scope.child("Role"), "What the pipe of the loader may do", "pipes.amazonaws.com", pipes);
    props.table.grant_read_stream(&role);
    role.permit(Statement::allow(&["events:PutEvents"], [default_bus()]));
    props.dead_letters.grant_send_messages(&role);
    role
}

fn default_bus() -> Value {
    Value::sub("arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default")
}
