//! A stack of 200 queues: it is within every limit, each queue has what it needs, and a small stack can grow into it safely.

mod common;

use std::collections::BTreeMap;

use common::assertions::{Assertions, list};
use common::{assertions, queue_with, template};
use serde_json::{Value as Json, json};
use synth::QueueSource;
use synth::limits::{
    OUTPUTS_MAX, PARAMETERS_MAX, QUEUES_APART_MAX, RESOURCES_MAX, TEMPLATE_BODY_BYTES_MAX, TEMPLATE_OBJECT_BYTES_MAX,
};

const REGION: &str = "ap-southeast-2";
const ACCOUNT: &str = "123456789012";
const PREFIX: &str = "prod-";

/// Queues with realistic names, each with its own bucket.
fn distinct(n: usize) -> Vec<QueueSource> {
    let departments = ["finance", "marketing", "logistics", "web-shop", "support"];
    let queue = |number: usize| {
        let department = departments[number % departments.len()];
        queue_with(&format!("{department}-customer-transactions-{number:03}"), |value| {
            value["copy"]["table_name"] = json!(format!("reporting.customer_transactions_{number}"));
            value["source"] =
                json!(format!("s3://acme-{department}-landing-zone-{number:03}/transactions/{number:03}/"));
        })
    };
    (0..n).map(queue).collect()
}

/// Queues whose folders are in one bucket.
fn of_one_bucket(n: usize) -> Vec<QueueSource> {
    let queue = |number: usize| {
        queue_with(&format!("customer-transactions-{number:03}"), |value| {
            value["source"] = json!(format!("s3://acme-landing-zone/customer-transactions-{number:03}/"));
        })
    };
    (0..n).map(queue).collect()
}

/// Resolves a value of the template as in an account. This is independent of the synthesizer's estimate (`longest.rs`), which it checks.
fn deployed(stack: &Assertions, value: &Json) -> Json {
    let replaced = |text: &str| {
        let text = text.replace("${AWS::Partition}", "aws").replace("${AWS::Region}", REGION);
        let text = text.replace("${AWS::AccountId}", ACCOUNT).replace("${queueNamePrefix}", PREFIX);
        text.replace("${!", "${")
    };
    match value {
        Json::Array(items) => items.iter().map(|item| deployed(stack, item)).collect(),
        Json::Object(fields) => match fields.iter().next() {
            Some((name, Json::String(text))) if name == "Fn::Sub" => json!(replaced(text)),
            Some((name, Json::Array(parts))) if name == "Fn::GetAtt" => {
                let name = &stack.properties(parts[0].as_str().unwrap())["QueueName"]["Fn::Sub"];
                let name = name.as_str().map_or_else(|| "n".repeat(60), replaced);
                json!(format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"))
            }
            Some((name, _)) if name == "Ref" => json!(ACCOUNT),
            _ => Json::Object(fields.iter().map(|(name, value)| (name.clone(), deployed(stack, value))).collect()),
        },
        other => other.clone(),
    }
}

fn characters(stack: &Assertions, value: &Json) -> usize {
    deployed(stack, value).to_string().len()
}

#[test]
fn two_hundred_queues_fit_into_a_stack() {
    for queues in [distinct(200), of_one_bucket(200)] {
        let template = template(queues);
        let stack = Assertions::from(&template);
        let count = |section: &str| stack.json()[section].as_object().unwrap().len();
        assert!(count("Resources") <= RESOURCES_MAX, "{} resources", count("Resources"));
        assert!(count("Outputs") <= OUTPUTS_MAX, "{} outputs", count("Outputs"));
        assert!(count("Parameters") <= PARAMETERS_MAX);
        assert!(template.size_bytes() <= TEMPLATE_OBJECT_BYTES_MAX, "{} bytes", template.size_bytes());
        assert!(template.size_bytes() > TEMPLATE_BODY_BYTES_MAX, "small enough for a request: the case is not tested");
        for kind in ["AWS::SQS::Queue", "AWS::Lambda::EventSourceMapping"] {
            assert!(stack.of_type(kind).len() >= 200, "{kind}");
        }
        assert_eq!(stack.dangling_references(), Vec::<String>::new());
    }
}

#[test]
fn the_roles_policies_are_within_the_limits_of_iam() {
    for queues in [distinct(200), of_one_bucket(200)] {
        let stack = assertions(queues);
        let policies = stack.of_type("AWS::IAM::ManagedPolicy");
        let named = list(&stack.properties("LoaderRole")["ManagedPolicyArns"]);
        assert_eq!(named, policies.iter().map(|(id, _)| json!({ "Ref": id })).collect::<Vec<_>>());
        assert!((1..=10).contains(&policies.len()), "{} policies", policies.len());
        for (id, policy) in &policies {
            let length = characters(&stack, &policy["Properties"]["PolicyDocument"]);
            assert!(length <= 6_144, "{id}: {length}");
        }
        let inline: usize = list(&stack.properties("LoaderRole")["Policies"])
            .iter()
            .map(|policy| characters(&stack, &policy["PolicyDocument"]))
            .sum();
        assert!(inline <= 10_240, "{inline}");
    }
}

#[test]
fn the_queues_policies_are_within_the_limit_of_sqs() {
    for queues in [distinct(200), of_one_bucket(200)] {
        let stack = assertions(queues);
        for (id, policy) in stack.of_type("AWS::SQS::QueuePolicy") {
            let length = characters(&stack, &policy["Properties"]["PolicyDocument"]);
            assert!(length <= 8_192, "{id}: {length}");
        }
    }
}

#[test]
fn the_dashboard_is_within_the_limits_of_cloudwatch() {
    let stack = assertions(distinct(200));
    let body = stack.dashboard();
    let widgets = body["widgets"].as_array().unwrap();
    assert!((200..=500).contains(&widgets.len()), "{}", widgets.len());
    let metrics: usize = widgets.iter().map(|widget| list(&widget["properties"]["metrics"]).len()).sum();
    assert!(metrics <= 2_500, "{metrics}");
    assert!(body.to_string().contains("${SharedDeadLetters.QueueName}"), "the dead letters are not shown");
}

#[test]
fn each_of_two_hundred_queues_has_what_it_needs() {
    let queues = distinct(200);
    let stack = assertions(queues.clone());
    let policies = of_queues(&stack);
    let (consumed, read) = (stack.permitted("sqs:ReceiveMessage"), stack.permitted("s3:GetObject"));
    for (id, queue) in stack.of_type("AWS::SQS::Queue").into_iter().filter(|(id, _)| id.ends_with("Queue")) {
        let name = queue["Properties"]["QueueName"]["Fn::Sub"].as_str().unwrap().replace("${queueNamePrefix}", "");
        let source = queues.iter().find(|queue| queue.name == name).unwrap().config.source.clone().unwrap();
        let own = |value: &Json| *value == json!({"Fn::GetAtt": [id, "Arn"]});
        assert_eq!(consumed.iter().filter(|value| own(value)).count(), 1, "{id}");
        let files = json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:s3:::{}/{}*", source.bucket, source.prefix)});
        assert!(read.contains(&files), "{id}");
        let dead_letters = json!({"Fn::GetAtt": ["SharedDeadLetters", "Arn"]});
        assert_eq!(queue["Properties"]["RedrivePolicy"]["deadLetterTargetArn"], dead_letters, "{id}");
        let bucket = json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:s3:::{}", source.bucket)});
        assert!(senders(&stack, &policies[id]).contains(&bucket), "S3 may not send to {id}");
    }
    assert_eq!(policies.len(), 202, "each queue has one policy, and so do the two dead-letter queues");
}

/// Only permissions to list are shared by queues; even those name only buckets and folders of queues.
#[test]
fn permissions_name_each_folder() {
    let stack = assertions(distinct(200));
    for permission in stack.permissions() {
        let text = permission.resource["Fn::Sub"].as_str().unwrap_or_default();
        let ends_a_folder = text.ends_with("/*") && text.matches('*').count() == 1;
        assert!(!text.contains('*') || ends_a_folder, "{permission:?}");
        if permission.action == "s3:ListBucketVersions" {
            let prefixes = list(&permission.condition["StringLikeIfExists"]["s3:prefix"]);
            assert!(!prefixes.is_empty(), "{permission:?}");
            assert!(
                prefixes.iter().all(|prefix| prefix.as_str().unwrap().starts_with("transactions/")),
                "{prefixes:?}"
            );
        }
    }
}

#[test]
fn up_to_eighty_queues_share_nothing() {
    let stack = assertions(distinct(QUEUES_APART_MAX));
    assert_eq!(stack.of_type("AWS::SQS::QueuePolicy").len(), QUEUES_APART_MAX + 2);
    assert_eq!(stack.of_type("AWS::SQS::Queue").len(), 2 * QUEUES_APART_MAX + 1);
    assert!(!stack.resources().contains_key("SharedDeadLetters"));
    let stack = assertions(distinct(QUEUES_APART_MAX + 1));
    assert!(stack.resources().contains_key("SharedDeadLetters"));
    assert!(!stack.resources().keys().any(|id| id.ends_with("Dlq")));
}

/// When a stack grows or shrinks, `CloudFormation` removes policies last, and must not remove a queue's new policy with its old one.
#[test]
fn removing_a_policy_leaves_no_queue_without_one() {
    for (before, after) in [(QUEUES_APART_MAX, 90), (90, QUEUES_APART_MAX), (120, 200), (200, 120)] {
        let (before, after) = (assertions(distinct(before)), assertions(distinct(after)));
        let (old, new) = (of_queues(&before), of_queues(&after));
        for (queue, policy) in old.iter().filter(|(queue, _)| new.contains_key(*queue) && queue.ends_with("Queue")) {
            let stays = after.resources().contains_key(policy);
            let kept = before.resource(policy)["DeletionPolicy"] == "RetainExceptOnCreate";
            assert!(if stays { new[queue] == *policy } else { kept }, "{queue} is left without a policy by {policy}");
        }
    }
}

#[test]
fn existing_queues_mappings_and_outputs_are_not_replaced_when_a_stack_grows() {
    let (few, many) = (assertions(distinct(QUEUES_APART_MAX)), assertions(distinct(150)));
    for (id, resource) in few.of_type("AWS::Lambda::EventSourceMapping") {
        assert_eq!(resource, many.resource(id), "{id}");
    }
    for (id, queue) in few.of_type("AWS::SQS::Queue").into_iter().filter(|(id, _)| id.ends_with("Queue")) {
        assert_eq!(queue["Properties"]["QueueName"], many.properties(id)["QueueName"], "{id} would be replaced");
    }
    for (name, output) in few.json()["Outputs"].as_object().unwrap() {
        assert_eq!(*output, many.json()["Outputs"][name], "{name}");
    }
}

#[test]
fn queue_urls_that_exceed_the_number_of_outputs_are_left_out_with_a_note() {
    let template = template(distinct(200));
    let notes: Vec<String> = template.notes().iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.contains("more queues than the 200 outputs of a stack")), "{notes:?}");
    let outputs = template.as_value()["Outputs"].as_object().unwrap();
    assert_eq!(outputs.len(), 11);
    assert!(outputs.contains_key("SharedDeadLettersUrl"));
}

#[test]
fn too_many_queues_for_a_stack_are_a_problem_that_states_the_limit() {
    let found = common::problems(&synth::LoaderProps { queues: of_one_bucket(240), ..Default::default() });
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("resources: a stack has 500, so deploy two with fewer queues"), "{found:#?}");
}

#[test]
fn two_hundred_buckets_with_the_longest_names_fit_into_a_stack() {
    let queue = |number: usize| {
        queue_with(&format!("q{number}"), |value| {
            value["source"] = json!(format!("s3://{}-{number:03}/x/", "b".repeat(59)));
        })
    };
    assert!(template((0..200).map(queue).collect()).resources() <= RESOURCES_MAX);
}

/// The policy of each queue, by the queue's logical ID.
fn of_queues(stack: &Assertions) -> BTreeMap<String, String> {
    let mut policies = BTreeMap::new();
    for (id, policy) in stack.of_type("AWS::SQS::QueuePolicy") {
        for queue in list(&policy["Properties"]["Queues"]) {
            let taken = policies.insert(queue["Ref"].as_str().unwrap().to_owned(), id.to_owned());
            assert_eq!(taken, None, "two policies for {queue}: the last one wins");
        }
    }
    policies
}

/// The buckets on behalf of which S3 may send to a policy's queues.
fn senders(stack: &Assertions, policy: &str) -> Vec<Json> {
    let statements = list(&stack.properties(policy)["PolicyDocument"]["Statement"]);
    statements.iter().flat_map(|statement| list(&statement["Condition"]["ArnEquals"]["aws:SourceArn"])).collect()
}
