//! The alarms. Each description is the beginning of an entry in the runbook.

use loader_core::contract;

use crate::l2::{Alarm, AlarmProps, Metric, MissingData, Queue};
use crate::l3::functions::Functions;
use crate::l3::shared::Shared;
use crate::l3::table_source::TableSource;
use crate::names::SHARED_DEAD_LETTERS;
use crate::props::LoaderProps;
use crate::scope::Scope;
use crate::value::Value;

/// What the alarms watch, and which topics they notify.
pub(super) struct AlarmsProps<'a> {
    pub(super) props: &'a LoaderProps,
    pub(super) actions: &'a Value,
    pub(super) functions: &'a Functions,
    pub(super) dead_letters: &'a Queue,
    pub(super) shared: Option<&'a Shared>,
    pub(super) sources: &'a [TableSource],
}

/// The beginning of an entry in the runbook, which is also an alarm's description: what a person on call needs first.
struct Entry {
    /// The entry's heading.
    heading: &'static str,
    /// What the alarm means.
    meaning: &'static str,
    /// The command to run first.
    first: &'static str,
}

const LATE: Entry = Entry {
    heading: "Late",
    meaning: "files of a table have waited longer than their queue's `load.alarm_after_seconds`",
    first: "status",
};
const STUCK: Entry = Entry {
    heading: "Stuck",
    meaning: "a table waits for an operator: a permission, a table or a column is missing, or an option is wrong",
    first: "status",
};
const QUARANTINE: Entry = Entry {
    heading: "Quarantine",
    meaning: "files could not be loaded and were set aside; all others are loaded",
    first: "status",
};
const REFUSED: Entry = Entry {
    heading: "Refused",
    meaning: "messages of a queue cannot be processed: its configuration is missing or wrong, or they are not S3 notifications",
    first: "status",
};
const MISSED: Entry = Entry {
    heading: "Missed events",
    meaning: "a source check found files without an event; they are recorded and will load",
    first: "history TABLE",
};
const SWEEP: Entry = Entry {
    heading: "Sweep",
    meaning: "the sweep that runs every minute has not completed, so lost events are not recovered",
    first: "status",
};
const FUNCTION_ERRORS: Entry = Entry {
    heading: "Function errors",
    meaning: "invocations of a function fail; their work is repeated",
    first: "logs",
};
const DEAD_LETTERS: Entry =
    Entry { heading: "Dead letters", meaning: "messages were given up; their files are not loaded", first: "status" };

impl Entry {
    fn description(&self) -> Value {
        let Self { heading, meaning, first } = self;
        format!("{heading}: {meaning}. First: cargo xtask {first}. More: docs/runbook.md").as_str().into()
    }
}

pub(super) fn add(scope: &Scope, with: &AlarmsProps<'_>) {
    let actions = with.actions;
    sweep_alarms(scope, actions);
    alarm_on_any(&scope.child("Quarantine"), actions, metric(contract::METRIC_QUARANTINED, "Sum"), &QUARANTINE);
    if with.props.queues.iter().any(|queue| queue.config.source_check.is_some()) {
        alarm_on_any(&scope.child("MissedEvents"), actions, metric(contract::METRIC_MISSED, "Sum"), &MISSED);
    }
    alarm_on_any(&scope.child("Refused"), actions, metric(contract::METRIC_REFUSED, "Sum"), &REFUSED);
    for (name, function) in with.functions.all() {
        let metric = Metric {
            namespace: "AWS/Lambda",
            name: "Errors",
            dimensions: vec![("FunctionName", function.name())],
            statistic: "Sum",
        };
        alarm_on_any(&scope.child(name.name()).child("Errors"), actions, metric, &FUNCTION_ERRORS);
    }
    let given_up = |scope: &Scope, queue: &Queue| {
        alarm_on_any(scope, actions, waiting_messages(queue), &DEAD_LETTERS);
    };
    given_up(&scope.child("DeadLettersNotEmpty"), with.dead_letters);
    if let Some(shared) = with.shared {
        given_up(&scope.child(SHARED_DEAD_LETTERS).child("NotEmpty"), &shared.dead_letters);
    }
    for source in with.sources {
        let Some(dead_letters) = source.dead_letters() else { continue };
        given_up(&scope.child_root("queues").child_named(source.name()).child("DlqNotEmpty"), dead_letters);
    }
}

/// Adds the alarms on the metrics that each sweep publishes. One alarm is enough for all tables: the metric already takes each table's own
/// bound into account, and the log and the dashboard name the table.
fn sweep_alarms(scope: &Scope, actions: &Value) {
    for (id, name, entry) in [("Late", contract::METRIC_SECONDS_LATE, &LATE), ("Stuck", contract::METRIC_STUCK, &STUCK)]
    {
        Alarm::new(
            &scope.child(id),
            AlarmProps {
                description: entry.description(),
                metric: metric(name, "Maximum"),
                comparison: "GreaterThanThreshold",
                threshold: 0,
                period_seconds: 60,
                periods: 3,
                missing: MissingData::NotBreaching,
                actions,
            },
        );
    }
    Alarm::new(
        &scope.child("SweepMissing"),
        AlarmProps {
            description: SWEEP.description(),
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

fn alarm_on_any(scope: &Scope, actions: &Value, metric: Metric, entry: &Entry) {
    Alarm::new(
        scope,
        AlarmProps {
            description: entry.description(),
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
