//! One queue for several tables: its messages feed its own table and others, each with its own state.

use acceptance::table::{Table, append, csv, merge, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context, Result, ensure};
use loader_core::contract::Function;
use loader_core::tracker::item::Item;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

const ALL: &str = "every";
const BIG: &str = "big";
const CHANGING: &str = "changing";
const LATE: &str = "late";
const A: &str = "1,2026-01-01 00:00:00,a";
const B: &str = "2,2026-01-01 00:00:00,b";
const C: &str = "3,2026-01-01 00:00:00,c";

fn world() -> &'static World {
    world_of(|| {
        Setup::of([
            (ALL, feeding(ALL, BIG)),
            (BIG, fed(merge(BIG, true), ALL)),
            (CHANGING, feeding(CHANGING, LATE)),
            (LATE, fed(append(LATE), CHANGING)),
        ])
    })
}

fn feeding(table: &str, other: &str) -> Value {
    let mut config = append(table);
    config["feeds"] = json!([other]);
    config
}

/// The configuration of a table that is fed with a folder of another queue's source.
fn fed(mut config: Value, queue: &str) -> Value {
    config["queue"] = json!(queue);
    config["source"] = json!(format!("s3://e2e-{queue}/orders/big/"));
    config
}

/// The queue's own table, and the one that it also feeds.
async fn tables(world: &'static World, own: &str, other: &str, other_config: Value) -> Result<(Table, Table)> {
    let fed = Table::deployed(world, other, own, other_config).await?;
    Ok((Table::new(world, own, feeding(own, other)).await?, fed))
}

/// The two cases run one after the other, because a fault affects any table.
#[test]
fn one_object_feeds_two_tables() {
    let world = world();
    world.run(async {
        function_killed_between_two_tables(world).await?;
        configuration_written_late(world).await
    });
}

async fn function_killed_between_two_tables(world: &'static World) -> Result<()> {
    let (all, big) = tables(world, ALL, BIG, fed(merge(BIG, true), ALL)).await?;
    big.configure(&big.config).await?;
    let gateway = world.stack.gateway();
    // The function dies after it has recorded the object for the first table, but not for the second.
    let id = gateway
        .add_toxic(&Toxic {
            service: Some("dynamodb".into()),
            operation: Some("PutItem".into()),
            function: Some(World::function(Function::MicrobatchLoader)),
            times: Some(1),
            ..Toxic::new(ToxicKind::KillAfter)
        })
        .await?;
    all.put("orders/big/a.csv", csv(&[A])).await?;
    all.rest_with(&rows(&[A])).await?;
    big.rest_with(&rows(&[A])).await?;
    let toxics = gateway.toxics().await?;
    ensure!(toxics.iter().any(|toxic| toxic.toxic.id.as_ref() == Some(&id) && toxic.applied == 1), "{toxics:?}");
    gateway.clear_toxics().await?;
    all.put("orders/b.csv", csv(&[B])).await?;
    all.put("orders/big/c.csv", csv(&[C])).await?;
    all.rest_with(&rows(&[A, B, C])).await?;
    big.rest_with(&rows(&[A, C])).await
}

/// A table without a configuration gets its objects later, and does not block the other.
async fn configuration_written_late(world: &'static World) -> Result<()> {
    let (own, late) = tables(world, CHANGING, LATE, fed(append(LATE), CHANGING)).await?;
    own.put("orders/big/a.csv", csv(&[A])).await?;
    own.until("loaded into the queue's own table", |items| items.values().any(|item| matches!(item, Item::Loaded(_))))
        .await?;
    ensure!(late.rows().await?.is_empty(), "loaded without a configuration");
    late.configure(&late.config).await.context("writing the configuration")?;
    late.rest_with(&rows(&[A])).await?;
    own.rest_with(&rows(&[A])).await
}
