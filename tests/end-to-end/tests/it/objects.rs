//! Objects that change or go while they wait.

use end_to_end::Spec;
use end_to_end::files::rows;
use end_to_end::tracker::Tracked;
use loader_core::outcome::FailureClass;
use loader_core::tracker::write::Items;
use serde_json::json;

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    let paused = json!({"paused": true});
    vec![
        Spec::append("deleted").with("load", paused.clone()),
        Spec::append("deleted_late"),
        Spec::append("overwritten").with("load", paused.clone()),
        Spec::append("overwritten_unheard").with("load", paused).silent(),
        Spec::append("new_version"),
    ]
}

async fn resume(table: &end_to_end::Table<'_>) {
    let resumed = table.spec.clone().with("load", json!({}));
    table.deployment.configure(&table.world.clients, &table.spec.name, &resumed.config).await.expect("configured");
}

#[test]
fn a_file_that_is_deleted_while_it_waits_harms_only_itself() {
    SUITE.run(async |world| {
        let table = world.table("deleted");
        table.create().await;
        for n in 0..3 {
            table.put_csv(&format!("{n}.csv"), &rows(n * 10, 10, "d")).await;
        }
        table.until("all wait", |items| crate::paths::n_waiting(items) == 3).await;
        table.delete("1.csv").await;
        resume(&table).await;
        let items = table.drain(3).await;
        table.assert_rows(&[rows(0, 10, "d"), rows(20, 10, "d")].concat()).await;
        let failed = items.failed();
        assert_eq!((failed.len(), failed[0].class), (1, FailureClass::Deleted));
        assert_eq!(failed[0].objects[0].object.key, "deleted/1.csv");
    });
}

#[test]
fn a_file_that_is_deleted_between_manifest_and_copy_harms_only_itself() {
    SUITE.run(async |world| {
        let table = world.table("deleted_late");
        table.create().await;
        table.hold("SUBMITTED").await;
        table.put_csv("first.csv", &rows(0, 10, "d")).await;
        let is_submitted = |items: &Items| items.running().is_some_and(|running| running.statement_id().is_some());
        table.until("the first runs", is_submitted).await;
        table.put_csv("a.csv", &rows(10, 10, "d")).await;
        table.delete("first.csv").await;
        table.release().await;
        let items = table.drain(2).await;
        table.assert_rows(&rows(10, 10, "d")).await;
        assert_eq!(items.failed()[0].class, FailureClass::Deleted);
    });
}

#[test]
fn a_file_that_is_overwritten_while_it_waits_is_loaded_once_as_it_is_now() {
    SUITE.run(async |world| {
        let table = world.table("overwritten");
        table.create().await;
        table.put_csv("a.csv", &rows(0, 10, "old")).await;
        table.until("it waits", |items| crate::paths::n_waiting(items) == 1).await;
        table.put_csv("a.csv", &rows(0, 25, "new")).await;
        table.until("both versions wait", |items| crate::paths::n_waiting(items) == 2).await;
        resume(&table).await;
        table.drain(1).await;
        table.assert_rows(&rows(0, 25, "new")).await;
    });
}

#[test]
fn the_notification_of_an_overwrite_may_come_after_its_load() {
    SUITE.run(async |world| {
        let table = world.table("overwritten_unheard");
        table.create().await;
        table.put_csv("a.csv", &rows(0, 10, "old")).await;
        table.send(&table.notification(&["a.csv"]).await.to_string()).await;
        table.until("it waits", |items| crate::paths::n_waiting(items) == 1).await;
        table.put_csv("a.csv", &rows(0, 25, "new")).await;
        let late = table.notification(&["a.csv"]).await.to_string();
        resume(&table).await;
        table.drain(1).await;
        table.assert_rows(&rows(0, 25, "new")).await;
        table.send(&late).await;
        table.drain(1).await;
        table.assert_rows(&rows(0, 25, "new")).await;
    });
}

#[test]
fn a_new_version_of_a_loaded_file_is_a_new_file() {
    SUITE.run(async |world| {
        let table = world.table("new_version");
        table.create().await;
        table.put_csv("a.csv", &rows(0, 10, "v")).await;
        table.until_loaded(1).await;
        table.put_csv("a.csv", &rows(10, 10, "v")).await;
        table.until_loaded(2).await;
        table.assert_rows(&rows(0, 20, "v")).await;
    });
}
