//! Tests of calls through the gateway without toxics.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use local_client::StackInfo;

use crate::support::{create_function, dynamodb, lambda, redshift_data, s3, shared, sqs};

/// Creates a table with a string key named `id`.
pub async fn create_table(info: &StackInfo, name: &str) {
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().expect("a key");
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    dynamodb(&info.endpoint, None)
        .create_table()
        .table_name(name)
        .key_schema(key)
        .attribute_definitions(attribute.build().expect("an attribute"))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .expect("the table is created");
}

#[tokio::test]
async fn an_object_put_through_the_gateway_becomes_a_message() {
    let stack = shared().await;
    let (s3, sqs) = (s3(&stack.info.endpoint, None), sqs(&stack.info.endpoint, None));
    s3.create_bucket().bucket("source").send().await.expect("a bucket");
    let queue = sqs.create_queue().queue_name("notifications").send().await.expect("a queue");
    let queue = queue.queue_url.expect("a queue URL");
    assert!(queue.starts_with(&stack.info.endpoint), "`{queue}` is not a URL of the gateway");
    let notification = QueueConfiguration::builder()
        .queue_arn("arn:aws:sqs:us-east-1:000000000000:notifications")
        .events(Event::S3ObjectCreated);
    let notification = NotificationConfiguration::builder().queue_configurations(notification.build().expect("valid"));
    let put = s3.put_bucket_notification_configuration().bucket("source");
    put.notification_configuration(notification.build()).send().await.expect("notifications are on");

    let body = vec![7; 300_000];
    let put = s3.put_object().bucket("source").key("a folder/ü+%=.csv").body(ByteStream::from(body.clone()));
    put.send().await.expect("the object is put");

    let mut bodies = String::new();
    while !bodies.contains("ObjectCreated:Put") {
        let received = sqs.receive_message().queue_url(&queue).wait_time_seconds(5).send().await.expect("a response");
        for message in received.messages() {
            bodies.push_str(message.body().unwrap_or_default());
        }
    }
    assert!(bodies.contains("s3:TestEvent"));
    assert!(bodies.contains("a+folder/%C3%BC%2B%25%3D.csv"), "{bodies}");
    let head = s3.head_object().bucket("source").key("a folder/ü+%=.csv").send().await.expect("a head");
    assert_eq!(head.content_length(), Some(300_000));
    let got = s3.get_object().bucket("source").key("a folder/ü+%=.csv").send().await.expect("the object");
    assert_eq!(got.body.collect().await.expect("the body").to_vec(), body);
}

#[tokio::test]
async fn a_long_poll_waits_for_its_wait_time() {
    let stack = shared().await;
    let sqs = sqs(&stack.info.endpoint, None);
    let queue = sqs.create_queue().queue_name("empty").send().await.expect("a queue").queue_url.expect("a URL");
    let started = Instant::now();
    let received = sqs.receive_message().queue_url(queue).wait_time_seconds(1).send().await.expect("a response");
    assert!(received.messages().is_empty());
    assert!(started.elapsed().as_millis() >= 900);
}

#[tokio::test]
async fn calls_are_counted_per_port_service_and_operation() {
    let stack = shared().await;
    let users = s3(&stack.info.endpoint, None);
    let functions = dynamodb(&stack.info.functions_endpoint, None);
    users.list_buckets().send().await.expect("buckets");
    functions.list_tables().send().await.expect("tables");
    functions.list_tables().send().await.expect("tables");

    let calls = stack.gateway.calls().await.expect("counts");
    assert_eq!(calls.users["s3"]["ListBuckets"], 1);
    assert_eq!(calls.functions["dynamodb"]["ListTables"], 2);
    let log = stack.gateway.log(0).await.expect("a log");
    assert_eq!(log.len(), 3);
    assert_eq!(log[1].pid, Some(std::process::id()), "the caller is known on the functions' port");
    assert!(log.iter().all(|entry| entry.status == Some(200)));
    stack.gateway.reset_calls().await.expect("a reset");
    assert!(stack.gateway.calls().await.expect("counts").users.is_empty());
}

#[tokio::test]
async fn data_api_calls_reach_the_stand_in() {
    let stack = shared().await;
    let client = redshift_data(&stack.info.endpoint, None);
    let submit = client.execute_statement().cluster_identifier("one").database("dev").db_user("loader");
    let submitted = submit.sql("select 1").send().await.expect("a statement");
    let id = submitted.id.expect("an id");
    client.describe_statement().id(id).send().await.expect("a description");
    let calls = stack.gateway.calls().await.expect("counts");
    assert_eq!(calls.users["redshift-data"]["ExecuteStatement"], 1);
}

#[tokio::test]
async fn a_batch_is_collected_up_to_its_size_and_window() {
    let stack = shared().await;
    let (sqs, lambda) = (sqs(&stack.info.endpoint, None), lambda(&stack.info.endpoint, None));
    let queue = sqs.create_queue().queue_name("batches").send().await.expect("a queue").queue_url.expect("a URL");
    create_function(&stack.info, "batches", "any").await;
    let mapping = lambda.create_event_source_mapping().function_name("batches");
    let mapping = mapping.event_source_arn("arn:aws:sqs:us-east-1:000000000000:batches");
    let mapping = mapping.batch_size(14).maximum_batching_window_in_seconds(2).send().await.expect("a mapping");
    let mapping = mapping.uuid.expect("an id");

    for number in 0..19 {
        sqs.send_message().queue_url(&queue).message_body(number.to_string()).send().await.expect("a message");
    }
    for n_records in [14, 5] {
        let expected = format!("OK - {n_records} records");
        let started = Instant::now();
        loop {
            let found = lambda.get_event_source_mapping().uuid(&mapping).send().await.expect("the mapping");
            if found.last_processing_result() == Some(&expected) {
                break;
            }
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{:?}, not {expected}",
                found.last_processing_result()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
