//! Scheduled loads and source checks.

mod common;

use common::assertions::{Assertions, list};
use common::{assertions, queue_with, ten_queues};
use serde_json::{Value as Json, json};

/// A queue with two schedules.
fn two_schedules() -> Assertions {
    let path = "s3://example-a/daily/dt={yesterday:%Y-%m-%d}/";
    let bulk = json!([
        {"schedule": "cron(0 4 * * ? *)", "s3_path": path, "timezone": "Europe/Berlin"},
        {"schedule": "rate(6 hours)", "s3_path": "s3://example-a/daily/"}
    ]);
    assertions(vec![queue_with("a", |value| value["bulk"] = bulk)])
}

#[test]
fn schedules_share_a_role_that_may_invoke_one_function() {
    let stack = two_schedules();
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
    assert!(stack.permitted("lambda:InvokeFunction").len() == 1, "the execution role may invoke nothing");
    assert_eq!(stack.dangling_references(), Vec::<String>::new());
}

#[test]
fn a_schedule_passes_its_scheduled_time_and_has_a_dead_letter_queue() {
    let stack = two_schedules();
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
fn a_source_check_adds_a_schedule_and_an_alarm_but_no_permission() {
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
    assert_eq!(stack.properties("LoaderRole"), plain.properties("LoaderRole"), "the role may list the folder already");
    assert!(plain.of_type("AWS::CloudWatch::Alarm").iter().all(|(id, _)| *id != "MissedEvents"));
}

#[test]
fn a_check_is_told_where_the_inventory_is() {
    let check = json!({"every": "7 days", "inventory": "s3://lists/example-a/all/"});
    let stack = assertions(vec![queue_with("a", |value| {
        value["source"] = json!("s3://example-a/daily/");
        value["source_check"] = check;
    })]);
    stack.has_properties("ASourceCheck", &json!({"ScheduleExpression": "rate(168 hours)"}));
    let input = stack.properties("ASourceCheck")["Target"]["Input"].clone();
    let input: Json = serde_json::from_str(input.as_str().unwrap()).unwrap();
    assert_eq!(input["inventory"], "s3://lists/example-a/all/");
}

#[test]
fn without_schedules_there_is_no_role_for_them() {
    let stack = assertions(ten_queues());
    assert!(stack.of_type("AWS::Scheduler::ScheduleGroup").is_empty());
    assert!(stack.permitted("lambda:InvokeFunction").is_empty());
}
