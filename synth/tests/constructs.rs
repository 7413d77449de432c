//! The tree of constructs: logical IDs, escape hatches, and constructs that are used wrongly.

mod common;

use common::assertions::Assertions;
use serde_json::json;
use synth::Problems;
use synth::l1::{CfnQueue, CfnQueueProps};
use synth::l2::{Queue, QueueProps, Role, SharedPolicy, Table, TableProps};
use synth::limits::{RESOURCES_MAX, TEMPLATE_OBJECT_BYTES_MAX};
use synth::scope::Stack;
use synth::value::Value;

fn problems(stack: Stack) -> Vec<String> {
    let Problems(found) = stack.synth("").expect_err("there are problems");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_duplicate_logical_id_is_a_problem_with_its_path() {
    let stack = Stack::new("S");
    for _ in 0..2 {
        CfnQueue::new(&stack.scope().child("A").child("B"), CfnQueueProps::default());
    }
    assert_eq!(problems(stack), ["`S/A/B`: logical id `AB` is taken: give the construct another id"]);
}

#[test]
fn any_property_can_be_set_by_its_name() {
    let stack = Stack::new("S");
    let queue = CfnQueue::new(
        &stack.scope().child("Q"),
        CfnQueueProps { VisibilityTimeout: Some(30_u32.into()), ..CfnQueueProps::default() },
    );
    queue.set("VisibilityTimeout", 60_u32);
    queue.set("KmsMasterKeyId", "alias/ours");
    let found = Assertions::from(&stack.synth("").unwrap());
    assert_eq!(*found.properties("Q"), json!({"VisibilityTimeout": 60, "KmsMasterKeyId": "alias/ours"}));
}

#[test]
fn a_queue_that_shares_its_policy_has_no_grants_of_its_own() {
    let stack = Stack::new("S");
    let shared = SharedPolicy::new(&stack.scope().child("Shared"));
    let props = QueueProps { shared_policy: Some(&shared), ..QueueProps::default() };
    Queue::new(&stack.scope().child("Q"), &props).grant_send_to_rule("arn".into());
    let found = problems(stack);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("`S/Q`: shares its policy with other queues"), "{found:?}");
}

#[test]
fn a_table_without_an_index_cannot_grant_scans() {
    let stack = Stack::new("S");
    let props = TableProps { partition_key: "p", sort_key: "s", ttl_attribute: "t", index: None, has_stream: false };
    let table = Table::new(&stack.scope().child("T"), &props);
    let role = Role::new(&stack.scope().child("R"), "", "lambda.amazonaws.com");
    table.grant_scan_index(&role);
    assert_eq!(problems(stack), ["`S/T`: has no index to scan: give one"]);
}

#[test]
fn a_visibility_timeout_beyond_twelve_hours_is_refused() {
    let stack = Stack::new("S");
    let props = QueueProps { visibility_timeout_seconds: Some(43_201), ..QueueProps::default() };
    Queue::new(&stack.scope().child("Q"), &props);
    assert_eq!(problems(stack), ["`S/Q`: visibility timeout `43201` s: at most 43200 s"]);
}

#[test]
fn a_dangling_reference_is_found() {
    let stack = Stack::new("S");
    let props = CfnQueueProps { QueueName: Some(Value::sub("${Nobody.Name}-${!Literal}")), ..CfnQueueProps::default() };
    CfnQueue::new(&stack.scope().child("Q"), props);
    assert_eq!(Assertions::from(&stack.synth("").unwrap()).dangling_references(), ["Nobody"]);
}

#[test]
fn a_stack_with_too_many_resources_is_refused() {
    let stack = Stack::new("S");
    for number in 0..=RESOURCES_MAX {
        CfnQueue::new(&stack.scope().child(&format!("Q{number}")), CfnQueueProps::default());
    }
    assert_eq!(problems(stack), ["`S`: `501` resources: a stack has 500, so deploy two with fewer queues"]);
}

#[test]
fn a_template_larger_than_cloudformation_reads_from_s3_is_refused() {
    let of = |bytes: usize| {
        let stack = Stack::new("S");
        let props = CfnQueueProps { QueueName: Some("n".repeat(bytes).into()), ..CfnQueueProps::default() };
        CfnQueue::new(&stack.scope().child("Q"), props);
        stack
    };
    let empty = of(0).synth("").unwrap().as_value().to_string().len();
    assert!(of(TEMPLATE_OBJECT_BYTES_MAX - 2 * empty).synth("").is_ok());
    let found = problems(of(TEMPLATE_OBJECT_BYTES_MAX));
    assert!(found[0].contains("bytes: CloudFormation takes 1000000"), "{found:?}");
}
