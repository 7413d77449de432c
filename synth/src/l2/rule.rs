//! An `EventBridge` rule that invokes functions; what it cannot deliver goes to a queue.

use crate::l1::{CfnRule, CfnRuleProps};
use crate::l2::function::Function;
use crate::l2::queue::Queue;
use crate::scope::Scope;
use crate::value::Value;

/// Repetitions of a delivery at most (`EventBridge` API, `RetryPolicy`).
pub const RETRIES_MAX: u32 = 185;
/// Age of an event in seconds up to which a delivery is repeated (`EventBridge` API, `RetryPolicy`).
pub const AGE_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;

/// What a rule waits for.
pub enum Trigger {
    /// Events of the account's default bus that match this pattern (`EventBridge` user guide, "Event patterns").
    Event(Value),
    /// Time: `rate(…)` or `cron(…)`, a minute at least (`EventBridge` user guide, "Schedule expressions").
    Schedule(&'static str),
}

/// Trigger and target of a rule.
pub struct RuleProps<'a> {
    /// What the rule is for, in one line of at most 512 characters (`EventBridge` API, `PutRule`).
    pub description: &'a str,
    /// When the rule invokes its target.
    pub trigger: Trigger,
    /// The one target.
    pub target: RuleTarget<'a>,
}

/// A function, and what happens to events that it does not take.
pub struct RuleTarget<'a> {
    /// Function that the rule may invoke from then on.
    pub function: &'a Function,
    /// Constant JSON text that the function gets; default: the event.
    pub input: Option<String>,
    /// Repetitions of a delivery that fails, 0 to 185.
    pub retries: u32,
    /// Age in seconds after which a delivery is given up, 60 to 86,400.
    pub age_seconds_max: u32,
    /// Queue of the events that are given up; it lets the rule send.
    pub dead_letters: &'a Queue,
}

/// A rule on the account's default bus. Nothing refers to one, so there is no handle.
#[derive(Clone)]
pub struct Rule;

impl Rule {
    /// A rule with one target; the function lets the rule invoke it, the queue lets the rule write to it.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(scope: &Scope, props: RuleProps<'_>) {
        let target = props.target;
        if target.retries > RETRIES_MAX || !AGE_SECONDS.contains(&target.age_seconds_max) {
            scope.problem(format!(
                "`{}` retries within `{}` s: EventBridge takes 0 to {RETRIES_MAX} within {} to {} s",
                target.retries,
                target.age_seconds_max,
                AGE_SECONDS.start(),
                AGE_SECONDS.end()
            ));
        }
        let (pattern, schedule) = match props.trigger {
            Trigger::Event(pattern) => (Some(pattern), None),
            Trigger::Schedule(schedule) => (None, Some(schedule.into())),
        };
        let rule = CfnRule::new(
            scope,
            CfnRuleProps {
                Description: Some(props.description.into()),
                EventPattern: pattern,
                ScheduleExpression: schedule,
                State: Some("ENABLED".into()),
                Targets: Some(Value::list([target_value(&target)])),
            },
        );
        target.function.grant_invoke(&scope.child("Permission"), "events.amazonaws.com", rule.arn());
        target.dead_letters.grant_send_to_rule(rule.arn());
    }
}

fn target_value(target: &RuleTarget<'_>) -> Value {
    let retry =
        Value::map([("MaximumRetryAttempts", target.retries), ("MaximumEventAgeInSeconds", target.age_seconds_max)]);
    let mut fields = vec![("Id", Value::from("function")), ("Arn", target.function.arn())];
    if let Some(input) = &target.input {
        fields.push(("Input", input.as_str().into()));
    }
    fields.push(("RetryPolicy", retry));
    fields.push(("DeadLetterConfig", Value::map([("Arn", target.dead_letters.arn())])));
    Value::map(fields)
}
