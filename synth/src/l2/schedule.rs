//! Schedules that invoke one function, each with its own input. They share a group, and a role that may do nothing else.

use crate::l1::{CfnSchedule, CfnScheduleGroup, CfnScheduleGroupProps, CfnScheduleProps};
use crate::l2::function::Function;
use crate::l2::queue::Queue;
use crate::l2::retry::RetryProps;
use crate::l2::role::Role;
use crate::scope::{Resource, Scope};
use crate::value::Value;

/// Characters of a description (`EventBridge` Scheduler, `CreateSchedule`).
const DESCRIPTION_CHARACTERS_MAX: usize = 512;

/// A group of schedules.
pub struct Schedules {
    group: Resource,
    role: Role,
    function: Value,
    dead_letters: Value,
}

/// When the function is invoked, and with which input.
pub struct ScheduleProps<'a> {
    /// The schedule's purpose; cut after 512 characters.
    pub description: String,
    /// `cron(…)` or `rate(…)` (`EventBridge` Scheduler user guide, "Schedule types").
    pub expression: &'a str,
    /// IANA name of the time zone.
    pub time_zone: &'a str,
    /// JSON text that is passed to the function, with context attributes such as `<aws.scheduler.scheduled-time>`.
    pub input: String,
    /// How a failed delivery is retried.
    pub retries: RetryProps,
}

impl Schedules {
    /// Adds an empty group. Only schedules of this group can use its role (`EventBridge` Scheduler user guide, "Confused deputy prevention"), which
    /// may invoke the function and send to the dead-letter queue.
    pub fn new(scope: &Scope, function: &Function, dead_letters: &Queue) -> Self {
        let group = CfnScheduleGroup::new(scope, CfnScheduleGroupProps::default());
        let description = "Role of the loader's schedules";
        let role = Role::assumed_for(&scope.child("Role"), description, "scheduler.amazonaws.com", group.arn());
        function.grant_invoke_by(&role);
        dead_letters.grant_send_messages(&role);
        Self { group, role, function: function.arn(), dead_letters: dead_letters.arn() }
    }

    /// Adds a schedule.
    pub fn add(&self, scope: &Scope, props: ScheduleProps<'_>) {
        props.retries.check(scope, "EventBridge Scheduler");
        let target = Value::map([
            ("Arn", self.function.clone()),
            ("RoleArn", self.role.arn()),
            ("Input", props.input.into()),
            ("RetryPolicy", props.retries.to_value()),
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
