//! The table events' pipe: when it exists, what its role may do, and which fields it copies.

mod common;

use std::collections::BTreeSet;

use common::assertions::{Assertions, list};
use common::{assertions, ten_queues, two_queues};
use loader_core::tracker::table_event::{ATTRIBUTE, FIELDS};
use serde_json::{Value as Json, json};
use synth::{LoaderProps, QueueSource, loader_template};

#[test]
fn table_events_add_only_a_pipe_and_its_role() {
    let stack = assertions(queues());
    assert!(stack.of_type("AWS::Pipes::Pipe").is_empty());
    assert!(stack.properties("Tracker")["StreamSpecification"].is_null());
    let with = with_events();
    let ids = |stack: &Assertions| stack.resources().keys().cloned().collect::<BTreeSet<_>>();
    let more: Vec<String> = ids(&with).difference(&ids(&stack)).cloned().collect();
    assert_eq!(more, ["Events", "EventsRole"]);
    assert_eq!(with.properties("LoaderRole"), stack.properties("LoaderRole"), "the functions need no more permissions");
}

#[test]
fn the_pipe_may_only_read_the_stream_put_events_and_send_to_the_dead_letter_queue() {
    let stack = with_events();
    let own = |name: &str| json!({ "Fn::GetAtt": [name, if name == "Tracker" { "StreamArn" } else { "Arn" }] });
    let bus = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default";
    let stream = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"].map(|it| format!("dynamodb:{it}"));
    let mut expected = vec![(json!(stream), own("Tracker"))];
    expected.push((json!("events:PutEvents"), json!({ "Fn::Sub": bus })));
    expected.push((json!("sqs:SendMessage"), own("DeadLetters")));
    let policies = list(&stack.properties("EventsRole")["Policies"]);
    let found = policies.iter().flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]));
    let found: Vec<(Json, Json)> =
        found.map(|statement| (statement["Action"].clone(), statement["Resource"].clone())).collect();
    assert_eq!(found, expected);
    let trust = &stack.properties("EventsRole")["AssumeRolePolicyDocument"]["Statement"];
    assert_eq!(trust[0]["Principal"], json!({ "Service": "pipes.amazonaws.com" }));
    assert!(!trust[0]["Condition"]["StringEquals"]["aws:SourceAccount"].is_null(), "{trust}");
    let page = include_str!("../../docs/security.md");
    for action in
        ["`dynamodb:DescribeStream`", "`GetRecords`", "`GetShardIterator`", "`ListStreams`", "`events:PutEvents`"]
    {
        assert!(page.contains(action), "{action} is not explained");
    }
}

/// What a pipe does with a missing path is not documented.
#[test]
fn the_pipe_copies_only_fields_that_every_item_has() {
    let stack = with_events();
    let template = stack.properties("Events")["TargetParameters"]["InputTemplate"].as_str().unwrap().to_owned();
    let event: Json = serde_json::from_str(&template).unwrap();
    let schema: Json = serde_json::from_str(include_str!("../../docs/schema/event.schema.json")).unwrap();
    let published: BTreeSet<&String> =
        schema["properties"]["detail"]["properties"].as_object().unwrap().keys().collect();
    assert_eq!(event.as_object().unwrap().keys().collect::<BTreeSet<_>>(), published);
    for (field, path) in event.as_object().unwrap() {
        let of_item = format!("<$.dynamodb.NewImage.{ATTRIBUTE}.M.{field}.S>");
        let is_known = FIELDS.contains(&field.as_str()) && *path == of_item;
        assert!(
            is_known || ["<$.eventID>", "<$.dynamodb.Keys.db_table.S>"].contains(&path.as_str().unwrap()),
            "{path}"
        );
    }
    let filters = list(&stack.properties("Events")["SourceParameters"]["FilterCriteria"]["Filters"]);
    assert!((1..=5).contains(&filters.len()));
    for filter in filters {
        serde_json::from_str::<Json>(filter["Pattern"].as_str().unwrap()).unwrap();
    }
}

fn queues() -> Vec<QueueSource> {
    ten_queues().into_iter().chain(two_queues()).collect()
}

fn with_events() -> Assertions {
    Assertions::from(
        &loader_template(&LoaderProps { queues: queues(), events: true, ..LoaderProps::default() }).unwrap(),
    )
}
