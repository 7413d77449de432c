//! What reaches a queue: odd keys, several records, other shapes, and messages that are none of it.

use end_to_end::Spec;
use end_to_end::diagnosis::log_lines;
use end_to_end::files::{csv, rows};
use end_to_end::{Row, wait};
use serde_json::json;

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    vec![
        Spec::append("odd_keys"),
        Spec::append("five_records").silent(),
        Spec::append("broken").visible_after(1),
        Spec::append("nothing_in_it"),
        Spec::append("shapes").silent(),
        Spec::append("unconfigured").unconfigured().visible_after(2),
        Spec::append("beside_unconfigured"),
    ]
}

#[test]
fn a_key_with_space_plus_percent_equals_and_umlaut_is_loaded() {
    SUITE.run(async |world| {
        let table = world.table("odd_keys");
        table.create().await;
        let names = ["a b+c%d=e ü.csv", "dt=2026-01-31/50%25 off.csv", "a+b.csv", "a b.csv", "ñ/日本.csv"];
        let mut expected: Vec<Row> = Vec::new();
        for (name, first) in names.iter().zip([0, 10, 20, 30, 40]) {
            table.put_csv(name, &rows(first, 10, "k")).await;
            expected.extend(rows(first, 10, "k"));
        }
        table.until_loaded(5).await;
        table.assert_rows(&expected).await;
    });
}

#[test]
fn every_record_of_a_message_with_five_is_loaded() {
    SUITE.run(async |world| {
        let table = world.table("five_records");
        table.create().await;
        let names = ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv"];
        for (name, first) in names.iter().zip([0, 10, 20, 30, 40]) {
            table.put_csv(name, &rows(first, 10, "f")).await;
        }
        table.send(&table.notification(&names).await.to_string()).await;
        table.until_loaded(5).await;
        table.assert_rows(&rows(0, 50, "f")).await;
    });
}

#[test]
fn a_broken_message_fails_alone_and_ends_in_the_dead_letter_queue() {
    SUITE.run(async |world| {
        let table = world.table("broken");
        table.create().await;
        let test_event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "RequestId": "r"});
        table.send("this is not JSON").await;
        table.send(&test_event.to_string()).await;
        table.send(r#"{"hello": "world"}"#).await;
        table.put_csv("a.csv", &rows(1, 10, "g")).await;
        table.drain(1).await;
        table.assert_rows(&rows(1, 10, "g")).await;

        let letters = wait::until(async || Some(table.dead_letters().await).filter(|letters| letters.len() >= 2)).await;
        let mut letters = letters.expect("the broken messages end in the dead-letter queue");
        letters.sort();
        letters.dedup();
        assert_eq!(letters, ["this is not JSON", r#"{"hello": "world"}"#]);
        for rule in ["the message is not JSON", "the message has neither `Records` nor `source: aws.s3`"] {
            assert!(!log_lines(world.stack.info(), rule).is_empty(), "the log does not say `{rule}`");
        }
    });
}

#[test]
fn empty_objects_and_folder_markers_are_skipped() {
    SUITE.run(async |world| {
        let table = world.table("nothing_in_it");
        table.create().await;
        table.put("empty.csv", Vec::new()).await;
        table.put("folder/", Vec::new()).await;
        table.put_csv("folder/a.csv", &rows(1, 10, "n")).await;
        let items = table.drain(1).await;
        table.assert_rows(&rows(1, 10, "n")).await;
        assert_eq!(end_to_end::table::n_loaded(&items), 1);
    });
}

#[test]
fn notifications_by_sns_and_by_event_bridge_are_read() {
    SUITE.run(async |world| {
        let table = world.table("shapes");
        table.create().await;
        for (name, first) in [("by sns.csv", 0), ("by+bridge.csv", 10)] {
            table.put_csv(name, &rows(first, 10, "s")).await;
        }
        let plain = table.notification(&["by sns.csv"]).await.to_string();
        table.send(&json!({"Type": "Notification", "Message": plain}).to_string()).await;
        let record = table.notification(&["by+bridge.csv"]).await["Records"][0]["s3"].clone();
        let object = json!({
            "key": "shapes/by+bridge.csv", "size": record["object"]["size"], "etag": record["object"]["eTag"],
        });
        let event = json!({
            "source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": record["bucket"], "object": object},
        });
        table.send(&event.to_string()).await;
        table.drain(2).await;
        table.assert_rows(&rows(0, 20, "s")).await;
    });
}

#[test]
fn a_queue_without_configuration_fails_only_its_own_messages() {
    SUITE.run(async |world| {
        let (table, other) = (world.table("unconfigured"), world.table("beside_unconfigured"));
        table.create().await;
        other.create().await;
        table.put("a.csv", csv(&rows(1, 10, "u"))).await;
        other.put("a.csv", csv(&rows(1, 10, "u"))).await;
        other.until_loaded(1).await;
        other.assert_rows(&rows(1, 10, "u")).await;
        let missing = format!("rs-loader-config/{}unconfigured.json", table.deployment.queue_prefix);
        let said = wait::until(async || {
            let lines = log_lines(world.stack.info(), &missing);
            lines.into_iter().find(|line| line.contains("refused") && line.contains("the queue has no configuration"))
        });
        assert!(said.await.is_some(), "the log does not name {missing}");
        table.assert_rows(&[]).await;

        table.deployment.configure(&world.clients, "unconfigured", &table.spec.config).await.expect("configured");
        // What went to the dead-letter queue in the meantime is sent again, as an operator would.
        for letter in table.dead_letters().await {
            table.send(&letter).await;
        }
        table.drain(1).await;
        table.assert_rows(&rows(1, 10, "u")).await;
    });
}
