//! Commands for the files below a queue's source: `backfill`, and `verify`, which finds objects without a notification and compares rows.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use acceptance::columnar::{numbers, parquet, texts};
use acceptance::inventory;
use acceptance::steps::in_quarantine;
use acceptance::table::{Table, append, csv, row, rows, with_source};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context as _, Result, bail, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use loader_core::bulk_request::{Position, SCHEDULED_TIME_ATTRIBUTE, instant_text};
use loader_core::config::LoadConfig;
use loader_core::contract::Function;
use loader_core::inventory::Line;
use loader_core::tracker::item::{History, Item};
use loader_core::tracker::listing::{Counts, Listing, TURNS_MAX};
use loader_core::tracker::{list, wire};
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};
use tokio::sync::Mutex;

const MISSED: &str = "source-missed";
const OLD: &str = "source-old";
const ROWS: &str = "source-rows";
const LISTED: &str = "source-listed";
/// Held by tests that use `BulkLoader`, because one of them kills it.
static BULK_LOADER: Mutex<()> = Mutex::const_new(());
/// More objects than a page of a listing contains.
const N_OLD: usize = 1_200;

fn missed() -> Value {
    with_source(append("source_missed"), MISSED)
}

fn old() -> Value {
    let mut config = with_source(append("source_old"), OLD);
    config["load"] = json!({"files_max": 400});
    config
}

fn rows_config() -> Value {
    let mut config = with_source(append("source_rows"), ROWS);
    config["copy"]["options"] = json!("FORMAT AS PARQUET");
    config
}

fn listed() -> Value {
    let bucket = format!("e2e-{LISTED}");
    let mut config = append("source_listed");
    config["source"] = json!(format!("s3://{bucket}/in/"));
    let place = format!("s3://{bucket}/{}", inventory::folder(&bucket));
    config["source_check"] = json!({"every": "1 day", "inventory": place});
    config
}

/// The clone that all tests of this binary share.
fn checkout() -> &'static Checkout {
    static CHECKOUT: LazyLock<Checkout> = LazyLock::new(|| Checkout::new().expect("a separate clone"));
    &CHECKOUT
}

fn world() -> &'static World {
    world_of(|| Setup::of([(MISSED, missed()), (OLD, old()), (ROWS, rows_config()), (LISTED, listed())]))
}

async fn backfill(checkout: &Checkout, more: &str) -> Result<Value> {
    let command = format!("backfill {OLD} {more} --local --stack-name {STACK} --output json");
    checkout.must(&command).await?.json()
}

#[test]
fn backfill_loads_existing_files_beside_live_ones() {
    let world = world();
    let checkout = checkout();
    world.run(async {
        let _alone = BULK_LOADER.lock().await;
        let table = Table::without_notifications(world, OLD, old()).await?;
        let put = |number: usize| {
            let folder = if number < 3 { "dt=1" } else { "dt=10" };
            let (table, key) = (&table, format!("{folder}/{number:05}.csv"));
            async move { table.put(&key, csv(&[&row(number)])).await }
        };
        stream::iter(0..N_OLD).map(put).buffer_unordered(16).try_collect::<()>().await?;
        let mut expected: Vec<String> = (0..N_OLD).map(row).collect();

        let counted = backfill(checkout, "--dry-run").await?;
        let numbers = ["objects", "new_objects", "loads", "recorded"].map(|name| counted[name].as_u64());
        ensure!(numbers == [N_OLD as u64, N_OLD as u64, 3, 0].map(Some), "{counted:#}");
        ensure!(table.items().await?.is_empty(), "a dry run wrote something");
        let folder = backfill(checkout, &format!("s3://e2e-{OLD}/dt=1/ --watch")).await?;
        ensure!((&folder["objects"], &folder["recorded"]) == (&json!(3), &json!(3)), "{folder:#}");

        table.put("live.csv", csv(&[&row(N_OLD)])).await?;
        expected.push(row(N_OLD));
        let (all, live) = tokio::join!(backfill(checkout, ""), async { table.notify_of(&["live.csv"]).await });
        live?;
        let all = all?;
        let n_new = all["recorded"].as_u64().unwrap_or_default();
        ensure!((N_OLD as u64 - 3..=N_OLD as u64 - 2).contains(&n_new), "the rest: {all:#}");
        table.rest_with(&expected).await?;
        let again = backfill(checkout, "").await?;
        ensure!((&again["new_objects"], &again["recorded"]) == (&json!(0), &json!(0)), "again: {again:#}");
        table.rest_with(&expected).await
    });
}

async fn verify(checkout: &Checkout, more: &str, code: i32) -> Result<Value> {
    verify_of(MISSED, checkout, more, code).await
}

async fn verify_of(queue: &str, checkout: &Checkout, more: &str, code: i32) -> Result<Value> {
    let said =
        checkout.xtask(&format!("verify {queue} --grace 0 --local --stack-name {STACK} --output json {more}")).await?;
    ensure!(said.code == Some(code), "exit code {:?}, expected {code}\n{}", said.code, said.words());
    said.json()
}

#[test]
fn verify_finds_and_records_an_object_without_a_notification() {
    let world = world();
    let checkout = checkout();
    world.run(async {
        let table = Table::without_notifications(world, MISSED, missed()).await?;
        table.put("notified.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.put("bad.csv", csv(&["no number,2026-01-01 00:00:00,a"])).await?;
        table.notify_of(&["notified.csv", "bad.csv"]).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        table.until("in quarantine", in_quarantine).await?;
        table.put("dt=1/missed.csv", csv(&["2,2026-01-01 00:00:00,b"])).await?;

        let verified = verify(checkout, "", 1).await?;
        let numbers = ["objects", "loaded", "waiting", "quarantined", "unknown"].map(|name| verified[name].as_u64());
        ensure!(numbers == [3, 1, 0, 1, 1].map(Some), "{verified:#}");
        let url = format!("s3://e2e-{MISSED}/dt=1/missed.csv");
        ensure!(verified["unknown_objects"] == json!([url]), "{verified:#}");
        let later = verify(checkout, "--since 2099-01-01", 0).await?;
        ensure!(later["objects"] == json!(0), "{later:#}");

        let recorded = verify(checkout, "--record", 0).await?;
        ensure!(recorded["recorded"] == json!(1), "{recorded:#}");
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a", "2,2026-01-01 00:00:00,b"])).await?;
        let verified = verify(checkout, "", 0).await?;
        ensure!((&verified["loaded"], &verified["unknown"]) == (&json!(2), &json!(0)), "{verified:#}");
        let cost = checkout.must(&format!("cost --local --stack-name {STACK} --output json")).await?.json()?;
        let of_cluster = &cost[0];
        ensure!(of_cluster["warehouse"] == json!("cluster:analytics"), "{cost:#}");
        ensure!(of_cluster["loads"].as_u64() >= Some(2) && of_cluster["wakes"].as_u64() >= Some(1), "{cost:#}");
        Ok(())
    });
}

#[test]
fn a_listing_is_given_up_after_too_many_invocations() {
    let world = world();
    world.run(async {
        let config =
            LoadConfig::from_value(&append("source_stuck")).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let table = config.db_table();
        let position = Position { key: "a".to_owned(), version_id: None, line: None };
        let begun = Listing::begin(&table, "{}", position, Counts::default(), ("test", 0));
        let (stored, _) = list::store(&table, &begun, Listing { turns: TURNS_MAX, ..begun.clone() });
        let item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(wire::encode(&table, &Item::Listing(stored.clone())))?;
        let key = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
        let key = HashMap::from([key("db_table", &table.0), key("status_timestamp", &stored.key.0)]);
        for _ in 0..20 {
            // It is stored again each time, because the sweep of another test may give it up.
            let put = world.dynamodb.put_item().table_name(&world.tracker).set_item(Some(item.clone()));
            put.send().await?;
            let swept = world.invoke(Function::NextLoader, &json!({"sweep": true})).await;
            let Err(error) = swept else { continue };
            let said = error.to_string();
            ensure!(said.contains("was given up") && said.contains("1000 invocations"), "{said}");
            let get = world.dynamodb.get_item().table_name(&world.tracker).set_key(Some(key.clone()));
            let left = get.send().await?.item.context("the listing is gone")?;
            ensure!(!left.contains_key("work") && left.contains_key("expires_at"), "{left:?}");
            let Item::Listing(left) = wire::decode(serde_dynamo::from_item(left)?)? else { bail!("no listing") };
            ensure!(left.error.as_ref().is_some_and(|why| why.contains("1000 invocations")), "{left:?}");
            // The error occurs only once: no later sweep continues the listing.
            return world.invoke(Function::NextLoader, &json!({"sweep": true})).await.map(drop);
        }
        bail!("it is not given up, or no invocation fails because of it")
    });
}

#[test]
fn verify_compares_the_rows_that_copy_reported_with_the_files() {
    let world = world();
    let checkout = checkout();
    world.run(async {
        let table = Table::without_notifications(world, ROWS, rows_config()).await?;
        table.recreate("id BIGINT, val VARCHAR(64)").await?;
        let file = |ids: &[i64]| parquet(vec![("id", numbers(ids)), ("val", texts(&vec!["x"; ids.len()]))]);
        table.put("a.parquet", file(&[1, 2, 3])?).await?;
        table.put("b.parquet", file(&[4])?).await?;
        table.notify_of(&["a.parquet", "b.parquet"]).await?;
        table.rest_with(&rows(&["1,x", "2,x", "3,x", "4,x"])).await?;
        table.put("c.parquet", file(&[5, 6])?).await?;
        table.notify_of(&["c.parquet"]).await?;
        table.rest_with(&rows(&["1,x", "2,x", "3,x", "4,x", "5,x", "6,x"])).await?;
        let same = verify_of(ROWS, checkout, "--rows", 0).await?;
        ensure!(same["rows"] == json!({"loads": 2, "rows": 6, "not_compared": 0, "differing": []}), "{same:#}");

        // Change the history as if COPY had left out a row.
        let load = table.loaded().await?.into_iter().find(|load| load.n_objects == 2).context("no load of two")?;
        let less = Item::Loaded(History { rows: Some(3), ..load.clone() });
        let item = serde_dynamo::to_item(wire::encode(&loader_core::ids::DbTable(table.db_table()?), &less))?;
        world.dynamodb.put_item().table_name(&world.tracker).set_item(Some(item)).send().await?;
        let differs = verify_of(ROWS, checkout, "--rows", 1).await?;
        let first = &differs["rows"]["differing"][0];
        ensure!((&first["rows"], &first["rows_in_files"]) == (&json!(3), &json!(4)), "{differs:#}");
        ensure!(first["load_id"] == json!(load.load_id.0), "{differs:#}");

        table.delete("a.parquet").await?;
        let gone = verify_of(ROWS, checkout, "--rows", 0).await?;
        ensure!(gone["rows"] == json!({"loads": 1, "rows": 2, "not_compared": 1, "differing": []}), "{gone:#}");
        let csv = checkout.xtask(&format!("verify {MISSED} --rows --local --stack-name {STACK}")).await?;
        ensure!(csv.code == Some(2), "{}", csv.words());
        Ok(())
    });
}

/// Runs the check that the template schedules, as if twenty minutes later, when the objects put now are old enough for it.
async fn check(world: &World, now: i64) -> Result<Value> {
    let resources = world.template["Resources"].as_object().context("no resources")?;
    let scheduled = resources.values().find(|resource| resource["Type"] == "AWS::Scheduler::Schedule");
    let input = scheduled.context("no check is scheduled")?["Properties"]["Target"]["Input"]
        .as_str()
        .context("the check has no input")?;
    let at = instant_text(now + 20 * 60_000);
    let request = serde_json::from_str(&input.replace(SCHEDULED_TIME_ATTRIBUTE, &at))?;
    world.invoke(Function::BulkLoader, &request).await
}

/// Kills the reader of an inventory once it has read the manifest, the checksum and two data files.
fn dies_after_two_data_files() -> Toxic {
    Toxic {
        service: Some("s3".to_owned()),
        operation: Some("GetObject".to_owned()),
        function: Some(World::function(Function::BulkLoader)),
        after_matches: 4,
        times: Some(1),
        ..Toxic::new(ToxicKind::KillBefore)
    }
}

#[test]
fn an_inventory_shows_an_object_whose_notification_never_came() {
    let world = world();
    let checkout = checkout();
    world.run(async {
        let _alone = BULK_LOADER.lock().await;
        let table = Table::without_notifications(world, LISTED, listed()).await?;
        let now: i64 = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().try_into()?;
        let mut files = Vec::new();
        for number in 0..6 {
            let key = format!("in/{number}.csv");
            table.put(&key, csv(&[&row(number)])).await?;
            files.push(inventory::line(world, &table, &key).await?);
        }
        table.send(json!({"Records": [table.record("in/0.csv").await?]}).to_string()).await?;
        table.rest_with(&[row(0)]).await?;
        checkout.write(&format!("queues/{LISTED}.json"), &listed().to_string())?;
        let none = check(world, now).await.err().context("there is no inventory")?.to_string();
        ensure!(none.contains("has no complete inventory"), "{none}");
        let command = format!("queue check {LISTED} --local");
        let refused = checkout.xtask(&command).await?;
        ensure!(
            refused.code == Some(1) && refused.words().contains("has no complete inventory"),
            "{}",
            refused.words()
        );
        inventory::publish(&table, now - 7_200_000, &files).await?;
        checkout.must(&command).await?;

        // After the inventory, one object was deleted, and another got new content.
        table.delete("in/4.csv").await?;
        table.put("in/5.csv", csv(&[&row(50)])).await?;
        world.stack.gateway().add_toxic(&dies_after_two_data_files()).await?;
        ensure!(check(world, now).await.is_err(), "the function was not killed");
        let position = |item: &Item| if let Item::Listing(listing) = item { listing.position.line } else { None };
        let reached = table.items().await?.values().find_map(position);
        ensure!(reached.is_none_or(|line| line >= Line { file: 2, line: 0 }), "{reached:?}");
        let expected: Vec<String> = (0..4).map(row).collect();
        table.until("read", |items| !items.values().any(|item| matches!(item, Item::Listing(_)))).await?;
        table.rest_with(&expected).await?;
        ensure!(table.quarantine().await?.is_empty(), "a deleted object is not an error");
        let again = check(world, now).await?;
        ensure!((&again[0]["objects"], &again[0]["new_objects"]) == (&json!(6), &json!(0)), "{again}");

        files[5] = inventory::line(world, &table, "in/5.csv").await?;
        inventory::publish(&table, now - 3_600_000, &files[5..]).await?;
        let newer = check(world, now).await?;
        ensure!((&newer[0]["objects"], &newer[0]["new_objects"]) == (&json!(1), &json!(1)), "{newer}");
        table.rest_with(&[expected, vec![row(50)]].concat()).await?;
        let is_note = |item: &&Item| matches!(item, Item::Audit(audit) if audit.command == "missed event");
        ensure!(table.items().await?.values().filter(is_note).count() >= 4, "no note");
        Ok(())
    });
}
