//! CSV files with a header and JSON files: if the queue asks for it, their names are compared with the table before COPY, which matches CSV
//! columns by position and drops JSON keys without a column.

use acceptance::steps::n_quarantined;
use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context, Result, ensure};
use aws_sdk_s3::primitives::ByteStream;
use loader_core::ids::WaitingObject;
use loader_core::outcome::FailureClass;
use local_client::calls::Port;
use serde_json::{Value, json};

const COMPARED: &str = "headers-compared";
const UNASKED: &str = "headers-unasked";
const KEYS: &str = "headers-keys";
const PATHS: &str = "headers-paths";
/// Bucket of the JSONPaths file.
const PATHS_BUCKET: &str = "e2e-headers-paths-file";

fn config(queue: &str) -> Value {
    let mut config = append(&queue.replace('-', "_"));
    config["copy"]["options"] = json!(match queue {
        KEYS => "JSON".to_owned(),
        PATHS => format!("JSON 's3://{PATHS_BUCKET}/paths.json'"),
        _ => "CSV IGNOREHEADER 1".to_owned(),
    });
    config["load"] = json!({"age_seconds": 1});
    if queue != UNASKED {
        config["options"] = json!({"on_schema_change": "fail"});
    }
    config
}

fn world() -> &'static World {
    world_of(|| Setup::of([COMPARED, UNASKED, KEYS, PATHS].map(|queue| (queue, config(queue)))))
}

/// A table with the columns id and n.
async fn table(queue: &'static str) -> Result<Table> {
    let table = Table::new(world(), queue, config(queue)).await?;
    table.recreate("id BIGINT, n BIGINT").await?;
    Ok(table)
}

/// Waits until `files` are in quarantine, each with its text, and the table has the rows `loaded`. No COPY may have seen the files.
async fn refuses(table: &Table, files: &[(&str, &str)], loaded: &[&str]) -> Result<()> {
    table.until("all in quarantine", |items| n_quarantined(items) >= files.len()).await?;
    table.rest_with(&rows(loaded)).await?;
    let quarantine = table.quarantine().await?;
    for (key, text) in files {
        let holds = |waiting: &WaitingObject| waiting.object.key == *key;
        let refused = quarantine.iter().find(|item| item.objects.iter().any(holds)).context("not in quarantine")?;
        ensure!(refused.error.contains(text), "{key}: {refused:?}");
    }
    ensure!(quarantine.iter().all(|item| item.class == FailureClass::BadInput && item.statement_id.is_none()));
    table.ensure_no_statement_failed().await
}

#[test]
fn a_header_in_another_order_or_with_another_column_is_refused_and_the_others_load() {
    world().run(async {
        let table = table(COMPARED).await?;
        table.put("a.csv", csv(&["id,n", "1,10"])).await?;
        table.put("b.csv", csv(&["n,id", "20,2"])).await?;
        table.put("c.csv", csv(&["Customer No.,\"Pieces, sold\"", "3,30"])).await?;
        table.put("d.csv", csv(&["id,n,more", "4,40,x"])).await?;
        let files =
            [("b.csv", "other order: n, id in the file, id, n in the table"), ("d.csv", "not in the table: `more`")];
        refuses(&table, &files, &["1,10", "3,30"]).await
    });
}

#[test]
fn a_key_that_copy_would_drop_is_refused_and_the_other_files_load() {
    world().run(async {
        let table = table(KEYS).await?;
        table.put("a.json", r#"{"n": 10, "id": 1}{"id": 2}"#).await?;
        table.put("b.json", "{\"id\": 3}\n{\"id\": 4, \"more\": 40}\n").await?;
        table.put("c.json", r#"{"ID": 5, "n": 50}"#).await?;
        refuses(&table, &[("b.json", "no column has the name of `more`"), ("c.json", "`ID`")], &["1,10", "2,NULL"])
            .await
    });
}

#[test]
fn a_file_in_which_the_paths_find_nothing_is_refused_and_the_others_load() {
    world().run(async {
        world().s3.create_bucket().bucket(PATHS_BUCKET).send().await?;
        let paths = ByteStream::from_static(br#"{"jsonpaths": ["$.id", "$.v['n']"]}"#);
        world().s3.put_object().bucket(PATHS_BUCKET).key("paths.json").body(paths).send().await?;
        let table = table(PATHS).await?;
        table.put("a.json", r#"{"v": {"n": 10}, "id": 1, "more": 0}{"id": 2}"#).await?;
        table.put("b.json", r#"{"ID": 3, "n": 30}"#).await?;
        let text = format!("no path of `s3://{PATHS_BUCKET}/paths.json` begins with a key");
        refuses(&table, &[("b.json", &text)], &["1,10", "2,NULL"]).await
    });
}

#[test]
fn headers_are_not_read_unless_the_queue_asks_for_it() {
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
