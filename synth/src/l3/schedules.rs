//! Scheduled loads of folders, and source checks: bulk requests that `EventBridge` Scheduler sends.

use loader_core::bulk_request;
use loader_core::schedule::{Schedule, TIME_ZONE_DEFAULT};

use crate::l2::{Function, Queue, RetryProps, ScheduleProps, Schedules};
use crate::names::LogicalId;
use crate::props::{LoaderProps, QueueSource};
use crate::scope::Scope;

/// If retrying for an hour does not help, someone has to look. The period of a failed source check is covered by the next one.
const RETRIES: RetryProps = RetryProps { retries_max: 10, age_seconds_max: 3600 };

/// Adds the schedules of all queues. If no queue has one, there is no group or role either.
pub(super) fn add(scope: &Scope, props: &LoaderProps, function: &Function, dead_letters: &Queue) {
    let has_schedule = |queue: &&QueueSource| !queue.config.bulk.is_empty() || queue.config.source_check.is_some();
    let mut queues: Vec<_> = props.queues.iter().filter(has_schedule).collect();
    if queues.is_empty() {
        return;
    }
    queues.sort_by(|a, b| a.name.cmp(&b.name));
    let schedules = Schedules::new(&scope.child(LogicalId::Schedules.name()), function, dead_letters);
    for queue in queues {
        let scope = scope.child_root("queues").child_named(&queue.name);
        add_check(&scope, queue, &schedules);
        for (number, schedule) in (1..).zip(&queue.config.bulk) {
            let scope = scope.child(&format!("Bulk{number}"));
            if is_at_skipped_hour(schedule) {
                scope.note(format!(
                    "`{}` in {}: where clocks go forward at that hour, the invocation of that day is skipped: choose an hour from 4 on",
                    schedule.expression, schedule.time_zone
                ));
            }
            schedules.add(
                &scope,
                ScheduleProps {
                    description: format!("Loads a folder of {}: {}", queue.name, schedule.path.text),
                    expression: &schedule.expression,
                    time_zone: &schedule.time_zone,
                    input: bulk_request::scheduled(&queue.config, schedule).to_string(),
                    retries: RETRIES,
                },
            );
        }
    }
}

/// Adds the source check of a queue, if it has one.
fn add_check(scope: &Scope, queue: &QueueSource, schedules: &Schedules) {
    let Some(check) = queue.config.source_check else { return };
    let Some(input) = bulk_request::source_check(&queue.config) else { return };
    schedules.add(
        &scope.child("SourceCheck"),
        ScheduleProps {
            description: format!("Looks for files of {} without an event", queue.name),
            expression: &check.expression(),
            time_zone: TIME_ZONE_DEFAULT,
            input: input.to_string(),
            retries: RETRIES,
        },
    );
}

/// Whether the schedule is at an hour that is skipped when clocks go forward (`EventBridge` Scheduler user guide, "Daylight savings time").
fn is_at_skipped_hour(schedule: &Schedule) -> bool {
    let hour =
        schedule.expression.strip_prefix("cron(").and_then(|fields| fields.split(' ').nth(1)?.parse::<u8>().ok());
    schedule.time_zone != "UTC" && hour.is_some_and(|hour| hour < 4)
}
