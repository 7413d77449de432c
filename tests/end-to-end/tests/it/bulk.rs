//! Whole folders, by request, beside what arrives by itself.

use end_to_end::files::{csv, rows};
use end_to_end::spec::SOURCE_BUCKET;
use end_to_end::tracker::Tracked;
use end_to_end::{Spec, Table};
use futures::future::join;
use loader_core::contract::Function;
use serde_json::{Value, json};

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    ["bulk_beside", "bulk_again", "bulk_prefix"].map(Spec::append).to_vec()
}

async fn bulk(table: &Table<'_>, folder: &str) -> Value {
    let request = json!({
        "paths": [{"s3_path": format!("s3://{SOURCE_BUCKET}/{folder}"), "table": table.config.target.table.to_string()}],
        "copy": {"role_arn": "default", "options": "CSV"},
        "cluster": table.cluster(),
    });
    let answer = table.invoke(Function::BulkLoader, &request).await.unwrap_or_else(|error| panic!("{error}"));
    answer[0].clone()
}

#[test]
fn a_bulk_load_beside_live_files_loads_everything_once() {
    SUITE.run(async |world| {
        let table = world.table("bulk_beside");
        table.create().await;
        for n in 0..20 {
            table.put_at(&format!("archive-beside/{n}.csv"), csv(&rows(n * 10, 10, "old"))).await;
        }
        let live = async {
            for n in 0..20 {
                table.put_csv(&format!("{n}.csv"), &rows(1000 + n * 10, 10, "new")).await;
            }
        };
        let (answer, ()) = join(bulk(&table, "archive-beside/"), live).await;
        assert_eq!((&answer["objects"], &answer["new_objects"]), (&json!(20), &json!(20)), "{answer}");
        table.drain(40).await;
        table.assert_rows(&[rows(0, 200, "old"), rows(1000, 200, "new")].concat()).await;
    });
}

#[test]
fn a_bulk_load_over_loaded_files_loads_nothing_twice() {
    SUITE.run(async |world| {
        let table = world.table("bulk_again");
        table.create().await;
        table.put_csv("a.csv", &rows(1, 10, "a")).await;
        table.put_csv("b.csv", &rows(11, 10, "a")).await;
        table.until_loaded(2).await;
        let answer = bulk(&table, "bulk_again/").await;
        assert_eq!((&answer["state"], &answer["new_objects"]), (&json!("loaded"), &json!(0)), "{answer}");
        table.drain(2).await;
        table.assert_rows(&rows(1, 20, "a")).await;
    });
}

#[test]
fn a_bulk_path_is_exactly_that_folder() {
    SUITE.run(async |world| {
        let table = world.table("bulk_prefix");
        table.create().await;
        table.put_at("archive-prefix/dt=2021-1/a.csv", csv(&rows(1, 10, "one"))).await;
        table.put_at("archive-prefix/dt=2021-10/a.csv", csv(&rows(11, 10, "ten"))).await;
        let answer = bulk(&table, "archive-prefix/dt=2021-1").await;
        assert_eq!(answer["objects"], json!(1), "{answer}");
        assert!(["submitted", "waiting"].contains(&answer["state"].as_str().unwrap_or_default()), "{answer}");
        let items = table.drain(1).await;
        assert_eq!(items.loaded().len(), 1);
        table.assert_rows(&rows(1, 10, "one")).await;
    });
}

#[test]
fn a_bulk_request_without_paths_is_answered_with_nothing() {
    SUITE.run(async |world| {
        let table = world.table("bulk_prefix");
        let answer = table.invoke(Function::BulkLoader, &json!({})).await;
        assert_eq!(answer, Ok(json!({})));
    });
}
