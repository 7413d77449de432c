//! An alarm on one metric.

use crate::l1::{CfnAlarm, CfnAlarmProps};
use crate::scope::Scope;
use crate::value::Value;

/// A metric, and how its values within a period are aggregated.
#[derive(Clone)]
pub struct Metric {
    /// `AWS/SQS`, `AWS/Lambda`, …, or the loader's own namespace.
    pub namespace: &'static str,
    /// Name within the namespace.
    pub name: &'static str,
    /// All dimensions that the metric is published with.
    pub dimensions: Vec<(&'static str, Value)>,
    /// Aggregation of the values of a period: `Sum`, `Maximum`, ….
    pub statistic: &'static str,
}

/// What a period without data means (`CloudWatch` user guide, "Configuring how alarms treat missing data").
#[derive(Clone, Copy)]
pub enum MissingData {
    /// Nothing happened, which is fine: the alarm stays silent.
    NotBreaching,
    /// Whatever publishes the metric has stopped: the alarm goes off.
    Breaching,
}

/// What an alarm compares, and which topics it notifies.
pub struct AlarmProps<'a> {
    /// What is wrong when the alarm goes off, and where to read more.
    pub description: Value,
    /// The metric, in the alarm's account and Region.
    pub metric: Metric,
    /// Which values breach the threshold: `GreaterThanThreshold`, `LessThanThreshold`, … (`CloudWatch`, `PutMetricAlarm`).
    pub comparison: &'static str,
    /// Threshold in the metric's unit.
    pub threshold: i64,
    /// Length of a period in seconds; a multiple of 60.
    pub period_seconds: u32,
    /// Consecutive periods, at least 1, that must breach the threshold.
    pub periods: u32,
    /// How a period without data counts.
    pub missing: MissingData,
    /// Topics that are notified, or [`Value::none`].
    pub actions: &'a Value,
}

/// An alarm of the stack. It has no handle, because nothing refers to alarms.
pub struct Alarm;

impl Alarm {
    /// Adds the alarm. Records a problem if the period is not a multiple of 60 s or there are no periods.
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
