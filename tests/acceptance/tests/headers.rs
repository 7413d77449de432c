//! CSV files with a header: where it is asked for, its names are compared with the table before COPY, which goes by position.

use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context, Result, ensure};
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use local_client::calls::Port;
use serde_json::{Value, json};

const COMPARED: &str = "headers-compared";
const UNASKED: &str = "headers-unasked";

fn config(queue: &str) -> Value {
    let mut config = append(&queue.replace('-', "_"));
    config["copy"]["options"] = json!("CSV IGNOREHEADER 1");
    config["load"] = json!({"age_seconds": 1});
    if queue == COMPARED {
        config["options"] = json!({"on_schema_change": "fail"});
    }
    config
}

fn world() -> &'static World {
    world_of(|| Setup::of([COMPARED, UNASKED].map(|queue| (queue, config(queue)))))
}

/// A table (id, n).
async fn table(queue: &'static str) -> Result<Table> {
    let table = Table::new(world(), queue, config(queue)).await?;
    let name = queue.replace('-', "_");
    table.sql(&format!("DROP TABLE {name}")).await?;
    table.sql(&format!("CREATE TABLE {name} (id BIGINT, n BIGINT)")).await?;
    Ok(table)
}

#[test]
fn a_header_in_another_order_or_with_a_column_more_is_told_and_the_others_load() {
    world().run(async {
        let table = table(COMPARED).await?;
        table.put("a.csv", csv(&["id,n", "1,10"])).await?;
        table.put("b.csv", csv(&["n,id", "20,2"])).await?;
        table.put("c.csv", csv(&["Customer No.,\"Pieces, sold\"", "3,30"])).await?;
        table.put("d.csv", csv(&["id,n,more", "4,40,x"])).await?;
        let objects = |item: &Item| if let Item::Failed(failed) = item { failed.objects.len() } else { 0 };
        table.until("2 in quarantine", |items| items.values().map(objects).sum::<usize>() >= 2).await?;
        let all = rows(&["1,10", "3,30"]);
        table.rest_with(&all).await?;
        let quarantine = table.quarantine().await?;
        let told = |key: &str| {
            let holds = |waiting: &loader_core::ids::WaitingObject| waiting.object.key == key;
            quarantine.iter().find(|item| item.objects.iter().any(holds)).context("not in quarantine")
        };
        ensure!(told("b.csv")?.error.contains("other order: n, id in the file, id, n in the table"), "{quarantine:?}");
        ensure!(told("d.csv")?.error.contains("not in the table: `more`"), "{quarantine:?}");
        ensure!(quarantine.iter().all(|item| item.class == FailureClass::BadInput && item.statement_id.is_none()));
        for statement in table.statements().await? {
            ensure!(statement.status == "FINISHED", "a statement failed: {statement:?}");
        }
        Ok(())
    });
}

#[test]
fn nobody_reads_a_header_unasked() {
    world().run(async {
        let table = table(UNASKED).await?;
        let gateway = world().stack.gateway();
        let before = gateway.log(0).await?.last().map_or(0, |entry| entry.sequence);
        table.put("b.csv", csv(&["n,id", "20,2"])).await?;
        table.rest_with(&rows(&["20,2"])).await?;
        let calls = gateway.log(before).await?;
        let reads = |text: &str| text.contains("e2e-headers-unasked") && text.contains("GetObject");
        let read: Vec<String> = calls
            .iter()
            .filter(|entry| entry.port == Port::Functions)
            .map(|entry| format!("{entry:?}"))
            .filter(|text| reads(text))
            .collect();
        ensure!(read.is_empty(), "{read:?}");
        Ok(())
    });
}
