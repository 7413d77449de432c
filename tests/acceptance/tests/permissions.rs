//! With signatures and IAM policies checked: the template's own role is enough to load; without one of its permissions nothing
//! loads and somebody names what is missing; given back, the files that waited are loaded.

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

/// How long it may take until a missing permission is named.
const NAMED_SECONDS_MAX: u64 = 60;
/// More receives than a missing permission costs.
const RECEIVES_MAX: u32 = 1000;
/// Longer than the functions of these tests keep a configuration.
const CONFIG_CACHE_MILLIS: u64 = 1_200;
/// Tables that the whole role loads, and tables that it cannot load while a permission is away.
const APPENDED: [&str; 6] =
    ["whole-append", "whole-bulk", "whole-foreign", "denied-append", "denied-workgroup", "denied-secret"];
/// The same, merged.
const MERGED: [&str; 2] = ["whole-merge", "denied-merge"];
/// What is first needed when the statement runs already.
const AFTER_THE_SUBMIT: [&str; 2] = ["redshift-data:DescribeStatement", "dynamodb:DeleteItem"];
/// All functions share the role: while one test changes it, no other may load.
static ROLE: RwLock<()> = RwLock::const_new(());

fn world() -> &'static World {
    world_of(|| {
        let tables = APPENDED.iter().chain(&MERGED).map(|name| (*name, config(name)));
        Setup { receives_max: RECEIVES_MAX, ..Setup::of(tables) }
    })
}

/// The source is a folder, as in a deployment: the role may read nothing else.
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
fn the_role_of_the_template_appends_and_merges_and_quarantines_a_broken_file() {
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
fn the_role_of_the_template_loads_a_folder_in_bulk_and_only_below_the_source() {
    let world = world();
    world.run(async {
        let _role = ROLE.read().await;
        let table = Table::new(world, "whole-bulk", config("whole-bulk")).await?;
        let silence = aws_sdk_s3::types::NotificationConfiguration::builder().build();
        let put = world.s3.put_bucket_notification_configuration().bucket(table.bucket());
        put.notification_configuration(silence).send().await?;
        table.put("in/2026/a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.put("other/b.csv", csv(&["2,2026-01-01 00:00:00,b"])).await?;
        let answer = world.invoke(Function::BulkLoader, &request(&table, "in/2026")).await?;
        ensure!(answer[0]["objects"] == 1, "{answer}");
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        let refused = world.invoke(Function::BulkLoader, &request(&table, "other")).await;
        let refused = refused.map_or_else(|error| error.to_string(), |answer| answer.to_string());
        ensure!(refused.contains("s3:ListBucketVersions"), "another folder: {refused}");
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
    });
}

fn request(table: &Table, folder: &str) -> Value {
    let copy = &table.config["copy"];
    json!({
        "paths": [{"s3_path": format!("s3://{}/{folder}", table.bucket()), "table": copy["table_name"]}],
        "copy": {"role_arn": copy["role_arn"], "options": copy["options"]},
        "cluster": table.config["cluster"]
    })
}

/// What the tracker says about a load that does not go on.
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

/// Waits until the tracker, a function's log or the sweep's answer holds the words, and says which did.
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
            bail!("nobody names {words}\nitems: {items:?}\nlog: {}", logged.join("\n"));
        }
        let answer = world.invoke(Function::NextLoader, &json!({"sweep": true})).await;
        if answer.is_err_and(|error| error.to_string().contains(words)) {
            return Ok("answer");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One permission less: a file does not load, and `action` is said; the permission again: the file loads by itself.
fn check(name: &str, action: &str, on: &str) {
    let world = world();
    let place = world.run(async {
        let _role = ROLE.write().await;
        let table = Table::new(world, name, config(name)).await?;
        let before = table.rows().await?;
        let row = format!("{},2026-01-01 00:00:00,{action}{on}", before.len());
        world.update(&without(&world.template, action, on)?).await?;
        // A configuration that was read just now is not read again.
        tokio::time::sleep(Duration::from_millis(CONFIG_CACHE_MILLIS)).await;
        let since = now_millis()?;
        table.put(&format!("in/{}.csv", before.len()), csv(&[&row])).await?;
        let place = named(world, &table, action, since).await;
        let meanwhile = (table.loaded().await?.len(), table.rows().await?);
        world.update(&world.template).await?;
        let place = place?;
        ensure!(meanwhile.0 == before.len(), "{action} is not needed to load a file");
        // What is missing only after the submit does not hold the statement up.
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
fn without_redshift_data_execute_statement_nobody_knows_the_columns_of_a_merge() {
    check("denied-merge", "redshift-data:ExecuteStatement", "");
}

#[test]
fn without_redshift_get_cluster_credentials_nobody_signs_in() {
    check("denied-append", "redshift:GetClusterCredentials", "");
}

#[test]
fn without_redshift_serverless_get_credentials_nobody_signs_in_to_a_workgroup() {
    check("denied-workgroup", "redshift-serverless:GetCredentials", "");
}

#[test]
fn without_secretsmanager_get_secret_value_nobody_signs_in_with_a_secret() {
    check("denied-secret", "secretsmanager:GetSecretValue", "");
}

#[test]
fn without_dynamodb_scan_the_sweep_finds_nothing_and_says_so() {
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
