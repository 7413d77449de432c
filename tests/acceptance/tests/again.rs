//! A truncated table is reloaded with `backfill --force`, even if functions are killed.

use acceptance::table::{Table, append, csv, rows, with_source};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Result, ensure};
use loader_core::contract::Function;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

const AGAIN: &str = "source-again";

fn again() -> Value {
    with_source(append("source_again"), AGAIN)
}

fn world() -> &'static World {
    world_of(|| Setup::of([(AGAIN, again())]))
}

/// A bulk request with `force`, whose instant is from the loader's clock.
async fn forced_request(world: &World) -> Result<Value> {
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
fn a_truncated_table_is_reloaded_exactly_once_despite_kills() {
    let world = world();
    world.run(async {
        let checkout = Checkout::new()?;
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
            let request = forced_request(world).await?;
            let kill =
                Toxic { function: Some(World::function(Function::BulkLoader)), ..Toxic::new(ToxicKind::KillAfter) };
            world.stack.gateway().add_toxic(&kill.once_after(call)).await?;
            let _ = world.invoke(Function::BulkLoader, &request).await;
            world.stack.gateway().clear_toxics().await?;
            // Lambda retries the invocation; another one follows when everything is loaded.
            world.invoke(Function::BulkLoader, &request).await?;
            table.rest_with(&expected).await?;
            let late = world.invoke(Function::BulkLoader, &request).await?;
            ensure!(late[0]["new_objects"] == json!(0), "killed at call {call}: {late:#}");
        }
        table.rest_with(&expected).await
    });
}
