//! An alarm on one metric.

use crate::l1::{CfnAlarm, CfnAlarmProps};
use crate::scope::Scope;
use crate::value::Value;

/// A metric, and how its values of a period become one.
#[derive(Clone)]
pub struct Metric {
    /// `AWS/SQS`, `AWS/Lambda`, …, or that of our own metrics.
    pub namespace: &'static str,
    /// Name within the namespace.
    pub name: &'static str,
    /// Dimensions: all that the metric is published with.
    pub dimensions: Vec<(&'static str, Value)>,
    /// How the values of a period become one: `Sum`, `Maximum`, ….
    pub statistic: &'static str,
}

/// What a period without data means (`CloudWatch` user guide, "Configuring how alarms treat missing data").
#[derive(Clone, Copy)]
pub enum MissingData {
    /// Nothing happened, and that is well: the alarm does not ring.
    NotBreaching,
    /// What should publish the metric does not run: the alarm rings.
    Breaching,
}

/// What an alarm compares, and whom it notifies.
pub struct AlarmProps<'a> {
    /// What is wrong when it rings, and where to read on.
    pub description: Value,
    /// The metric, in the alarm's account and Region.
    pub metric: Metric,
    /// When a value is wrong: `GreaterThanThreshold`, `LessThanThreshold`, … (`CloudWatch`, `PutMetricAlarm`).
    pub comparison: &'static str,
    /// Bound in the metric's own unit.
    pub threshold: i64,
    /// Length of a period in seconds; a multiple of 60.
    pub period_seconds: u32,
    /// Periods in a row, at least 1, in which the value must be wrong.
    pub periods: u32,
    /// How a period without data counts.
    pub missing: MissingData,
    /// Topics that are notified; [`Value::none`] where none is.
    pub actions: &'a Value,
}

/// An alarm of the stack. Nothing refers to one, so there is no handle.
pub struct Alarm;

impl Alarm {
    /// Adds the alarm; a period of no multiple of 60 s, or no period at all, is a problem of the scope.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(scope: &Scope, props: AlarmProps<'_>) {
        if props.period_seconds == 0 || !props.period_seconds.is_multiple_of(60) || props.periods == 0 {
            scope.problem(format!(
                "`{}` periods of `{}` s: give at least one of a multiple of 60 s",
                props.periods, props.period_seconds
            ));
        }
        let missing = match props.missing {
            MissingData::NotBreaching => "notBreaching",
            MissingData::Breaching => "breaching",
        };
        let dimensions = props
            .metric
            .dimensions
            .into_iter()
            .map(|(name, value)| Value::map([("Name", Value::from(name)), ("Value", value)]));
        CfnAlarm::new(
            scope,
            CfnAlarmProps {
                AlarmDescription: Some(props.description),
                Namespace: Some(props.metric.namespace.into()),
                MetricName: Some(props.metric.name.into()),
                Dimensions: Some(Value::list(dimensions)),
                Statistic: Some(props.metric.statistic.into()),
                Period: Some(props.period_seconds.into()),
                EvaluationPeriods: Some(props.periods.into()),
                Threshold: Some(props.threshold.into()),
                ComparisonOperator: Some(props.comparison.into()),
                TreatMissingData: Some(missing.into()),
                AlarmActions: Some(props.actions.clone()),
            },
        );
    }
}
