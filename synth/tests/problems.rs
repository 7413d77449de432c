//! Invalid inputs: all problems are reported at once, each with the path of its construct.

mod common;

use common::{problems, queue_with, template};
use serde_json::json;
use synth::{LoaderProps, QueueSource};

fn of_queues(queues: Vec<QueueSource>) -> Vec<String> {
    problems(&LoaderProps { queues, ..LoaderProps::default() })
}

#[test]
fn a_duplicate_queue_is_a_problem() {
    let found = of_queues(vec![queue_with("a", |_| {}), queue_with("a", |_| {})]);
    assert_eq!(found, ["`Loader/queues/a`: queue `a` exists twice: give each table its own"]);
}

#[test]
fn queue_names_that_sqs_refuses_are_problems() {
    let found = of_queues(vec![queue_with("a b", |_| {}), queue_with(&"x".repeat(61), |_| {})]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("`Loader/queues/a b`: `a b` is not a queue name (3 characters)"), "{found:#?}");
    assert!(found[1].contains("is not a queue name (61 characters): 1 to 60 letters"), "{found:#?}");
    template(vec![queue_with(&"x".repeat(60), |_| {})]);
}

#[test]
fn a_queue_with_the_name_of_a_dead_letter_queue_is_a_problem() {
    let found = of_queues(vec![queue_with("a", |_| {}), queue_with("a-dlq", |_| {})]);
    assert_eq!(
        found,
        ["`Loader/queues/a-dlq`: `a-dlq` is the name of another queue's dead-letter queue: give it another"]
    );
}

#[test]
fn all_props_out_of_range_are_reported_at_once() {
    let props = LoaderProps {
        queues: vec![queue_with("a", |_| {})],
        memory_mb: 64,
        log_retention_days: 31,
        max_receive_count: 1,
        maximum_concurrency: 1,
        manifest_days: 0,
        ..LoaderProps::default()
    };
    let found = problems(&props);
    let paths: Vec<&str> = found.iter().map(|text| text.split('`').nth(1).unwrap()).collect();
    let expected = [
        "Loader/LoaderBucket",
        "Loader/MicrobatchLoader/Logs",
        "Loader/MicrobatchLoader",
        "Loader/NextLoader/Logs",
        "Loader/NextLoader",
        "Loader/BulkLoader/Logs",
        "Loader/BulkLoader",
        "Loader/queues/a/Queue",
        "Loader/queues/a/Mapping",
    ];
    assert_eq!(paths, expected, "{found:#?}");
    let text = found.join("\n");
    for value in ["`64` MB", "`31` days", "`1`", "`0` days"] {
        assert!(text.contains(value), "{value} is not named in {text}");
    }
}

#[test]
fn more_permissions_than_a_role_can_have_are_a_problem() {
    let queue = |number: u32| {
        queue_with(&format!("queue-{number}"), |value| {
            value["source"] = json!(format!("s3://a-bucket-{number}/{}-{number}/", "f".repeat(300)));
        })
    };
    let found = of_queues((0..100).map(queue).collect());
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("`Loader/LoaderRole`: the permissions for the queues take `1"), "{found:#?}");
    assert!(found[0].contains("6144 characters, a role has 10: let queues share buckets"), "{found:#?}");
}

#[test]
fn what_is_valid_but_should_be_known_is_a_note() {
    let queue = queue_with("a", |value| {
        value["cluster"] = json!({"workgroup": "wg", "db_name": "d"});
        value.as_object_mut().unwrap().remove("source");
    });
    let notes: Vec<String> = template(vec![queue]).notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].starts_with("`Loader/queues/a`: names no `source`"), "{notes:#?}");
    assert!(notes[1].contains("write its ARN in `cluster.workgroup`"), "{notes:#?}");
}

#[test]
fn a_schedule_at_an_hour_that_clocks_can_skip_is_a_note() {
    let notes = |schedule: &str, zone: &str| {
        let queue = queue_with("a", |value| {
            value["bulk"] =
                json!([{"schedule": schedule, "s3_path": "s3://example-a/daily/{today:%Y}/", "timezone": zone}]);
        });
        template(vec![queue]).notes().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let night = notes("cron(30 2 * * ? *)", "Europe/Berlin");
    assert!(
        night.len() == 1 && night[0].starts_with("`Loader/queues/a/Bulk1`: `cron(30 2 * * ? *)` in Europe/Berlin"),
        "{night:?}"
    );
    assert!(notes("cron(30 2 * * ? *)", "UTC").is_empty() && notes("cron(30 4 * * ? *)", "Europe/Berlin").is_empty());
}
