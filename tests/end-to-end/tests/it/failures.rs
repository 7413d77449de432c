//! Statements that fail: the operator's turn, stopped by hand, bad files among good ones, quarantine and back.

use std::time::{SystemTime, UNIX_EPOCH};

use end_to_end::files::{csv, parquet, rows};
use end_to_end::tracker::{self, Tracked};
use end_to_end::{Row, Spec, row};
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::{RunningLoad, Step};
use loader_core::tracker::operator;

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    vec![
        Spec::append("no_table_yet"),
        Spec::append("stopped"),
        Spec::append("corrupt").with("copy.options", "PARQUET").silent(),
        Spec::append("bad_csv").silent(),
        Spec::append("two_bad").with("copy.options", "PARQUET").silent(),
        Spec::append("retried"),
    ]
}

/// Why a load waits.
fn waits_for(running: &RunningLoad) -> Option<(FailureClass, &str)> {
    if let Step::Waiting { class, reason, .. } = &running.step { Some((*class, reason)) } else { None }
}

fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_millis()).expect("a near future")
}

/// Statements that one bad file among `n_files` may cost beside the first.
fn extra_statements_max(n_files: usize) -> usize {
    let halvings = usize::try_from(n_files.next_power_of_two().ilog2()).expect("few");
    2 * halvings + 2
}

#[test]
fn a_missing_table_is_the_operators_turn_and_loads_once_it_is_created() {
    SUITE.run(async |world| {
        let table = world.table("no_table_yet");
        // The database is created when it is first used.
        table.execute("SELECT 1").await;
        table.put_csv("a.csv", &rows(0, 10, "n")).await;
        let waits = |items: &loader_core::tracker::write::Items| items.running().and_then(waits_for).is_some();
        let items = table.sweep_until("the load waits", waits).await;
        let (class, reason) = items.running().and_then(waits_for).expect("it waits");
        assert_eq!(class, FailureClass::OperatorsTurn, "{reason}");
        assert!(reason.contains("no_table_yet"), "{reason}");
        assert!(items.failed().is_empty());
        table.create().await;
        table.drain(1).await;
        table.assert_rows(&rows(0, 10, "n")).await;
    });
}

#[test]
fn a_statement_that_was_stopped_by_hand_is_loaded_again() {
    SUITE.run(async |world| {
        let table = world.table("stopped");
        table.create().await;
        table.hold("COMMIT").await;
        table.put_csv("a.csv", &rows(0, 10, "s")).await;
        let is_submitted = |items: &loader_core::tracker::write::Items| {
            items.running().is_some_and(|running| running.statement_id().is_some())
        };
        let items = table.until("the load runs", is_submitted).await;
        let id = items.running().and_then(RunningLoad::statement_id).expect("submitted").to_owned();
        let cancel = world.clients.redshift_data.cancel_statement().id(&id).send().await;
        assert_eq!(cancel.expect("the service answers").status, Some(true));
        table.release().await;
        table.drain(1).await;
        let statuses: Vec<String> = table.statements().await.iter().map(|s| s["status"].to_string()).collect();
        assert_eq!(statuses, [r#""FINISHED""#, r#""ABORTED""#]);
        table.assert_rows(&rows(0, 10, "s")).await;
    });
}

#[test]
fn a_corrupt_parquet_file_among_sixteen_good_ones_is_alone_in_quarantine() {
    SUITE.run(async |world| {
        let table = world.table("corrupt");
        table.create().await;
        let names: Vec<String> = (0..17).map(|n| format!("{n:02}.parquet")).collect();
        let mut expected: Vec<Row> = Vec::new();
        for (name, first) in names.iter().zip((0..).step_by(10)) {
            let rows = rows(first, 10, "p");
            if first == 110 {
                table.put(name, b"PAR1 but not really PAR1".to_vec()).await;
            } else {
                table.put(name, parquet(&rows)).await;
                expected.extend(rows);
            }
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        table.send(&table.notification(&names).await.to_string()).await;
        let items = table.drain(17).await;
        table.assert_rows(&expected).await;
        let failed = items.failed();
        assert_eq!(failed.len(), 1, "{failed:#?}");
        let keys: Vec<&str> = failed[0].objects.iter().map(|waiting| waiting.object.key.as_str()).collect();
        assert_eq!(keys, ["corrupt/11.parquet"]);
        assert_eq!(failed[0].class, FailureClass::BadInput, "{}", failed[0].error);
        assert!(failed[0].error.contains("11.parquet"), "the warehouse's words: {}", failed[0].error);
        let n_extra = table.statements().await.len() - 1;
        assert!(n_extra <= extra_statements_max(17), "{n_extra} extra statements");
    });
}

#[test]
fn a_csv_file_with_a_bad_number_is_alone_in_quarantine_with_line_and_column() {
    SUITE.run(async |world| {
        let table = world.table("bad_csv");
        table.create().await;
        let names = ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv"];
        for (name, first) in names.iter().zip([0, 10, 20, 30, 40]) {
            table.put_csv(name, &rows(first, 10, "b")).await;
        }
        table.put("bad.csv", b"1,2026-01-31 10:00:00,x\nseven,2026-01-31 10:00:00,x\n".to_vec()).await;
        table.send(&table.notification(&[&names[..], &["bad.csv"]].concat()).await.to_string()).await;
        let items = table.drain(6).await;
        table.assert_rows(&rows(0, 50, "b")).await;
        let failed = items.failed();
        assert_eq!(failed.len(), 1, "{failed:#?}");
        assert_eq!(failed[0].objects[0].object.key, "bad_csv/bad.csv");
        for word in ["bad.csv", "line 2", "id"] {
            assert!(failed[0].error.contains(word), "`{word}` is missing: {}", failed[0].error);
        }
        let n_extra = table.statements().await.len() - 1;
        assert!(n_extra <= extra_statements_max(6), "{n_extra} extra statements");
    });
}

#[test]
fn two_bad_files_of_two_kinds_harm_only_themselves() {
    SUITE.run(async |world| {
        let table = world.table("two_bad");
        table.create().await;
        let names: Vec<String> = (0..8).map(|n| format!("{n}.parquet")).collect();
        let mut expected: Vec<Row> = Vec::new();
        for (name, first) in names.iter().zip((0..).step_by(10)) {
            let rows = rows(first, 10, "t");
            match first {
                20 => table.put(name, csv(&rows)).await,
                70 => table.put(name, parquet(&rows)[..100].to_vec()).await,
                _ => {
                    table.put(name, parquet(&rows)).await;
                    expected.extend(rows);
                }
            }
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        table.send(&table.notification(&names).await.to_string()).await;
        let items = table.drain(8).await;
        table.assert_rows(&expected).await;
        let mut keys: Vec<String> =
            items.failed().iter().flat_map(|failed| &failed.objects).map(|o| o.object.key.clone()).collect();
        keys.sort();
        assert_eq!(keys, ["two_bad/2.parquet", "two_bad/7.parquet"]);
    });
}

#[test]
fn a_quarantined_file_loads_once_when_its_cause_is_removed_and_it_is_retried() {
    SUITE.run(async |world| {
        let table = world.table("retried");
        table.create_with("id integer, at timestamp, note varchar(3)").await;
        let expected = [row(1, "2026-01-31 10:00:00", "much too long")];
        table.put_csv("long.csv", &expected).await;
        let items = table.drain(1).await;
        let failed = items.failed();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].class, FailureClass::BadInput, "{}", failed[0].error);
        table.execute(&format!("DROP TABLE {}", table.config.target.table)).await;
        table.create().await;
        let retry = operator::retry(failed[0], 86_400_000, now_millis());
        for attempt in ["taken", "refused"] {
            let written = tracker::write(&world.clients, table.deployment.tracker(), &retry).await;
            assert_eq!(written.is_ok(), attempt == "taken", "{attempt}: {written:?}");
        }
        table.drain(1).await;
        table.assert_rows(&expected).await;
    });
}
