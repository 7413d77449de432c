//! What wakes somebody up: each alarm says where the runbook goes on.

use loader_core::contract;

use crate::l2::{Alarm, AlarmProps, Metric, MissingData, Queue};
use crate::l3::functions::Functions;
use crate::l3::shared::Shared;
use crate::l3::table_source::TableSource;
use crate::names::SHARED_DEAD_LETTERS;
use crate::props::LoaderProps;
use crate::scope::Scope;
use crate::value::Value;

/// What is watched, and who is notified.
pub(super) struct AlarmsProps<'a> {
    pub(super) props: &'a LoaderProps,
    pub(super) actions: &'a Value,
    pub(super) functions: &'a Functions,
    pub(super) dead_letters: &'a Queue,
    pub(super) shared: Option<&'a Shared>,
    pub(super) sources: &'a [TableSource],
}

pub(super) fn add(scope: &Scope, with: &AlarmsProps<'_>) {
    let actions = with.actions;
    loader_alarms(scope, actions, with.props);
    for (name, function) in with.functions.all() {
        let metric = Metric {
            namespace: "AWS/Lambda",
            name: "Errors",
            dimensions: vec![("FunctionName", function.name())],
            statistic: "Sum",
        };
        let text = format!("{} fails: runbook, Function errors", name.name());
        one_is_too_many(&scope.child(name.name()).child("Errors"), actions, metric, text);
    }
    let text = "invocations or events were given up: runbook, Dead letters".to_owned();
    one_is_too_many(&scope.child("DeadLettersNotEmpty"), actions, waiting_messages(with.dead_letters), text);
    if let Some(shared) = with.shared {
        let scope = scope.child(SHARED_DEAD_LETTERS).child("NotEmpty");
        let text = "a queue gave up: runbook, Dead letters".to_owned();
        one_is_too_many(&scope, actions, waiting_messages(&shared.dead_letters), text);
    }
    for source in with.sources {
        let Some(dead_letters) = source.dead_letters() else { continue };
        let scope = scope.child_root("queues").child_named(source.name()).child("DlqNotEmpty");
        let text = format!("queue {} gave up: runbook, Dead letters", source.name());
        one_is_too_many(&scope, actions, waiting_messages(dead_letters), text);
    }
}

/// On the metrics that the functions emit.
fn loader_alarms(scope: &Scope, actions: &Value, props: &LoaderProps) {
    let minutes = props.oldest_waiting_seconds / 60;
    if minutes == 0 {
        let seconds = props.oldest_waiting_seconds;
        scope.problem(format!("oldest waiting file `{seconds}` s: give at least 60, the sweep looks once a minute"));
    }
    Alarm::new(
        &scope.child("OldestWaiting"),
        AlarmProps {
            description: format!("a file has waited for more than {minutes} minutes: runbook, Files wait"),
            metric: metric(contract::METRIC_OLDEST_WAITING, "Maximum"),
            comparison: "GreaterThanThreshold",
            threshold: i64::from(props.oldest_waiting_seconds) * 1000,
            period_seconds: 60,
            periods: 3,
            missing: MissingData::NotBreaching,
            actions,
        },
    );
    let text = "a file could not be loaded and was put into quarantine: runbook, Quarantine".to_owned();
    one_is_too_many(&scope.child("Quarantine"), actions, metric(contract::METRIC_QUARANTINED, "Sum"), text);
    if props.queues.iter().any(|queue| queue.config.source_check.is_some()) {
        let text = "a source check found files that no event told of: runbook, Missed events".to_owned();
        one_is_too_many(&scope.child("MissedEvents"), actions, metric(contract::METRIC_MISSED, "Sum"), text);
    }
    Alarm::new(
        &scope.child("SweepMissing"),
        AlarmProps {
            description: "the sweep does not run, lost events are not made up for: runbook, Sweep".to_owned(),
            metric: metric(contract::METRIC_SWEEPS, "Sum"),
            comparison: "LessThanThreshold",
            threshold: 1,
            period_seconds: 300,
            periods: 2,
            missing: MissingData::Breaching,
            actions,
        },
    );
}

fn metric(name: &'static str, statistic: &'static str) -> Metric {
    let dimensions = vec![(contract::DIMENSION_STACK, Value::Ref("AWS::StackName".to_owned()))];
    Metric { namespace: contract::METRIC_NAMESPACE, name, dimensions, statistic }
}

fn waiting_messages(queue: &Queue) -> Metric {
    Metric {
        namespace: "AWS/SQS",
        name: "ApproximateNumberOfMessagesVisible",
        dimensions: vec![("QueueName", queue.name())],
        statistic: "Maximum",
    }
}

fn one_is_too_many(scope: &Scope, actions: &Value, metric: Metric, description: String) {
    Alarm::new(
        scope,
        AlarmProps {
            description,
            metric,
            comparison: "GreaterThanThreshold",
            threshold: 0,
            period_seconds: 300,
            periods: 1,
            missing: MissingData::NotBreaching,
            actions,
        },
    );
}
