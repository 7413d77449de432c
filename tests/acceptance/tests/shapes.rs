//! `add_columns`: with Parquet files of older and newer shapes in one backlog, the target gets new columns together with their rows, even if
//! functions are killed.

use acceptance::columnar::{numbers, parquet, texts};
use acceptance::counted::Counter;
use acceptance::steps::is_submitted;
use acceptance::table::{Table, append, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Result, ensure};
use arrow_array::ArrayRef;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

const APPENDED: &str = "shapes-append";
const MERGED: &str = "shapes-merge";
const DYING: &str = "shapes-dying";
const DYING_MERGED: &str = "shapes-dying-merge";
const FOREIGN: &str = "shapes-foreign";

/// Environment variable with which each fault is tried at every call, instead of at every ninth.
const FULL: &str = "ACCEPTANCE_FULL";

fn table_name(queue: &str) -> String {
    queue.replace('-', "_")
}

fn config(queue: &str) -> Value {
    let mut config = append(&table_name(queue));
    config["copy"]["options"] = json!("FORMAT AS PARQUET");
    // Files of a test are one backlog.
    config["load"] = json!({"age_seconds": 1});
    config["options"] = json!({"on_schema_change": "add_columns"});
    if queue == MERGED || queue == DYING_MERGED {
        config["options"]["merge_duplicate_pks"] = json!(true);
        config["options"]["merge_pk"] = json!("id");
        config["options"]["merge_timestamp"] = json!("n");
    }
    config
}

fn world() -> &'static World {
    world_of(|| {
        let queues = [APPENDED, MERGED, DYING, DYING_MERGED, FOREIGN];
        Setup::of(queues.map(|queue| (queue, config(queue))))
    })
}

/// A table with the columns id and n.
async fn table(queue: &'static str) -> Result<Table> {
    let table = Table::new(world(), queue, config(queue)).await?;
    table.recreate("id BIGINT, n BIGINT").await?;
    Ok(table)
}

fn older(id: i64, n: i64) -> Result<Vec<u8>> {
    parquet(vec![("id", numbers(&[id])), ("n", numbers(&[n]))])
}

fn newer(id: i64, n: i64) -> Result<Vec<u8>> {
    parquet(vec![("id", numbers(&[id])), ("n", numbers(&[n])), ("val", texts(&["x"]))])
}

/// The columns that were added, for each load that has added any.
async fn added(table: &Table) -> Result<Vec<String>> {
    let words = |column: &loader_core::fit::AddedColumn| column.words();
    let loads = table.loaded().await?.into_iter().filter(|load| !load.added.is_empty());
    Ok(loads.map(|load| load.added.iter().map(words).collect::<Vec<_>>().join(", ")).collect())
}

async fn ensure_nothing_failed(table: &Table) -> Result<()> {
    table.ensure_no_statement_failed().await?;
    ensure!(table.quarantine().await?.is_empty(), "something is in quarantine");
    Ok(())
}

#[test]
fn files_of_two_shapes_are_all_loaded_and_columns_are_added_once() {
    world().run(async {
        let table = table(APPENDED).await?;
        for id in [1, 2, 3, 4] {
            table.put(&format!("{id}.parquet"), if id % 2 == 1 { older(id, 0)? } else { newer(id, 0)? }).await?;
        }
        let mut all = rows(&["1,0,NULL", "2,0,x", "3,0,NULL", "4,0,x"]);
        table.rest_with(&all).await?;
        ensure!(added(&table).await? == ["val VARCHAR(65535)"], "{:?}", added(&table).await?);
        // Another file of the older shape, and one with the columns in another order and a new one in the middle.
        table.put("5.parquet", older(5, 0)?).await?;
        let columns =
            vec![("val", texts(&["y"])), ("more", numbers(&[7])), ("n", numbers(&[60])), ("ID", numbers(&[6]))];
        table.put("6.parquet", parquet(columns)?).await?;
        all = all.into_iter().map(|row| row + ",NULL").collect();
        all.extend(rows(&["5,0,NULL,NULL", "6,60,y,7"]));
        table.rest_with(&all).await?;
        ensure!(added(&table).await? == ["val VARCHAR(65535)", "more BIGINT"], "{:?}", added(&table).await?);
        ensure_nothing_failed(&table).await?;
        let db_table = table.db_table()?;
        let is_meant = |line: &&Value| line["event"] == "columns_added" && line["table"] == *db_table;
        let lines = world().logged_until(0, "both columns", |lines| lines.iter().filter(is_meant).count() >= 2).await?;
        let lines: Vec<&Value> = lines.iter().filter(is_meant).collect();
        ensure!(lines.len() == 2 && lines.iter().all(|line| line["ColumnsAdded"] == 1), "{lines:?}");
        Ok(())
    });
}

#[test]
fn a_merge_adds_columns_and_keeps_the_newest_row() {
    world().run(async {
        let table = table(MERGED).await?;
        table.put("a.parquet", older(1, 10)?).await?;
        table.put("b.parquet", newer(1, 20)?).await?;
        table.put("c.parquet", newer(2, 10)?).await?;
        table.put("d.parquet", older(3, 10)?).await?;
        table.rest_with(&rows(&["1,20,x", "2,10,x", "3,10,NULL"])).await?;
        // Whole rows are replaced: columns that the newest file lacks become NULL.
        table.put("e.parquet", older(2, 30)?).await?;
        table.put("f.parquet", older(1, 15)?).await?;
        table.rest_with(&rows(&["1,20,x", "2,30,NULL", "3,10,NULL"])).await?;
        ensure!(added(&table).await? == ["val VARCHAR(65535)"], "{:?}", added(&table).await?);
        ensure_nothing_failed(&table).await
    });
}

/// A load whose column was added meanwhile reads the columns again.
#[test]
fn a_column_that_someone_else_has_added_is_used() {
    world().run(async {
        let table = table(FOREIGN).await?;
        table.hold("SUBMITTED").await?;
        table.put("a.parquet", newer(1, 0)?).await?;
        table.until("submitted", is_submitted).await?;
        table.sql(&format!("ALTER TABLE {} ADD COLUMN val VARCHAR(9)", table_name(FOREIGN))).await?;
        table.release().await?;
        table.rest_with(&rows(&["1,0,x"])).await?;
        let words: Vec<String> = table.statements().await?.iter().map(|it| format!("{it:?}")).collect();
        ensure!(words.iter().any(|words| words.contains("already exists")), "{words:?}");
        ensure!(added(&table).await?.is_empty(), "a load has added columns");
        Ok(())
    });
}

/// Puts a file of the first shape, and one with all columns so far and a new one.
async fn put_both(table: &Table, round: i64) -> Result<()> {
    table.put(&format!("{round}-old.parquet"), older(2 * round, round)?).await?;
    let names: Vec<String> = (0..=round).map(|number| format!("c{number}")).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![("id", numbers(&[2 * round + 1])), ("n", numbers(&[round]))];
    columns.extend(names.iter().map(|name| (name.as_str(), numbers(&[round]))));
    table.put(&format!("{round}-new.parquet"), parquet(columns)?).await
}

/// All rows after this round. Columns that were added after a row are NULL.
fn after(round: i64) -> Vec<String> {
    let row = |id: i64, of: i64, n_columns: i64| {
        let cells = (0..=round).map(|number| if number < n_columns { of.to_string() } else { "NULL".to_owned() });
        format!("{id},{of},{}", cells.collect::<Vec<_>>().join(","))
    };
    (0..=round).flat_map(|of| [row(2 * of, of, 0), row(2 * of + 1, of, of + 1)]).collect()
}

/// Loads a backlog of two shapes in each round, with a fault at one of its calls. Returns the number of rounds.
async fn rounds_with_faults(queue: &'static str) -> Result<i64> {
    let table = table(queue).await?;
    let gateway = world().stack.gateway();
    put_both(&table, 0).await?;
    table.rest_with(&after(0)).await?;
    let counter = Counter::start(gateway.clone()).await?;
    put_both(&table, 1).await?;
    table.rest_with(&after(1)).await?;
    let n_calls = counter.functions_log().await?.len();
    ensure!(n_calls >= 15, "two loads made only {n_calls} calls");
    let (mut round, full) = (1, std::env::var_os(FULL).is_some());
    for (number, kind) in ["kill_before", "kill_after", "drop_response"].into_iter().enumerate() {
        let kind: ToxicKind = serde_json::from_value(json!(kind))?;
        for call in (0..n_calls.min(40)).filter(|call| full || call % 9 == 3 * number) {
            round += 1;
            gateway.add_toxic(&Toxic::new(kind.clone()).once_after(call as u64)).await?;
            put_both(&table, round).await?;
            let result = table.rest_with(&after(round)).await;
            gateway.clear_toxics().await?;
            result.map_err(|error| error.context(format!("{queue}: {kind:?} at call {call}")))?;
        }
    }
    ensure!(table.quarantine().await?.is_empty(), "something is in quarantine");
    let n_added = added(&table).await?.len();
    ensure!(n_added == usize::try_from(round + 1)?, "{n_added} loads have added columns in {} rounds", round + 1);
    Ok(round)
}

#[test]
fn rows_and_columns_are_exact_whichever_call_fails_or_kills_a_function() {
    let points = world().run(async { Ok(rounds_with_faults(DYING).await? + rounds_with_faults(DYING_MERGED).await?) });
    println!("proof: two shapes in one backlog: {points} points tried");
}
