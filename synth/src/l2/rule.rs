//! An `EventBridge` rule that invokes a function. What it cannot deliver goes to a queue.

use crate::l1::{CfnRule, CfnRuleProps};
use crate::l2::function::Function;
use crate::l2::queue::Queue;
use crate::l2::retry::RetryProps;
use crate::scope::Scope;
use crate::value::Value;

/// What triggers a rule.
pub enum Trigger {
    /// Events of the account's default bus that match this pattern (`EventBridge` user guide, "Event patterns").
    Event(Value),
    /// A schedule, `rate(…)` or `cron(…)`, at most once a minute (`EventBridge` user guide, "Schedule expressions").
    Schedule(&'static str),
}

/// Trigger and target of a rule.
pub struct RuleProps<'a> {
    /// The rule's purpose, in one line of at most 512 characters (`EventBridge` API, `PutRule`).
    pub description: &'a str,
    /// When the rule invokes its target.
    pub trigger: Trigger,
    /// The one target.
    pub target: RuleTarget<'a>,
}

/// The function to invoke, and what happens to events that cannot be delivered.
pub struct RuleTarget<'a> {
    /// The function; it lets the rule invoke it.
    pub function: &'a Function,
    /// Constant JSON text that is passed to the function; default: the event.
    pub input: Option<String>,
    /// How a failed delivery is retried.
    pub retries: RetryProps,
    /// Queue for events that could not be delivered; it lets the rule send to it.
    pub dead_letters: &'a Queue,
}

/// A rule on the account's default bus. It has no handle, because nothing refers to rules.
#[derive(Clone)]
pub struct Rule;

impl Rule {
    /// Adds a rule with one target.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(scope: &Scope, props: RuleProps<'_>) {
        let target = props.target;
        target.retries.check(scope, "EventBridge");
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
    let mut fields = vec![("Id", Value::from("function")), ("Arn", target.function.arn())];
    if let Some(input) = &target.input {
        fields.push(("Input", input.as_str().into()));
    }
    fields.push(("RetryPolicy", target.retries.to_value()));
    fields.push(("DeadLetterConfig", Value::map([("Arn", target.dead_letters.arn())])));
    Value::map(fields)
}
