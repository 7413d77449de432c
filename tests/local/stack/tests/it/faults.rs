//! Tests of every kind of toxic.

use std::time::Instant;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use local_client::{PortFilter, Toxic, ToxicKind};
use serde_json::{Value, json};

use crate::services::create_table;
use crate::support::{Shared, create_function, dynamodb, invoke, s3, shared};

/// Adds 1 to a counter through the functions' port and returns its new value.
async fn add(stack: &Shared, table: &str, id: &str) -> Result<String, String> {
    let client = dynamodb(&stack.info.functions_endpoint, None);
    let update = client.update_item().table_name(table).key("id", AttributeValue::S(id.into()));
    let update = update.update_expression("ADD n :one").return_values(ReturnValue::UpdatedNew);
    let updated = update.expression_attribute_values(":one", AttributeValue::N("1".into())).send().await;
    match updated {
        Ok(updated) => Ok(updated.attributes.expect("attributes")["n"].as_n().expect("a number").clone()),
        Err(error) => Err(format!("{error:?}")),
    }
}

async fn set(stack: &Shared, toxic: Toxic) {
    stack.gateway.add_toxic(&toxic).await.expect("the toxic is added");
}

fn on_update(kind: ToxicKind) -> Toxic {
    Toxic::new(kind).on("dynamodb", "UpdateItem").once_after(0)
}

#[tokio::test]
async fn toxics_of_each_kind_have_their_effect() {
    let stack = shared().await;
    create_table(&stack.info, "faults").await;
    let error = ToxicKind::Error { status: 400, code: "TransactionConflictException".into(), message: "busy".into() };
    set(&stack, on_update(error)).await;
    let failure = add(&stack, "faults", "a").await.expect_err("an error");
    assert!(failure.contains("TransactionConflictException") && failure.contains("busy"), "{failure}");

    set(&stack, on_update(ToxicKind::Throttle)).await;
    let failure = add(&stack, "faults", "a").await.expect_err("throttled");
    assert!(failure.contains("ThrottlingException"), "{failure}");

    set(&stack, on_update(ToxicKind::DropRequest)).await;
    add(&stack, "faults", "a").await.expect_err("no response");
    assert_eq!(add(&stack, "faults", "a").await.as_deref(), Ok("1"), "no earlier call took effect");

    set(&stack, on_update(ToxicKind::DropResponse)).await;
    add(&stack, "faults", "a").await.expect_err("no response");
    assert_eq!(add(&stack, "faults", "a").await.as_deref(), Ok("3"), "the dropped call took effect");

    set(&stack, on_update(ToxicKind::Double)).await;
    assert_eq!(add(&stack, "faults", "a").await.as_deref(), Ok("5"), "the doubled call took effect twice");

    set(&stack, on_update(ToxicKind::DelayMillis(300))).await;
    let started = Instant::now();
    assert_eq!(add(&stack, "faults", "a").await.as_deref(), Ok("6"));
    assert!(started.elapsed().as_millis() >= 300);

    let toxics = stack.gateway.toxics().await.expect("toxics");
    assert!(toxics.iter().all(|state| state.applied == 1), "{toxics:?}");
    stack.gateway.remove_toxic(toxics[0].toxic.id.as_deref().expect("an id")).await.expect("removed");
    assert_eq!(stack.gateway.toxics().await.expect("toxics").len(), toxics.len() - 1);
}

#[tokio::test]
async fn toxics_apply_to_users_only_if_their_port_is_given() {
    let stack = shared().await;
    let client = s3(&stack.info.endpoint, None);
    set(&stack, Toxic::new(ToxicKind::Throttle).on("s3", "ListBuckets")).await;
    client.list_buckets().send().await.expect("toxics are for functions by default");
    set(&stack, Toxic::new(ToxicKind::Throttle).on("s3", "ListBuckets").port(PortFilter::Users)).await;
    let failure = format!("{:?}", client.list_buckets().send().await.expect_err("throttled"));
    assert!(failure.contains("SlowDown"), "{failure}");
}

#[tokio::test]
async fn a_function_is_killed_before_or_after_its_call_took_effect() {
    let stack = shared().await;
    create_table(&stack.info, "kills").await;
    create_function(&stack.info, "killed", "none").await;
    let put = |id: &str| json!({"put": {"TableName": "kills", "Item": {"id": {"S": id}}}});
    let mut toxic = Toxic::new(ToxicKind::KillBefore).on("dynamodb", "PutItem").once_after(1);
    toxic.function = Some("killed".into());
    set(&stack, toxic).await;

    assert_eq!(invoke(&stack.info, "killed", &put("first")).await, Ok(json!({})));
    let failure = invoke(&stack.info, "killed", &put("second")).await.expect_err("killed");
    assert!(failure.contains("Runtime exited"), "{failure}");

    set(&stack, Toxic::new(ToxicKind::KillAfter).on("dynamodb", "PutItem").once_after(0)).await;
    let failure = invoke(&stack.info, "killed", &put("third")).await.expect_err("killed");
    assert!(failure.contains("Runtime exited"), "{failure}");
    assert_eq!(invoke(&stack.info, "killed", &put("fourth")).await, Ok(json!({})));

    let scanned = dynamodb(&stack.info.endpoint, None).scan().table_name("kills").send().await.expect("items");
    let mut found: Vec<Value> = scanned.items().iter().map(|item| json!(item["id"].as_s().expect("text"))).collect();
    found.sort_by_key(ToString::to_string);
    assert_eq!(json!(found), json!(["first", "fourth", "third"]));
    let log = stack.gateway.log(0).await.expect("a log");
    let faults: Vec<_> = log.iter().filter_map(|entry| entry.fault.as_deref()).collect();
    assert_eq!(faults, ["kill_before", "kill_after"]);
    assert!(log.iter().filter(|entry| entry.fault.is_some()).all(|entry| entry.function.as_deref() == Some("killed")));
}
