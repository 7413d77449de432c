//! Schedules that invoke one function, each with an input of its own. They share a group, and a role that may do nothing else.

use crate::l1::{CfnSchedule, CfnScheduleGroup, CfnScheduleGroupProps, CfnScheduleProps};
use crate::l2::function::Function;
use crate::l2::queue::Queue;
use crate::l2::role::Role;
use crate::l2::rule::{AGE_SECONDS, RETRIES_MAX};
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Characters of a description (`EventBridge` Scheduler, `CreateSchedule`).
const DESCRIPTION_CHARACTERS_MAX: usize = 512;

/// What the schedules of a group share.
pub struct Schedules {
    group: Resource,
    role: Role,
    function: Value,
    dead_letters: Value,
}

/// When, and with what, the function is invoked.
pub struct ScheduleProps<'a> {
    /// What it is for, in one line of at most 512 characters.
    pub description: String,
    /// `cron(…)` or `rate(…)` (`EventBridge` Scheduler user guide, "Schedule types").
    pub expression: &'a str,
    /// IANA name.
    pub time_zone: &'a str,
    /// JSON text that the function gets, with context attributes such as `<aws.scheduler.scheduled-time>`.
    pub input: String,
    /// Repetitions of a delivery that fails, 0 to 185.
    pub retries: u32,
    /// Age in seconds after which a delivery is given up, 60 to 86,400.
    pub age_seconds_max: u32,
}

impl Schedules {
    /// A group without schedules. Its role is assumed for schedules of this group only, and may invoke the function and write to the queue
    /// of what is given up (`EventBridge` Scheduler user guide, "Confused deputy prevention").
    pub fn new(scope: &Scope, function: &Function, dead_letters: &Queue) -> Self {
        let group = CfnScheduleGroup::new(scope, CfnScheduleGroupProps::default());
        let description = "What the schedules of the loader may do";
        let role = Role::assumed_for(&scope.child("Role"), description, "scheduler.amazonaws.com", group.arn());
        function.grant_invoke_by(&role);
        dead_letters.grant_send_messages(&role);
        Self { group, role, function: function.arn(), dead_letters: dead_letters.arn() }
    }

    /// Adds a schedule.
    pub fn add(&self, scope: &Scope, props: ScheduleProps<'_>) {
        if props.retries > RETRIES_MAX || !AGE_SECONDS.contains(&props.age_seconds_max) {
            scope.problem(format!(
                "`{}` retries within `{}` s: EventBridge Scheduler takes 0 to {RETRIES_MAX} within {} to {} s",
                props.retries,
                props.age_seconds_max,
                AGE_SECONDS.start(),
                AGE_SECONDS.end()
            ));
        }
        let retry =
            Value::map([("MaximumRetryAttempts", props.retries), ("MaximumEventAgeInSeconds", props.age_seconds_max)]);
        let target = Value::map([
            ("Arn", self.function.clone()),
            ("RoleArn", self.role.arn()),
            ("Input", props.input.into()),
            ("RetryPolicy", retry),
            ("DeadLetterConfig", Value::map([("Arn", self.dead_letters.clone())])),
        ]);
        let description: String = props.description.chars().take(DESCRIPTION_CHARACTERS_MAX).collect();
        CfnSchedule::new(
            scope,
            CfnScheduleProps {
                Description: Some(description.into()),
                GroupName: Some(self.group.reference()),
                ScheduleExpression: Some(props.expression.into()),
                ScheduleExpressionTimezone: Some(props.time_zone.into()),
                FlexibleTimeWindow: Some(Value::map([("Mode", "OFF")])),
                State: Some("ENABLED".into()),
                Target: Some(target),
            },
        );
    }
}
