//! Parquet files whose columns are not those of the target: they are refused before COPY, which matches columns by position.

use std::collections::BTreeMap;

use acceptance::columnar::{numbers, parquet, texts};
use acceptance::steps::n_quarantined;
use acceptance::table::{Table, append, rows};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Quarantined;
use local_client::calls::Port;
use serde_json::{Value, json};

const ORDER: &str = "drift-order";
const LISTED: &str = "drift-listed";
const SHAPES: &str = "drift-shapes";
const TYPES: &str = "drift-types";
const IGNORE: &str = "drift-ignore";
const MERGED: &str = "drift-merged";
const ONCE: &str = "drift-once";
/// The database user that `queue check` connects as, with fewer privileges.
const CHECKER: &str = "checker";
const MANY: &str = "drift-many";
const COLUMNS: &str = "id BIGINT, n BIGINT, val VARCHAR(64)";

fn table_name(queue: &str) -> String {
    queue.replace('-', "_")
}

fn config(queue: &str) -> Value {
    let mut config = append(&table_name(queue));
    config["copy"]["options"] = json!("FORMAT AS PARQUET");
    // Files of a test are one load.
    config["load"] = json!({"age_seconds": 2});
    match queue {
        LISTED => config["copy"]["columns"] = json!(["n", "id", "val"]),
        IGNORE => config["options"] = json!({"on_schema_change": "ignore"}),
        MERGED => config["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "n"}),
        ONCE => config["load"]["write_once"] = json!(true),
        _ => {}
    }
    config
}

fn world() -> &'static World {
    world_of(|| {
        let queues = [ORDER, LISTED, SHAPES, TYPES, IGNORE, MERGED, ONCE, MANY];
        Setup::of(queues.map(|queue| (queue, config(queue))))
    })
}

async fn table(queue: &'static str, columns: &str) -> Result<Table> {
    let table = Table::new(world(), queue, config(queue)).await?;
    table.recreate(columns).await?;
    Ok(table)
}

fn straight(id: i64, n: i64) -> Result<Vec<u8>> {
    parquet(vec![("id", numbers(&[id])), ("n", numbers(&[n])), ("val", texts(&["x"]))])
}

fn swapped(id: i64, n: i64) -> Result<Vec<u8>> {
    parquet(vec![("n", numbers(&[n])), ("id", numbers(&[id])), ("val", texts(&["x"]))])
}

/// Waits until this many files are in quarantine and the others are loaded.
async fn quarantine(table: &Table, n_objects: usize, loaded: &[&str]) -> Result<Vec<Quarantined>> {
    table.until(&format!("{n_objects} in quarantine"), |items| n_quarantined(items) >= n_objects).await?;
    table.rest_with(&rows(loaded)).await?;
    let quarantine = table.quarantine().await?;
    ensure!(quarantine.iter().map(|item| item.objects.len()).sum::<usize>() == n_objects, "{quarantine:?}");
    Ok(quarantine)
}

/// Fails unless the file with this key is in quarantine with an error that contains these words, and no statement has failed.
async fn ensure_refused(table: &Table, quarantine: &[Quarantined], key: &str, words: &str) -> Result<()> {
    let holds = |item: &&Quarantined| item.objects.iter().any(|waiting| waiting.object.key == key);
    let item = quarantine.iter().find(holds).with_context(|| format!("{key} is not in quarantine: {quarantine:?}"))?;
    ensure!(item.class == FailureClass::BadInput && item.statement_id.is_none(), "{item:?}");
    ensure!(item.error.contains(&format!("s3://{}/", table.bucket())) && item.error.contains(words), "{}", item.error);
    table.ensure_no_statement_failed().await
}

#[test]
fn a_file_with_columns_in_another_order_is_refused_and_the_others_load() {
    world().run(async {
        let table = table(ORDER, COLUMNS).await?;
        table.put("a.parquet", straight(1, 10)?).await?;
        table.put("b.parquet", swapped(2, 20)?).await?;
        table.put("c.parquet", straight(3, 30)?).await?;
        let found = quarantine(&table, 1, &["1,10,x", "3,30,x"]).await?;
        ensure_refused(&table, &found, "b.parquet", "other order: n, id, val in the file, id, n, val in the table")
            .await?;
        ensure!(found[0].remedy.contains(r#""columns": ["n", "id", "val"]"#), "{}", found[0].remedy);
        // A second notification of it changes nothing.
        table.put("b.parquet", swapped(2, 20)?).await?;
        table.rest_with(&rows(&["1,10,x", "3,30,x"])).await
    });
}

/// This shows why columns are compared: COPY matches them by position.
#[test]
fn without_the_comparison_values_are_loaded_into_the_wrong_columns() {
    world().run(async {
        let table = table(IGNORE, COLUMNS).await?;
        table.put("a.parquet", straight(1, 10)?).await?;
        table.put("b.parquet", swapped(2, 20)?).await?;
        table.rest_with(&rows(&["1,10,x", "20,2,x"])).await
    });
}

#[test]
fn a_configured_list_of_columns_is_the_order_of_the_files() {
    world().run(async {
        let table = table(LISTED, COLUMNS).await?;
        table.put("a.parquet", swapped(1, 10)?).await?;
        table.put("b.parquet", straight(2, 20)?).await?;
        let found = quarantine(&table, 1, &["1,10,x"]).await?;
        ensure_refused(&table, &found, "b.parquet", "other order: id, n, val in the file").await
    });
}

#[test]
fn of_files_of_two_shapes_those_that_fit_the_table_load() {
    let checkout = Checkout::new().expect("a separate clone");
    world().run(async {
        let table = table(SHAPES, "id BIGINT, n BIGINT").await?;
        let old = |id: i64| parquet(vec![("id", numbers(&[id])), ("n", numbers(&[0]))]);
        for id in [1, 3] {
            table.put(&format!("{id}.parquet"), old(id)?).await?;
        }
        for id in [2, 4] {
            table.put(&format!("{id}.parquet"), straight(id, 0)?).await?;
        }
        let found = quarantine(&table, 2, &["1,0", "3,0"]).await?;
        ensure_refused(&table, &found, "2.parquet", "not in the table: `val` VARCHAR(65535)").await?;
        let alter = found[0].remedy.split(';').next().context("no remedy")?;
        ensure!(alter == r#"ALTER TABLE "public"."drift_shapes" ADD COLUMN "val" VARCHAR(65535)"#, "{alter}");
        // The suggested statement and `retry` have an effect at once, although the old columns are cached.
        table.sql(alter).await?;
        checkout.must(&format!("retry drift_shapes --local --stack-name {STACK}")).await?;
        let all = ["1,0,NULL", "3,0,NULL", "2,0,x", "4,0,x"];
        table.rest_with(&rows(&all)).await?;
        ensure!(table.quarantine().await?.is_empty(), "a loaded file is still in quarantine");
        table.put("5.parquet", old(5)?).await?;
        let found = quarantine(&table, 1, &all).await?;
        ensure_refused(&table, &found, "5.parquet", "not in the file: `val` character varying").await
    });
}

#[test]
fn a_file_with_other_types_is_refused_and_one_with_an_unreadable_footer_is_left_to_copy() {
    world().run(async {
        let table = table(TYPES, COLUMNS).await?;
        let other = vec![("id", texts(&["one"])), ("n", numbers(&[1])), ("val", texts(&["x"]))];
        table.put("type.parquet", parquet(other)?).await?;
        table.put("good.parquet", straight(1, 10)?).await?;
        let found = quarantine(&table, 1, &["1,10,x"]).await?;
        let words = "other types: `id` is VARCHAR(65535) in the file and bigint in the table";
        ensure_refused(&table, &found, "type.parquet", words).await?;
        table.put("corrupt.parquet", "PAR1 this is not what it says PAR1").await?;
        table.put("better.parquet", straight(2, 20)?).await?;
        let found = quarantine(&table, 2, &["1,10,x", "2,20,x"]).await?;
        let corrupt = found.iter().find(|item| item.objects[0].object.key == "corrupt.parquet");
        let corrupt = corrupt.context("the corrupt file is not in quarantine")?;
        ensure!(corrupt.error.contains("Spectrum Scan Error"), "not an error of COPY: {}", corrupt.error);
        Ok(())
    });
}

#[test]
fn a_merge_compares_columns_too() {
    world().run(async {
        let table = table(MERGED, COLUMNS).await?;
        table.put("a.parquet", straight(1, 10)?).await?;
        table.put("b.parquet", swapped(1, 20)?).await?;
        let found = quarantine(&table, 1, &["1,10,x"]).await?;
        ensure_refused(&table, &found, "b.parquet", "other order").await?;
        table.put("c.parquet", straight(1, 30)?).await?;
        table.rest_with(&rows(&["1,30,x"])).await
    });
}

#[test]
fn with_write_once_columns_are_compared_too() {
    world().run(async {
        let table = table(ONCE, COLUMNS).await?;
        table.put("a.parquet", straight(1, 10)?).await?;
        table.put("b.parquet", swapped(2, 20)?).await?;
        let found = quarantine(&table, 1, &["1,10,x"]).await?;
        ensure_refused(&table, &found, "b.parquet", "other order").await
    });
}

#[test]
fn the_footers_of_more_misfits_than_a_transaction_takes_are_read_once() {
    const N_FILES: usize = 300;
    world().run(async {
        let table = Table::without_notifications(world(), MANY, config(MANY)).await?;
        let (file, table) = (&swapped(1, 2)?, &table);
        let put = |number: usize| async move {
            let key = format!("{number}.parquet");
            table.put(&key, file.clone()).await?;
            table.record(&key).await
        };
        let records: Vec<Value> = stream::iter(0..N_FILES).map(put).buffered(16).try_collect().await?;
        let gateway = world().stack.gateway();
        let before = gateway.log(0).await?.last().map_or(0, |entry| entry.sequence);
        table.send(json!({"Records": records}).to_string()).await?;
        table.until_by_itself("all in quarantine", |items| n_quarantined(items) == N_FILES).await?;
        let calls = gateway.log(before).await?;
        let own = || calls.iter().filter(|call| call.port == Port::Functions);
        let n_asked = own().filter(|call| call.operation == "BatchGetItem").count();
        ensure!(n_asked > N_FILES / 100, "the ledger was asked {n_asked} times: the files were looked at once");
        let mut n_reads: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        for call in own().filter(|call| call.operation == "GetObject") {
            *n_reads.entry(call.pid).or_default() += 1;
        }
        // Each environment has a cache of its own, and the other tests of this file make some calls meanwhile.
        ensure!(n_reads.values().all(|reads| *reads < N_FILES + N_FILES / 6), "footers by process: {n_reads:?}");
        Ok(())
    });
}

/// A queue's file for a table that CHECKER may load.
fn checked(table: &str, options: &Value) -> String {
    let mut config = append(table);
    config["copy"]["options"] = json!("FORMAT AS PARQUET");
    config["cluster"]["db_user"] = json!(CHECKER);
    config["options"] = options.clone();
    config.to_string()
}

#[test]
fn a_check_asks_whether_columns_can_be_added_and_deletions_remembered() {
    let checkout = Checkout::named("checked").expect("a clone of its own");
    world().run(async {
        let table = table(ORDER, COLUMNS).await?;
        let marked = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "n",
            "delete_marker": {"column": "op", "value": "D"}});
        checkout.write("queues/grows.json", &checked("grows", &json!({"on_schema_change": "add_columns"})))?;
        checkout.write("queues/marked.json", &checked("marked", &marked))?;
        table.sql(&format!("CREATE USER {CHECKER} PASSWORD 'Abcdefg1'")).await?;
        for name in ["grows", "marked"] {
            table.sql(&format!("CREATE TABLE {name} ({COLUMNS})")).await?;
            table.sql(&format!("GRANT SELECT, INSERT, DELETE ON {name} TO {CHECKER}")).await?;
        }
        // Each check names at most one problem per queue, whose statement removes it.
        let check_and_repair = async |problems: [Option<&str>; 2]| -> Result<()> {
            let code = i32::from(problems.iter().any(Option::is_some));
            let said = checkout.xtask("queue check --local --output json").await?;
            ensure!(said.code == Some(code), "exit code {:?}: {}", said.code, said.words());
            let found = said.json()?;
            for (at, expected) in problems.into_iter().enumerate() {
                let obstacle = &found[at]["problems"][0];
                ensure!(obstacle["problem"].as_str() == expected, "{found:#}");
                let remedy = obstacle["remedy"].as_str().and_then(|remedy| remedy.split(';').next());
                if let Some(statement) = remedy {
                    table.sql(&statement.replace("that user", CHECKER)).await?;
                }
            }
            Ok(())
        };
        let no_alter = "the user may not add columns to `public.grows`, as `add_columns` does";
        let no_table = "there is no table `public.marked_deleted` that remembers deleted rows";
        let no_grant = "the user may not write `public.marked_deleted`, which remembers deleted rows";
        check_and_repair([Some(no_alter), Some(no_table)]).await?;
        table.sql(&format!("GRANT SELECT ON marked_deleted TO {CHECKER}")).await?;
        check_and_repair([None, Some(no_grant)]).await?;
        check_and_repair([None, None]).await
    });
}
