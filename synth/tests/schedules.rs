//! Folders that are loaded or checked on a schedule.

mod common;

use common::assertions::{Assertions, list};
use common::{assertions, queue_with, ten_queues};
use serde_json::{Value as Json, json};

/// A queue whose folder is loaded every morning.
fn daily() -> Assertions {
    let path = "s3://example-a/daily/dt={yesterday:%Y-%m-%d}/";
    let bulk = json!([
        {"schedule": "cron(0 4 * * ? *)", "s3_path": path, "timezone": "Europe/Berlin"},
        {"schedule": "rate(6 hours)", "s3_path": "s3://example-a/daily/"}
    ]);
    assertions(vec![queue_with("a", |value| value["bulk"] = bulk)])
}

#[test]
fn schedules_have_one_role_that_invokes_one_function() {
    let stack = daily();
    let role = stack.properties("SchedulesRole");
    let trust = json!([{
        "Effect": "Allow",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Schedules", "Arn"]}},
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }
    }]);
    assert_eq!(role["AssumeRolePolicyDocument"]["Statement"], trust);
    let policies = list(&role["Policies"]);
    let statements: Vec<Json> =
        policies.iter().flat_map(|policy| list(&policy["PolicyDocument"]["Statement"])).collect();
    let expected = [
        json!({"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": {"Fn::GetAtt": ["BulkLoader", "Arn"]}}),
        json!({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}),
    ];
    assert_eq!(statements, expected);
    assert!(stack.permitted("lambda:InvokeFunction").len() == 1, "the functions' role may invoke nothing");
    assert_eq!(stack.dangling_references(), Vec::<String>::new());
}

#[test]
fn a_schedule_hands_over_the_instant_it_was_made_for_and_what_fails_is_kept() {
    let stack = daily();
    let schedules = stack.of_type("AWS::Scheduler::Schedule");
    assert_eq!(schedules.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["ABulk1", "ABulk2"]);
    for (id, schedule) in schedules {
        let target = &schedule["Properties"]["Target"];
        let input: Json = serde_json::from_str(target["Input"].as_str().unwrap()).unwrap();
        assert_eq!(input["scheduled_time"], "<aws.scheduler.scheduled-time>", "{id}");
        assert_eq!(input["paths"][0]["table"], "shop.\"a\"", "{id}");
        assert_eq!(target["DeadLetterConfig"]["Arn"], json!({"Fn::GetAtt": ["DeadLetters", "Arn"]}), "{id}");
        assert_eq!(schedule["Properties"]["GroupName"], json!({"Ref": "Schedules"}), "{id}");
    }
    stack.has_properties(
        "ABulk1",
        &json!({"ScheduleExpression": "cron(0 4 * * ? *)", "ScheduleExpressionTimezone": "Europe/Berlin"}),
    );
    stack
        .has_properties("ABulk2", &json!({"ScheduleExpressionTimezone": "UTC", "FlexibleTimeWindow": {"Mode": "OFF"}}));
}

#[test]
fn a_source_check_is_a_schedule_and_an_alarm_and_needs_no_other_permission() {
    let with = |every: &str| {
        let check = json!({"every": every});
        assertions(vec![queue_with("a", |value| value["source_check"] = check), queue_with("b", |_| {})])
    };
    let stack = with("6 hours");
    let schedules = stack.of_type("AWS::Scheduler::Schedule");
    assert_eq!(schedules.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["ASourceCheck"]);
    stack.has_properties(
        "ASourceCheck",
        &json!({"ScheduleExpression": "rate(6 hours)", "ScheduleExpressionTimezone": "UTC"}),
    );
    let input = stack.properties("ASourceCheck")["Target"]["Input"].clone();
    let input: Json = serde_json::from_str(input.as_str().unwrap()).unwrap();
    assert_eq!(input["check"], "6 hours");
    stack.has_properties("MissedEvents", &json!({"MetricName": "MissedEvents", "Threshold": 0}));
    let plain = assertions(vec![queue_with("a", |_| {}), queue_with("b", |_| {})]);
    assert_eq!(stack.properties("LoaderRole"), plain.properties("LoaderRole"), "it lists what it may list already");
    assert!(plain.of_type("AWS::CloudWatch::Alarm").iter().all(|(id, _)| *id != "MissedEvents"));
}

#[test]
fn without_schedules_there_is_no_role_for_them() {
    let stack = assertions(ten_queues());
    assert!(stack.of_type("AWS::Scheduler::ScheduleGroup").is_empty());
    assert!(stack.permitted("lambda:InvokeFunction").is_empty());
}
