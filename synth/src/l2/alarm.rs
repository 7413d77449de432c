//! An alarm on one metric.

use crate::l1::{CfnAlarm, CfnAlarmProps};
use crate::scope::Scope;
use crate::value::Value;

/// A metric, and how its values of a period become one.
#[derive(Clone)]
pub struct Metric {
    /// Namespace.
    pub namespace: &'static str,
    /// Name.
    pub name: &'static str,
    /// Dimensions: all that the metric is published with.
    pub dimensions: Vec<(&'static str, Value)>,
    /// `Sum`, `Maximum`, ….
    pub statistic: &'static str,
}

/// What a period without data means.
#[derive(Clone, Copy)]
pub enum MissingData {
    /// All is well.
    NotBreaching,
    /// Something is wrong.
    Breaching,
}

/// What an alarm is like.
pub struct AlarmProps<'a> {
    /// What is wrong when it rings, and where to read on.
    pub description: String,
    /// What it watches.
    pub metric: Metric,
    /// `GreaterThanOrEqualToThreshold`, ….
    pub comparison: &'static str,
    /// What the metric is compared with.
    pub threshold: i64,
    /// Length of a period in seconds; a multiple of 60.
    pub period_seconds: u32,
    /// Periods in a row that must be wrong.
    pub periods: u32,
    /// What a period without data means.
    pub missing: MissingData,
    /// Who is told; a value that is absent when nobody is.
    pub actions: &'a Value,
}

/// A `CloudWatch` alarm.
pub struct Alarm;

impl Alarm {
    /// An alarm.
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
                AlarmDescription: Some(props.description.into()),
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
