//! Files that arrive: one, many, during a load, again and again.

use end_to_end::Spec;
use end_to_end::files::rows;
use end_to_end::table::Table;
use end_to_end::tracker::Tracked;
use futures::future::join_all;
use loader_core::tracker::write::Items;

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    let names = ["one_file", "many_a", "many_b", "many_c", "coalesce", "ten_times", "backlog"];
    names.iter().map(|name| Spec::append(name)).collect()
}

fn is_submitted(items: &Items) -> bool {
    items.running().is_some_and(|running| running.statement_id().is_some())
}

#[test]
fn one_file_becomes_rows() {
    SUITE.run(async |world| {
        let table = world.table("one_file");
        table.create().await;
        table.put_csv("a.csv", &rows(1, 100, "a")).await;
        let items = table.until_loaded(1).await;
        assert_eq!(items.loaded().len(), 1);
        table.assert_rows(&rows(1, 100, "a")).await;
    });
}

#[test]
fn two_hundred_files_over_three_tables_become_their_rows_in_few_loads() {
    async fn load(table: Table<'_>, n_files: i32) {
        table.create().await;
        let files: Vec<_> = (0..n_files).map(|n| (format!("{n}.csv"), rows(n * 10, 10, "m"))).collect();
        join_all(files.iter().map(|(name, rows)| table.put_csv(name, rows))).await;
        let items = table.until_loaded(n_files.unsigned_abs().into()).await;
        let n_loads = items.loaded().len();
        assert!(n_loads < 30, "{n_loads} loads for {n_files} files");
        table.assert_rows(&rows(0, n_files * 10, "m")).await;
    }
    SUITE.run(async |world| {
        let tables = [("many_a", 67), ("many_b", 67), ("many_c", 66)];
        join_all(tables.map(|(name, n_files)| load(world.table(name), n_files))).await;
    });
}

#[test]
fn files_that_arrive_during_a_load_become_one_next_load() {
    SUITE.run(async |world| {
        let table = world.table("coalesce");
        table.create().await;
        table.hold("SUBMITTED").await;
        table.put_csv("first.csv", &rows(0, 10, "c")).await;
        table.until("the first load runs", is_submitted).await;
        for n in 1..=10 {
            table.put_csv(&format!("{n}.csv"), &rows(n * 10, 10, "c")).await;
        }
        table.until("the others wait", |items| n_waiting(items) == 11).await;
        table.release().await;
        let items = table.until_loaded(11).await;
        let sizes: Vec<u64> = items.loaded().iter().map(|history| history.n_objects).collect();
        assert_eq!(sizes, [1, 10]);
        table.assert_rows(&rows(0, 110, "c")).await;
    });
}

#[test]
fn the_same_notification_ten_times_loads_once() {
    SUITE.run(async |world| {
        let table = world.table("ten_times");
        table.create().await;
        table.put_csv("a.csv", &rows(1, 10, "t")).await;
        let notification = table.notification(&["a.csv"]).await.to_string();
        join_all((0..5).map(|_| table.send(&notification))).await;
        table.drain(1).await;
        join_all((0..5).map(|_| table.send(&notification))).await;
        let items = table.drain(1).await;
        assert_eq!(items.loaded().len(), 1);
        table.assert_rows(&rows(1, 10, "t")).await;
    });
}

#[test]
fn a_backlog_of_more_than_forty_pending_loads_becomes_a_few_statements() {
    SUITE.run(async |world| {
        let table = world.table("backlog");
        table.create().await;
        table.hold("SUBMITTED").await;
        for n in 0..46 {
            table.put_csv(&format!("{n:02}.csv"), &rows(n, 1, "b")).await;
            let n_waiting = usize::try_from(n).expect("few") + 1;
            table.until("one more waits", |items| items.n_pending() == n_waiting).await;
        }
        table.until("the first load runs", is_submitted).await;
        table.release().await;
        table.until_loaded(46).await;
        assert!(table.statements().await.len() <= 4, "{} statements", table.statements().await.len());
        table.assert_rows(&rows(0, 46, "b")).await;
    });
}

/// Objects of waiting loads, those of the running load among them.
pub fn n_waiting(items: &Items) -> usize {
    use loader_core::tracker::item::Item;
    let objects = |item: &Item| if let Item::Pending(pending) = item { pending.objects.len() } else { 0 };
    items.values().map(objects).sum()
}
