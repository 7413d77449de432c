//! Where rows go: clusters, workgroups, schemas, odd names; and what the configuration file says meanwhile.

use std::time::Duration;

use end_to_end::Spec;
use end_to_end::files::{COLUMNS, rows};
use end_to_end::tracker::Tracked;
use serde_json::{Value, json};

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    let cluster = |name: &str| json!({"identifier": name, "db_name": "dev"});
    vec![
        Spec::append("cluster_one").with("copy.table_name", "public.shared").with("cluster", cluster("one")),
        Spec::append("cluster_two").with("copy.table_name", "public.shared").with("cluster", cluster("two")),
        Spec::append("workgroup").with("cluster", json!({"workgroup": "serverless", "db_name": "dev"})),
        Spec::append("schema").with("copy.table_name", "shop.Sales"),
        Spec::merge("quoting").with("copy.table_name", r#""odd schema"."my ""table"", 'quoted'""#),
        Spec::append("changed"),
        Spec::append("paused").with("load", json!({"paused": true})),
    ]
}

#[test]
fn two_clusters_with_the_same_table_name_are_two_tables() {
    SUITE.run(async |world| {
        let (one, two) = (world.table("cluster_one"), world.table("cluster_two"));
        one.create().await;
        two.create().await;
        one.hold("SUBMITTED").await;
        one.put_csv("a.csv", &rows(1, 10, "one")).await;
        two.put_csv("a.csv", &rows(1, 20, "two")).await;
        two.until_loaded(1).await;
        two.assert_rows(&rows(1, 20, "two")).await;
        one.assert_rows(&[]).await;
        one.release().await;
        one.until_loaded(1).await;
        one.assert_rows(&rows(1, 10, "one")).await;
        two.assert_rows(&rows(1, 20, "two")).await;
    });
}

#[test]
fn a_workgroup_is_loaded_like_a_cluster() {
    SUITE.run(async |world| {
        let table = world.table("workgroup");
        table.create().await;
        table.put_csv("a.csv", &rows(1, 10, "w")).await;
        table.until_loaded(1).await;
        table.assert_rows(&rows(1, 10, "w")).await;
    });
}

#[test]
fn a_table_in_a_schema_is_loaded() {
    SUITE.run(async |world| {
        let table = world.table("schema");
        table.execute("CREATE SCHEMA shop").await;
        table.create().await;
        table.put_csv("a.csv", &rows(1, 10, "s")).await;
        table.until_loaded(1).await;
        table.assert_rows(&rows(1, 10, "s")).await;
    });
}

#[test]
fn names_with_spaces_and_quotes_are_merged() {
    SUITE.run(async |world| {
        let table = world.table("quoting");
        table.execute(r#"CREATE SCHEMA "odd schema""#).await;
        table.create_with(COLUMNS).await;
        table.put_csv("a 'quoted' name.csv", &rows(1, 10, "q")).await;
        table.until_loaded(1).await;
        table.put_csv("again.csv", &rows(1, 12, "q")).await;
        table.until_loaded(2).await;
        table.assert_rows(&rows(1, 12, "q")).await;
    });
}

#[test]
fn a_configuration_that_is_changed_in_s3_is_seen() {
    SUITE.run(async |world| {
        let table = world.table("changed");
        table.create().await;
        table.put_csv("a.csv", &rows(1, 10, "c")).await;
        table.until_loaded(1).await;
        let changed = table.spec.clone().with("copy.options", "CSV DELIMITER '|'");
        table.deployment.configure(&world.clients, "changed", &changed.config).await.expect("configured");
        // The functions keep a configuration for a second here.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let text = String::from_utf8(end_to_end::files::csv(&rows(11, 10, "c"))).expect("text");
        table.put("b.psv", text.replace(',', "|").into_bytes()).await;
        table.until_loaded(2).await;
        table.assert_rows(&rows(1, 20, "c")).await;
    });
}

#[test]
fn a_paused_table_waits_until_it_is_resumed() {
    SUITE.run(async |world| {
        let table = world.table("paused");
        table.create().await;
        table.put_csv("a.csv", &rows(1, 10, "p")).await;
        table.until("the file waits", |items| items.n_pending() == 1).await;
        table.sweep().await;
        assert!(table.items().await.running().is_none());
        table.assert_rows(&[]).await;
        let resumed = table.spec.clone().with("load", Value::from(serde_json::Map::new()));
        table.deployment.configure(&world.clients, "paused", &resumed.config).await.expect("configured");
        table.drain(1).await;
        table.assert_rows(&rows(1, 10, "p")).await;
    });
}
