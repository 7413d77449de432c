//! The cost of loads, counted but never timed: the functions' AWS calls, the COPYs, and the tracker's write units.
//!
//! Every statement is held until its id is recorded and, in a burst, until all files are recorded, so that the counts do not depend on the
//! speed of the machine. Which of two invocations takes the slot remains open; the bounds hold in either case.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use acceptance::columnar::{moments, numbers, parquet, texts};
use acceptance::counted::{Counted, Counter, item_bytes, n_calls, write_units};
use acceptance::steps::{is_submitted, n_loaded, n_waiting};
use acceptance::table::{Table, append, csv, merge, row};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Result, ensure};
use loader_core::ids::DbTable;
use loader_core::tracker::item::Item;
use loader_core::tracker::write::Items;
use serde_json::{Value, json};

const MERGED: &str = "count-merge";
const APPENDED: &str = "count-append";
const WRITE_ONCE: &str = "count-once";
const PARQUET: &str = "count-parquet";
const HUNDRED: &str = "count-hundred";
const FIVE: [&str; 5] = ["count-five1", "count-five2", "count-five3", "count-five4", "count-five5"];
/// A burst takes more calls than this for each table.
const CALLS_MIN: usize = 20;
/// Records in a notification.
const RECORDS: usize = 10;
/// Write units of a single file: fifteen, and four more if the slot with its load is larger than one unit.
const UNITS_MAX: usize = 19;

/// Tests run one at a time, because the gateway counts all calls.
static ALONE: Mutex<()> = Mutex::new(());

fn table_name(queue: &str) -> String {
    queue.replace('-', "_")
}

fn appended(queue: &str) -> Value {
    append(&table_name(queue))
}

fn merged() -> Value {
    merge(&table_name(MERGED), true)
}

fn written_once() -> Value {
    let mut config = appended(WRITE_ONCE);
    config["load"] = json!({"write_once": true});
    config
}

fn columnar() -> Value {
    let mut config = appended(PARQUET);
    config["copy"]["options"] = json!("PARQUET");
    config
}

fn world() -> &'static World {
    world_of(|| {
        let plain = [APPENDED, HUNDRED].into_iter().chain(FIVE).map(|queue| (queue, appended(queue)));
        let queues = plain.chain([(MERGED, merged()), (WRITE_ONCE, written_once()), (PARQUET, columnar())]);
        Setup { quiet: true, ..Setup::of(queues) }
    })
}

fn alone<T>(test: impl Future<Output = Result<T>>) -> T {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    world().run(test)
}

/// The twelve calls in ARCHITECTURE.md.
const ONE_FILE: [(&str, usize); 9] = [
    ("MicrobatchLoader dynamodb:BatchGetItem", 1),
    ("MicrobatchLoader dynamodb:PutItem", 3),
    ("MicrobatchLoader dynamodb:Query", 1),
    ("MicrobatchLoader redshift-data:BatchExecuteStatement", 1),
    ("MicrobatchLoader s3:HeadObject", 1),
    ("MicrobatchLoader s3:PutObject", 1),
    ("NextLoader dynamodb:Query", 2),
    ("NextLoader dynamodb:TransactWriteItems", 1),
    ("NextLoader redshift-data:DescribeStatement", 1),
];

fn one_file() -> Counted {
    ONE_FILE.into_iter().map(|(call, n)| (call.to_owned(), n)).collect()
}

fn one_file_without_look() -> Counted {
    one_file().into_iter().filter(|(call, _)| !call.ends_with("s3:HeadObject")).collect()
}

#[test]
fn one_file_is_merged_with_the_twelve_calls_of_the_architecture() {
    alone(async {
        let counted = second_file(MERGED, merged()).await?;
        ensure!(counted == one_file(), "{counted:#?}");
        Ok(())
    });
}

#[test]
fn one_file_is_appended_with_the_same_calls() {
    alone(async {
        let counted = second_file(APPENDED, appended(APPENDED)).await?;
        ensure!(counted == one_file(), "{counted:#?}");
        Ok(())
    });
}

#[test]
fn with_write_once_objects_are_not_looked_at() {
    alone(async {
        let counted = second_file(WRITE_ONCE, written_once()).await?;
        ensure!(counted == one_file_without_look(), "{counted:#?}");
        Ok(())
    });
}

/// The columns of the table are cached since the first file.
#[test]
fn a_parquet_file_takes_one_more_call_for_its_columns() {
    alone(async {
        let mut expected = one_file();
        expected.insert("MicrobatchLoader s3:GetObject".to_owned(), 1);
        let counted = second_file(PARQUET, columnar()).await?;
        ensure!(counted == expected, "{counted:#?}");
        Ok(())
    });
}

#[test]
fn a_hundred_files_take_less_than_one_call_each_besides_the_look() {
    alone(async {
        let burst = burst(&[HUNDRED], 100).await?;
        burst.ensure_calls_at_most(0.8)
    });
}

#[test]
fn five_hundred_files_of_five_tables_take_half_a_call_each_besides_the_look() {
    alone(async {
        let burst = burst(&FIVE, 100).await?;
        ensure!(burst.copies <= 12, "{} COPYs", burst.copies);
        burst.ensure_calls_at_most(0.5)
    });
}

/// The calls of a table's second file, with warm functions, cached configuration and cached columns.
async fn second_file(queue: &'static str, config: Value) -> Result<Counted> {
    let table = Table::new(world(), queue, config).await?;
    let columnar = queue == PARQUET;
    table.put("0", if columnar { columns(0)? } else { content(0) }).await?;
    table.until_by_itself("loaded", |items| n_loaded(items) == 1).await?;
    let since = count_from_here().await?;
    let started_millis = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    table.hold("SUBMITTED").await?;
    table.put("1", if columnar { columns(1)? } else { content(1) }).await?;
    table.until_by_itself("submitted", is_submitted).await?;
    let during = table.items().await?;
    table.release().await?;
    table.until_by_itself("loaded", |items| n_loaded(items) == 2).await?;
    let counted = since.calls(one_file_without_look().values().sum()).await?;
    ensure_told(&counted, started_millis).await?;
    let units = units_of_one_file(&DbTable(table.db_table()?), &during, &table.items().await?)?;
    println!("proof: counts: {queue}: one file, {} calls, {units} write units", counted.values().sum::<usize>());
    ensure!(units <= UNITS_MAX, "{units} write units");
    table.rest_with(&[row(0), row(1)]).await?;
    Ok(counted)
}

/// The metric `Calls` on the lines of this load, against the gateway's count. The lines also tell what their environments sent before, for
/// example when they started; NextLoader's last look is told by its next line.
async fn ensure_told(counted: &Counted, started_millis: i64) -> Result<()> {
    let is_of = |line: &Value, event: &str| {
        line["event"] == event && line["_aws"]["Timestamp"].as_i64() >= Some(started_millis)
    };
    let has = |lines: &[Value], event: &str| lines.iter().any(|line| is_of(line, event));
    let is_complete = |lines: &[Value]| ["recorded", "submitted", "finished"].iter().all(|event| has(lines, event));
    let lines = world().logged_until(started_millis, "all lines of the load", is_complete).await?;
    let told = |event: &str| -> u64 {
        lines.iter().filter(|line| is_of(line, event)).filter_map(|line| line["Calls"].as_u64()).sum()
    };
    let sent = |function: &str| -> u64 {
        counted.iter().filter(|(call, _)| call.starts_with(function)).map(|(_, n)| *n as u64).sum()
    };
    let (recorded, submitted, finished) = (told("recorded"), told("submitted"), told("finished"));
    println!("proof: counts: {recorded} + {submitted} + {finished} calls by the metric");
    let (by_microbatch, by_next) = (sent("MicrobatchLoader"), sent("NextLoader"));
    ensure!(recorded >= 1 && recorded + submitted >= by_microbatch, "{counted:#?}\n{lines:#?}");
    ensure!(submitted + 1 == by_microbatch, "all calls of this load but the first: {counted:#?}\n{lines:#?}");
    ensure!(finished + 1 >= by_next, "{counted:#?}\n{lines:#?}");
    Ok(())
}

/// The write units of a load of one file: two plain writes of the slot and one of the pending load; slot, pending load, ledger and history in
/// a transaction, at twice the price; and adding the keys of slot and pending load to the index of tables with work and removing them.
fn units_of_one_file(table: &DbTable, during: &Items, after: &Items) -> Result<usize> {
    let units = |items: &Items, wanted: &dyn Fn(&Item) -> bool| -> Result<usize> {
        items.values().rev().find(|item| wanted(item)).map_or(Ok(0), |item| write_units(table, item))
    };
    let slot = units(during, &|item| matches!(item, Item::Slot(_)))?;
    let pending = units(during, &|item| matches!(item, Item::Pending(_)))?;
    let ledger = units(after, &|item| matches!(item, Item::File(_)))?;
    let history = units(after, &|item| matches!(item, Item::Loaded(_)))?;
    ensure!(slot > 0 && pending > 0 && ledger > 0 && history > 0, "items are missing");
    Ok(pending + 2 * slot + 2 * (slot + pending + ledger + history) + 4)
}

/// The cost of many files.
struct Burst {
    n_files: usize,
    counted: Counted,
    copies: usize,
}

impl Burst {
    /// Fails if there are more calls per file, not counting looks, listings in their place, and configurations, which each environment
    /// reads once a minute; the platform chooses the number of environments.
    fn ensure_calls_at_most(&self, per_file: f64) -> Result<()> {
        let n = |operation| n_calls(&self.counted, operation);
        let (looks, listings, configs) = (n("s3:HeadObject"), n("s3:ListObjectVersions"), n("s3:GetObject"));
        let others = self.counted.values().sum::<usize>() - looks - listings - configs;
        let Self { n_files, copies, .. } = self;
        println!(
            "proof: counts: {n_files} files: {others} calls, {looks} looks, {listings} listings, {configs} configurations, \
             {copies} COPYs"
        );
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let found = others as f64 / *n_files as f64;
        ensure!(found <= per_file, "{found} calls per file\n{:#?}", self.counted);
        ensure!(looks * 2 <= *n_files, "listings do not take the place of looks\n{:#?}", self.counted);
        Ok(())
    }
}

/// Sends files in notifications of ten. Each table's first load runs until all of them are recorded.
async fn burst(queues: &[&'static str], per_table: usize) -> Result<Burst> {
    let mut tables = Vec::new();
    for queue in queues {
        let table = Table::without_notifications(world(), queue, appended(queue)).await?;
        table.send(message(&table, 0..1).await?).await?;
        table.until_by_itself("loaded", |items| n_loaded(items) == 1).await?;
        tables.push(table);
    }
    let mut messages = Vec::new();
    for first in (1..=per_table).step_by(RECORDS) {
        for table in &tables {
            messages.push((table, message(table, first..first + RECORDS).await?));
        }
    }
    let since = count_from_here().await?;
    for table in &tables {
        table.hold("SUBMITTED").await?;
    }
    for (table, message) in messages {
        table.send(message).await?;
    }
    for table in &tables {
        table.until_by_itself("recorded", |items| n_waiting(items) == per_table && is_submitted(items)).await?;
    }
    for table in &tables {
        table.release().await?;
    }
    let mut copies = 0;
    for table in &tables {
        table.until_by_itself("loaded", |items| n_loaded(items) == 1 + per_table).await?;
        copies += table.statements().await?.len() - 1;
        ensure_small_items(table).await?;
    }
    let counted = since.calls(tables.len() * CALLS_MIN).await?;
    let expected: Vec<String> = (0..=per_table).map(row).collect();
    for table in &tables {
        table.rest_with(&expected).await?;
    }
    Ok(Burst { n_files: tables.len() * per_table, counted, copies })
}

/// A ledger entry must fit into one write unit, with room for longer keys.
async fn ensure_small_items(table: &Table) -> Result<()> {
    let db_table = DbTable(table.db_table()?);
    for item in table.items().await?.values() {
        if matches!(item, Item::File(_)) {
            let bytes = item_bytes(&db_table, item)?;
            ensure!(bytes <= 512, "a ledger entry of {bytes} bytes: {item:?}");
        }
    }
    Ok(())
}

async fn count_from_here() -> Result<Counter> {
    let gateway = world().stack.gateway();
    Counter::start(gateway.clone()).await?.calls(0).await?;
    Counter::start(gateway).await
}

fn content(number: usize) -> Vec<u8> {
    csv(&[&row(number)])
}

fn columns(number: i64) -> Result<Vec<u8>> {
    parquet(vec![("id", numbers(&[number])), ("at", moments(&[0])), ("val", texts(&["x"]))])
}

/// Puts these files and returns their notification.
async fn message(table: &Table, numbers: std::ops::Range<usize>) -> Result<String> {
    let mut keys = Vec::new();
    for number in numbers {
        keys.push(format!("{number}.csv"));
        table.put(&keys[keys.len() - 1], content(number)).await?;
    }
    table.notification(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await
}
