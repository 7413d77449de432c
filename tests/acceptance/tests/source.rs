//! What lies under a queue's source: an object whose notification never came is found, and loaded by command.

use std::sync::LazyLock;

use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use loader_core::contract::Function;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

const MISSED: &str = "source-missed";
const OLD: &str = "source-old";
const AGAIN: &str = "source-again";
/// More than one page of a listing.
const N_OLD: usize = 1_200;

fn missed() -> Value {
    let mut config = append("source_missed");
    config["source"] = json!(format!("s3://e2e-{MISSED}/"));
    config
}

fn old() -> Value {
    let mut config = append("source_old");
    config["source"] = json!(format!("s3://e2e-{OLD}/"));
    config["load"] = json!({"files_max": 400});
    config
}

fn again() -> Value {
    let mut config = append("source_again");
    config["source"] = json!(format!("s3://e2e-{AGAIN}/"));
    config
}

/// The clone of this program: one is enough for all.
fn checkout() -> &'static Checkout {
    static CHECKOUT: LazyLock<Checkout> = LazyLock::new(|| Checkout::new().expect("a clone of its own"));
    &CHECKOUT
}

fn world() -> &'static World {
    world_of(|| Setup::of([(MISSED, missed()), (OLD, old()), (AGAIN, again())]))
}

async fn backfill(checkout: &Checkout, more: &str) -> Result<Value> {
    let command = format!("backfill {OLD} {more} --local --stack-name {STACK} --output json");
    checkout.must(&command).await?.json()
}

#[test]
fn what_was_there_before_is_loaded_by_command_beside_live_files() {
    let world = world();
    let checkout = checkout();
    world.run(async {
        let table = Table::without_notifications(world, OLD, old()).await?;
        let row = |number: usize| format!("{number},2026-01-01 00:00:00,x");
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
        let (all, live) = tokio::join!(backfill(checkout, ""), async {
            table.send(json!({"Records": [table.record("live.csv").await?]}).to_string()).await
        });
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
    let said =
        checkout.xtask(&format!("verify {MISSED} --grace 0 --local --stack-name {STACK} --output json {more}")).await?;
    ensure!(said.code == Some(code), "exit code {:?}, expected {code}\n{}", said.code, said.words());
    said.json()
}

#[test]
fn an_object_whose_notification_never_came_is_found_and_loaded() {
    let world = world();
    let checkout = checkout();
    world.run(async {
        let table = Table::without_notifications(world, MISSED, missed()).await?;
        table.put("told.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.put("bad.csv", csv(&["no number,2026-01-01 00:00:00,a"])).await?;
        let records = [table.record("told.csv").await?, table.record("bad.csv").await?];
        table.send(json!({"Records": records}).to_string()).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        table.until("in quarantine", |items| items.keys().any(|key| key.0.starts_with("FAILED#"))).await?;
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

/// What an order to load the folder again is, from the loader's own clock.
async fn order(world: &World) -> Result<Value> {
    let mut request = json!({
        "paths": [{"s3_path": format!("s3://e2e-{AGAIN}/"), "table": "source_again"}],
        "copy": {"role_arn": "default", "options": "CSV TIMEFORMAT 'auto'"},
        "cluster": {"identifier": "analytics", "db_name": "dev"}, "force": true, "dry_run": true
    });
    let counted = world.invoke(Function::BulkLoader, &request).await?;
    ensure!(counted[0]["again_objects"] == json!(3) && counted[0]["state"] == json!("counted"), "{counted:#}");
    (request["force"], request["dry_run"]) = (counted[0]["force"].clone(), json!(false));
    Ok(request)
}

#[test]
fn a_truncated_table_is_loaded_again_by_order_once_whoever_dies() {
    let world = world();
    let checkout = checkout();
    world.run(async {
        let table = Table::without_notifications(world, AGAIN, again()).await?;
        let expected = rows(&["1,2026-01-01 00:00:00,a", "2,2026-01-01 00:00:00,b", "3,2026-01-01 00:00:00,c"]);
        for (number, row) in expected.iter().enumerate() {
            table.put(&format!("{number}.csv"), csv(&[row])).await?;
        }
        let command = format!("backfill {AGAIN} --local --stack-name {STACK} --output json");
        checkout.must(&format!("{command} --watch")).await?;
        table.rest_with(&expected).await?;

        let refused = checkout.xtask(&format!("{command} --force")).await?;
        ensure!(refused.code == Some(3) && refused.words().contains("--yes"), "{}", refused.words());
        table.sql("TRUNCATE TABLE source_again").await?;
        let forced = checkout.must(&format!("{command} --force --yes --reason truncated --watch")).await?.json()?;
        ensure!((&forced["again_objects"], &forced["recorded"]) == (&json!(3), &json!(3)), "{forced:#}");
        table.rest_with(&expected).await?;
        let history = checkout.must(&format!("history source_again --local --stack-name {STACK}")).await?.words();
        ensure!(history.contains("backfill --force") && history.contains("truncated"), "{history}");

        for call in [1, 3, 5, 7, 9] {
            table.sql("TRUNCATE TABLE source_again").await?;
            let order = order(world).await?;
            let kill =
                Toxic { function: Some(World::function(Function::BulkLoader)), ..Toxic::new(ToxicKind::KillAfter) };
            world.stack.gateway().add_toxic(&kill.once_after(call)).await?;
            let _ = world.invoke(Function::BulkLoader, &order).await;
            world.stack.gateway().clear_toxics().await?;
            // As Lambda repeats an invocation; and once more, when everything is loaded.
            world.invoke(Function::BulkLoader, &order).await?;
            table.rest_with(&expected).await?;
            let late = world.invoke(Function::BulkLoader, &order).await?;
            ensure!(late[0]["new_objects"] == json!(0), "killed at call {call}: {late:#}");
        }
        table.rest_with(&expected).await
    });
}
