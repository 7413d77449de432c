//! Loads without faults: every kind of message, key, file and configuration, from S3 to rows.

use acceptance::steps::{is_submitted, n_loaded, n_waiting};
use acceptance::table::{Table, append, csv, merge, row, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context as _, ensure};
use loader_core::contract::Function;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Tables of the first cluster.
const TABLES: [&str; 22] = [
    "one",
    "many1",
    "many2",
    "many3",
    "during",
    "ten",
    "ugly",
    "five",
    "broken",
    "twin1",
    "bulk",
    "folders",
    "together",
    "onebyone",
    "reverse",
    "schema-public",
    "schema-shop",
    "paused",
    "shared",
    "shared-paused",
    "versions",
    "late",
];

fn world() -> &'static World {
    world_of(|| {
        let elsewhere = [("twin2", second_cluster()), ("workgroup", workgroup())];
        Setup::of(TABLES.iter().map(|name| (*name, append(&name.replace('-', "_")))).chain(elsewhere))
    })
}

#[test]
fn one_file_becomes_its_rows() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "one", append("one")).await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a", "2,2026-01-01 00:00:00,b"])).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a", "2,2026-01-01 00:00:00,b"])).await
    });
}

#[test]
fn two_hundred_files_of_three_tables_are_loaded() {
    let world = world();
    world.run(async {
        let mut tables = Vec::new();
        for name in ["many1", "many2", "many3"] {
            tables.push((Table::new(world, name, append(name)).await?, Vec::new()));
        }
        for number in 0..200 {
            let (table, expected) = &mut tables[number % 3];
            let row = row(number);
            table.put(&format!("{number}.csv"), csv(&[&row])).await?;
            expected.push(row);
        }
        for (table, expected) in &tables {
            table.rest_with(expected).await?;
        }
        Ok(())
    });
}

#[test]
fn files_that_arrive_during_a_load_share_the_next_one() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "during", append("during")).await?;
        table.hold("SUBMITTED").await?;
        table.put("0.csv", csv(&["0,2026-01-01 00:00:00,x"])).await?;
        table.until("submitted", is_submitted).await?;
        let mut expected = rows(&["0,2026-01-01 00:00:00,x"]);
        for number in 1..=5 {
            let row = row(number);
            table.put(&format!("{number}.csv"), csv(&[&row])).await?;
            expected.push(row);
        }
        table.until("six objects recorded", |items| n_waiting(items) == 6).await?;
        table.release().await?;
        table.rest_with(&expected).await?;
        let sizes: Vec<u64> = table.loaded().await?.iter().map(|history| history.n_objects).collect();
        ensure!(sizes == [1, 5], "the loads had {sizes:?} objects");
        Ok(())
    });
}

#[test]
fn the_same_notification_ten_times_loads_once() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "ten", append("ten")).await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        let message = table.notification(&["a.csv"]).await?;
        for _ in 0..10 {
            table.send(message.clone()).await?;
        }
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        for _ in 0..3 {
            table.send(message.clone()).await?;
        }
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
    });
}

#[test]
fn keys_with_special_characters_are_loaded() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "ugly", append("ugly")).await?;
        let keys = [
            "a b.csv",
            "a+b.csv",
            "a%20b.csv",
            "dt=1/x.csv",
            "ü/é.csv",
            "quote'.csv",
            "%2B+ %.csv",
            "\u{1}\u{fffe}.csv",
        ];
        let mut expected = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let row = row(number);
            table.put(key, csv(&[&row])).await?;
            expected.push(row);
        }
        table.rest_with(&expected).await
    });
}

#[test]
fn a_message_with_five_records_is_loaded() {
    let world = world();
    world.run(async {
        let table = Table::without_notifications(world, "five", append("five")).await?;
        let keys = ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv"];
        let expected: Vec<String> = (0..keys.len()).map(row).collect();
        for (key, row) in keys.iter().zip(&expected) {
            table.put(key, csv(&[row])).await?;
        }
        table.notify_of(&keys).await?;
        table.rest_with(&expected).await
    });
}

#[test]
fn a_broken_message_beside_good_ones_fails_alone() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "broken", append("broken")).await?;
        table.send("this is no JSON").await?;
        table.send(json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}).to_string()).await?;
        table.put("empty.csv", Vec::new()).await?;
        table.put("folder/", Vec::new()).await?;
        table.put("good.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        ensure!(table.dead_letters().await? == "1", "{} dead letters", table.dead_letters().await?);
        Ok(())
    });
}

fn second_cluster() -> Value {
    let mut second = append("twin");
    second["cluster"]["identifier"] = json!("second");
    second
}

#[test]
fn two_clusters_with_the_same_table_do_not_mix() {
    let world = world();
    world.run(async {
        let first = Table::new(world, "twin1", append("twin")).await?;
        let second = Table::new(world, "twin2", second_cluster()).await?;
        first.put("a.csv", csv(&["1,2026-01-01 00:00:00,first"])).await?;
        second.put("a.csv", csv(&["2,2026-01-01 00:00:00,second"])).await?;
        first.rest_with(&rows(&["1,2026-01-01 00:00:00,first"])).await?;
        second.rest_with(&rows(&["2,2026-01-01 00:00:00,second"])).await
    });
}

#[test]
fn a_bulk_load_beside_live_files_loads_exactly_its_folder_and_nothing_twice() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "bulk", append("bulk")).await?;
        table.put("live.csv", csv(&["0,2026-01-01 00:00:00,live"])).await?;
        table.put("dt=2021-1/a.csv", csv(&["1,2026-01-01 00:00:00,x"])).await?;
        let mut expected = rows(&["0,2026-01-01 00:00:00,live", "1,2026-01-01 00:00:00,x"]);
        table.rest_with(&expected).await?;
        table.silence().await?;
        table.put("dt=2021-1/b.csv", csv(&["2,2026-01-01 00:00:00,x"])).await?;
        table.put("dt=2021-10/c.csv", csv(&["3,2026-01-01 00:00:00,x"])).await?;
        let request = table.bulk_request("dt=2021-1");
        let answer = world.invoke(Function::BulkLoader, &request).await?;
        ensure!(answer[0]["objects"] == 2 && answer[0]["new_objects"] == 1, "{answer}");
        expected.push("2,2026-01-01 00:00:00,x".to_owned());
        table.rest_with(&expected).await?;
        let again = world.invoke(Function::BulkLoader, &request).await?;
        ensure!(again[0]["state"] == "loaded", "{again}");
        ensure!(world.invoke(Function::BulkLoader, &json!({})).await? == json!({}), "no paths, no results");
        table.rest_with(&expected).await
    });
}

#[test]
fn a_waiting_folder_does_not_return_the_statement_of_another() {
    let world = world();
    world.run(async {
        let table = Table::without_notifications(world, "folders", append("folders")).await?;
        table.put("dt=1/a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.put("dt=2/b.csv", csv(&["2,2026-01-01 00:00:00,b"])).await?;
        table.hold("SUBMITTED").await?;
        world.invoke(Function::BulkLoader, &table.bulk_request("dt=1")).await?;
        table.until("submitted", is_submitted).await?;
        let running = world.invoke(Function::BulkLoader, &table.bulk_request("dt=1")).await?;
        ensure!(running[0]["state"] == "submitted" && running[0]["statement_id"].is_string(), "{running}");
        for new_objects in [1, 0] {
            let waiting = world.invoke(Function::BulkLoader, &table.bulk_request("dt=2")).await?;
            ensure!(waiting[0]["state"] == "waiting" && waiting[0]["statement_id"].is_null(), "{waiting}");
            ensure!(waiting[0]["new_objects"] == new_objects, "{waiting}");
        }
        table.release().await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a", "2,2026-01-01 00:00:00,b"])).await?;
        let loaded = world.invoke(Function::BulkLoader, &table.bulk_request("dt=2")).await?;
        ensure!(loaded[0]["state"] == "loaded" && loaded[0]["statement_id"].is_null(), "{loaded}");
        Ok(())
    });
}

fn workgroup() -> Value {
    let mut config = append("public.orders_json");
    config["cluster"] = json!({"workgroup": "wg", "db_name": "dev"});
    config["copy"]["options"] = json!("JSON 'auto ignorecase'");
    config
}

#[test]
fn json_is_loaded_through_a_workgroup() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "workgroup", workgroup()).await?;
        table.put("a.json", r#"{"ID": 1, "at": "2026-01-01 00:00:00", "val": "a"}"#).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
    });
}

#[test]
fn merge_keeps_the_newest_and_does_not_depend_on_grouping() {
    let world = world();
    let files = [
        csv(&["1,2026-01-01 00:00:00,old", "2,2026-01-01 00:00:00,b", ",2026-01-01 00:00:00,nokey"]),
        csv(&["1,2026-01-03 00:00:00,new", "2,2026-01-01 00:00:00,c", "3,,notime"]),
        csv(&["1,2026-01-02 00:00:00,middle", "3,2026-01-01 00:00:00,time", ",2026-01-02 00:00:00,nokey2"]),
    ];
    let replaced = rows(&[
        "1,2026-01-03 00:00:00,new",
        "2,2026-01-01 00:00:00,c",
        "3,2026-01-01 00:00:00,time",
        "NULL,2026-01-02 00:00:00,nokey2",
    ]);
    let orders: [(&str, &[usize], bool); 3] =
        [("together", &[0, 1, 2], false), ("onebyone", &[0, 1, 2], true), ("reverse", &[2, 1, 0], true)];
    for (name, order, alone) in orders {
        world.run(async {
            let mut config = merge(name, true);
            config["load"] = json!({"age_seconds": u8::from(!alone)});
            let table = Table::new(world, name, config).await?;
            for (position, index) in order.iter().enumerate() {
                table.put(&format!("{index}.csv"), files[*index].clone()).await?;
                if alone {
                    table.until("loaded", |items| n_loaded(items) == position + 1).await?;
                }
            }
            table.rest_with(&replaced).await
        });
    }
}

#[test]
fn a_merge_key_of_two_columns_in_another_schema() {
    let world = world();
    world.run(async {
        let public = Table::new(world, "schema-public", append("public.same_name")).await?;
        public.sql("CREATE SCHEMA shop").await?;
        let mut config = merge("shop.same_name", true);
        config["options"]["merge_pk"] = json!(["id", "val"]);
        let shop = Table::new(world, "schema-shop", config).await?;
        public.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        shop.put("a.csv", csv(&["1,2026-01-01 00:00:00,a", "1,2026-01-01 00:00:00,b", ",2026-01-01 00:00:00,a"]))
            .await?;
        shop.rest_with(&rows(&["1,2026-01-01 00:00:00,a", "1,2026-01-01 00:00:00,b", "NULL,2026-01-01 00:00:00,a"]))
            .await?;
        shop.put("b.csv", csv(&["1,2026-01-02 00:00:00,a", ",2026-01-03 00:00:00,a"])).await?;
        shop.rest_with(&rows(&["1,2026-01-02 00:00:00,a", "1,2026-01-01 00:00:00,b", "NULL,2026-01-03 00:00:00,a"]))
            .await?;
        public.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
    });
}

/// Their pending loads are more than a megabyte, which DynamoDB returns in pages.
#[test]
fn a_thousand_files_with_the_longest_keys_wait_while_their_table_is_paused() {
    let world = world();
    world.run(async {
        let mut config = append("paused");
        config["load"] = json!({"paused": true});
        let table = Table::new(world, "paused", config.clone()).await?;
        let folder = "long/".repeat(200);
        let mut uploads = JoinSet::new();
        let mut expected = Vec::new();
        for number in 0..1000 {
            let row = row(number);
            let put = world.s3.put_object().bucket(table.bucket()).key(format!("{folder}{number}.csv"));
            uploads.spawn(put.body(csv(&[&row]).into()).send());
            expected.push(row);
            if uploads.len() >= 16 {
                uploads.join_next().await.context("an upload")???;
            }
        }
        while let Some(upload) = uploads.join_next().await {
            upload??;
        }
        table.until("a thousand objects recorded", |items| n_waiting(items) == 1000).await?;
        ensure!(table.rows().await?.is_empty(), "loaded while paused");
        config["load"]["paused"] = json!(false);
        table.configure(&config).await?;
        table.rest_with(&expected).await?;
        let n_loads = table.loaded().await?.len();
        ensure!(n_loads <= 12, "{n_loads} loads for one backlog");
        Ok(())
    });
}

/// The other queue's file is behind more than the loader reads for two loads, and before more than it reads with the slot.
#[test]
fn a_paused_queue_with_a_long_backlog_does_not_stop_the_other_queue_of_its_table() {
    let world = world();
    world.run(async {
        let mut config = append("shared");
        config["load"] = json!({"paused": true});
        let table = Table::new(world, "shared", config.clone()).await?;
        let paused = Table::without_notifications(world, "shared-paused", config.clone()).await?;
        let mut waiting = paused.wait(0..3_300).await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.until("recorded", |items| n_waiting(items) == 3_301).await?;
        for number in 3_300..3_315 {
            waiting.extend(paused.wait(number..number + 1).await?);
        }
        config["load"]["paused"] = json!(false);
        table.configure(&config).await?;
        table.until("loaded beside the paused files", |items| n_loaded(items) == 1).await?;
        ensure!(table.rows().await? == rows(&["1,2026-01-01 00:00:00,a"]));
        ensure!(n_waiting(&table.items().await?) == 3_315);
        paused.forget(&waiting).await
    });
}

#[test]
fn versions_keep_every_key_and_timestamp_once() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "versions", merge("versions", false)).await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a", "1,2026-01-02 00:00:00,b"])).await?;
        table.put("b.csv", csv(&["1,2026-01-02 00:00:00,b", "1,2026-01-03 00:00:00,c"])).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a", "1,2026-01-02 00:00:00,b", "1,2026-01-03 00:00:00,c"])).await
    });
}

#[test]
fn messages_wait_for_a_missing_configuration_and_a_changed_one_applies() {
    let world = world();
    world.run(async {
        let table = Table::unconfigured(world, "late", append("late")).await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        ensure!(table.items().await?.is_empty(), "recorded without a configuration");
        table.configure(&table.config).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        let mut tabbed = table.config.clone();
        tabbed["copy"]["options"] = json!(r"DELIMITER '\t'");
        table.configure(&tabbed).await?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        table.put("b.csv", "2\t2026-01-01 00:00:00\tb\n").await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a", "2,2026-01-01 00:00:00,b"])).await
    });
}
