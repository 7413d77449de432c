//! Permissions: the template's execution role is sufficient. Without one of its permissions nothing is loaded and the missing permission is
//! named somewhere; when it is granted again, the waiting files are loaded.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use acceptance::role::without;
use acceptance::table::{Table, append, csv, merge, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context, Result, bail, ensure};
use loader_core::contract::Function;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use loader_core::tracker::slot::Step;
use loader_core::tracker::write::Items;
use serde_json::{Value, json};
use tokio::sync::RwLock;

/// Maximum time until a missing permission is named.
const NAMED_SECONDS_MAX: u64 = 60;
/// More receives than a missing permission causes.
const RECEIVES_MAX: u32 = 1000;
/// Longer than the functions of these tests cache a configuration.
const CONFIG_CACHE_MILLIS: u64 = 1_200;
/// Tables that are loaded with the complete role, and tables that are not loaded while a permission is missing.
const APPENDED: [&str; 6] =
    ["whole-append", "whole-bulk", "whole-foreign", "denied-append", "denied-workgroup", "denied-secret"];
/// Merged tables of both kinds.
const MERGED: [&str; 2] = ["whole-merge", "denied-merge"];
/// Permissions that are needed only after the submit.
const AFTER_THE_SUBMIT: [&str; 2] = ["redshift-data:DescribeStatement", "dynamodb:DeleteItem"];
/// All functions share the role, so no other test may load while one changes it.
static ROLE: RwLock<()> = RwLock::const_new(());

fn world() -> &'static World {
    world_of(|| {
        let tables = APPENDED.iter().chain(&MERGED).map(|name| (*name, config(name)));
        Setup { receives_max: RECEIVES_MAX, ..Setup::of(tables) }
    })
}

/// The source is a folder, so that the role may read nothing else.
fn config(name: &str) -> Value {
    let target = name.replace('-', "_");
    let mut config = if MERGED.contains(&name) { merge(&target, true) } else { append(&target) };
    match name {
        "denied-workgroup" => config["cluster"] = json!({"workgroup": "wg", "db_name": "dev"}),
        "denied-secret" => {
            config["cluster"]["secret_arn"] =
                json!("arn:aws:secretsmanager:us-east-1:000000000000:secret:loader-a1b2c3");
        }
        _ => {}
    }
    config["source"] = json!(format!("s3://e2e-{name}/in/"));
    config
}

#[test]
fn the_templates_role_can_append_merge_and_quarantine() {
    let world = world();
    world.run(async {
        let _role = ROLE.read().await;
        let appended = Table::new(world, "whole-append", config("whole-append")).await?;
        let merged = Table::new(world, "whole-merge", config("whole-merge")).await?;
        appended.put("in/a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        appended.put("in/broken.csv", csv(&["one,2026-01-01 00:00:00,a"])).await?;
        merged.put("in/a.csv", csv(&["1,2026-01-01 00:00:00,old", "2,2026-01-01 00:00:00,b"])).await?;
        merged.rest_with(&rows(&["1,2026-01-01 00:00:00,old", "2,2026-01-01 00:00:00,b"])).await?;
        merged.put("in/b.csv", csv(&["1,2026-01-02 00:00:00,new"])).await?;
        merged.rest_with(&rows(&["1,2026-01-02 00:00:00,new", "2,2026-01-01 00:00:00,b"])).await?;
        appended.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        let quarantine = appended.quarantine().await?;
        ensure!(quarantine.len() == 1 && quarantine[0].class == FailureClass::BadInput, "{quarantine:?}");
        ensure!(quarantine[0].objects[0].object.key == "in/broken.csv", "{quarantine:?}");
        Ok(())
    });
}

#[test]
fn the_templates_role_can_load_folders_only_below_the_source() {
    let world = world();
    world.run(async {
        let _role = ROLE.read().await;
        let table = Table::without_notifications(world, "whole-bulk", config("whole-bulk")).await?;
        table.put("in/2026/a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.put("other/b.csv", csv(&["2,2026-01-01 00:00:00,b"])).await?;
        let answer = world.invoke(Function::BulkLoader, &table.bulk_request("in/2026")).await?;
        ensure!(answer[0]["objects"] == 1, "{answer}");
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        let refused = world.invoke(Function::BulkLoader, &table.bulk_request("other")).await;
        let refused = refused.map_or_else(|error| error.to_string(), |answer| answer.to_string());
        ensure!(refused.contains("s3:ListBucketVersions"), "another folder: {refused}");
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
    });
}

/// The reason in the tracker why a load does not continue.
fn reason(items: &Items) -> Option<&str> {
    items.values().find_map(|item| match item {
        Item::Slot(slot) => match slot.load.as_ref().map(|load| &load.step)? {
            Step::Waiting { reason, .. } => Some(reason.as_str()),
            Step::Claimed | Step::Prepared(_) | Step::Submitted { .. } | Step::GivenUp { .. } => None,
        },
        Item::Failed(failed) => Some(failed.error.as_str()),
        Item::Pending(_) | Item::File(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => None,
    })
}

fn now_millis() -> Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().try_into()?)
}

/// Waits until the tracker, a function's log or the sweep's error contains the words, and returns which one did.
async fn named(world: &World, table: &Table, words: &str, since: i64) -> Result<&'static str> {
    let started = Instant::now();
    loop {
        let items = table.items().await?;
        if reason(&items).is_some_and(|reason| reason.contains(words)) {
            return Ok("tracker");
        }
        let logged = world.logged(since).await?;
        if logged.iter().any(|line| line.contains(words)) {
            return Ok("log");
        }
        if started.elapsed() > Duration::from_secs(NAMED_SECONDS_MAX) {
            bail!("{words} is not named\nitems: {items:?}\nlog: {}", logged.join("\n"));
        }
        let answer = world.invoke(Function::NextLoader, &json!({"sweep": true})).await;
        if answer.is_err_and(|error| error.to_string().contains(words)) {
            return Ok("error of the sweep");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Without a permission, a file is not loaded and `action` is named; when the permission is granted again, the file is loaded.
fn check(name: &str, action: &str, on: &str) {
    let world = world();
    let place = world.run(async {
        let _role = ROLE.write().await;
        let table = Table::new(world, name, config(name)).await?;
        let before = table.rows().await?;
        let row = format!("{},2026-01-01 00:00:00,{action}{on}", before.len());
        world.update(&without(&world.template, action, on)?).await?;
        // Wait until cached configurations have expired.
        tokio::time::sleep(Duration::from_millis(CONFIG_CACHE_MILLIS)).await;
        let since = now_millis()?;
        table.put(&format!("in/{}.csv", before.len()), csv(&[&row])).await?;
        let place = named(world, &table, action, since).await;
        let meanwhile = (table.loaded().await?.len(), table.rows().await?);
        world.update(&world.template).await?;
        let place = place?;
        ensure!(meanwhile.0 == before.len(), "{action} is not needed to load a file");
        // A permission that is needed only after the submit does not prevent the rows from being committed.
        ensure!(meanwhile.1 == before || AFTER_THE_SUBMIT.contains(&action), "{meanwhile:?}");
        table.rest_with(&[before, vec![row]].concat()).await?;
        Ok(place)
    });
    let of = if on.is_empty() { String::new() } else { format!(" on {on}") };
    println!("proof: without {action}{of} nothing loads; named in the {place}");
}

#[test]
fn without_dynamodb_put_item_nothing_is_recorded() {
    check("denied-append", "dynamodb:PutItem", "");
}

#[test]
fn without_dynamodb_query_nothing_is_claimed() {
    check("denied-append", "dynamodb:Query", "");
}

#[test]
fn without_dynamodb_delete_item_nothing_is_settled() {
    check("denied-append", "dynamodb:DeleteItem", "");
}

#[test]
fn without_s3_get_object_on_the_configuration_nothing_is_recorded() {
    check("denied-append", "s3:GetObject", "rs-loader-config");
}

#[test]
fn without_s3_get_object_on_the_source_nothing_is_listed() {
    check("denied-append", "s3:GetObject", "e2e-denied");
}

#[test]
fn without_s3_put_object_no_manifest_is_written() {
    check("denied-append", "s3:PutObject", "");
}

#[test]
fn without_redshift_data_batch_execute_statement_nothing_is_submitted() {
    check("denied-append", "redshift-data:BatchExecuteStatement", "");
}

#[test]
fn without_redshift_data_describe_statement_nothing_is_settled() {
    check("denied-append", "redshift-data:DescribeStatement", "");
}

#[test]
fn without_redshift_data_execute_statement_the_columns_of_a_merge_are_not_read() {
    check("denied-merge", "redshift-data:ExecuteStatement", "");
}

#[test]
fn without_redshift_get_cluster_credentials_no_login_is_possible() {
    check("denied-append", "redshift:GetClusterCredentials", "");
}

#[test]
fn without_redshift_serverless_get_credentials_no_login_to_a_workgroup_is_possible() {
    check("denied-workgroup", "redshift-serverless:GetCredentials", "");
}

#[test]
fn without_secretsmanager_get_secret_value_no_login_with_a_secret_is_possible() {
    check("denied-secret", "secretsmanager:GetSecretValue", "");
}

#[test]
fn without_dynamodb_scan_the_sweep_fails_and_names_it() {
    let world = world();
    world.run(async {
        let _role = ROLE.write().await;
        world.update(&without(&world.template, "dynamodb:Scan", "")?).await?;
        let answer = world.invoke(Function::NextLoader, &json!({"sweep": true})).await;
        world.update(&world.template).await?;
        let error = answer.err().context("the sweep read the index without dynamodb:Scan")?.to_string();
        ensure!(error.contains("dynamodb:Scan"), "{error}");
        world.invoke(Function::NextLoader, &json!({"sweep": true})).await.map(drop)
    });
}
