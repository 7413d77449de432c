//! Executes the recipes in docs/recipes.md: configurations, tables and messages are read from that page, so that page and test cannot differ.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use acceptance::columnar::{numbers, parquet};
use acceptance::page;
use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Context, Result, ensure};
use aws_sdk_s3::primitives::ByteStream;
use flate2::Compression;
use flate2::write::GzEncoder;
use loader_core::config::LoadConfig;
use serde_json::{Value, json};
use tempfile as _;

/// Name of a second queue with the DMS recipe, for the replay.
const REPLAY: &str = "replay";

static SCHEMAS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A section of the page.
#[derive(Debug)]
struct Recipe {
    config: Value,
    tables: String,
    messages: Vec<Value>,
    policies: Vec<Value>,
}

/// The recipes by names of their queues.
fn of_page() -> Result<BTreeMap<String, Recipe>> {
    let text = page::read("docs/recipes.md")?;
    let mut recipes = BTreeMap::new();
    for section in page::sections(&text) {
        let blocks = page::blocks(section);
        let of = |info: &str| blocks.iter().filter(|(of, _)| *of == info).map(|(_, text)| *text).collect::<Vec<_>>();
        let parsed = |info: &str| {
            let parse = |text: &&str| serde_json::from_str(text).with_context(|| format!("no JSON: {text}"));
            of(info).iter().map(parse).collect::<Result<Vec<Value>>>()
        };
        // Other JSON in the page must be valid too.
        parsed("json statements")?;
        let Some((name, _)) = section.split_once("The file of the queue `").and_then(|(_, rest)| rest.split_once("`:"))
        else {
            continue;
        };
        let config = parsed("json")?.into_iter().next().with_context(|| format!("{name} has no file"))?;
        let tables = of("sql").concat();
        let (messages, policies) = (parsed("json message")?, parsed("json policy")?);
        recipes.insert(name.to_owned(), Recipe { config, tables, messages, policies });
    }
    Ok(recipes)
}

/// The DMS recipe for another table.
fn replayed(people: &Recipe) -> Recipe {
    let text = people.config.to_string().replace("people", REPLAY).replace("dms-bucket", "replay-bucket");
    let mut config: Value = serde_json::from_str(&text).expect("JSON as before");
    config["load"] = json!({"files_max": 4});
    Recipe { config, tables: people.tables.replace("people", REPLAY), messages: Vec::new(), policies: Vec::new() }
}

fn recipes() -> Result<BTreeMap<String, Recipe>> {
    let mut recipes = of_page()?;
    let replay = replayed(recipes.get("people").context("no recipe people")?);
    recipes.insert(REPLAY.to_owned(), replay);
    Ok(recipes)
}

fn world() -> &'static World {
    world_of(|| {
        let recipes = recipes().expect("the page is read");
        Setup { queues: recipes.into_iter().map(|(name, recipe)| (name, recipe.config)).collect(), ..Setup::default() }
    })
}

/// A recipe that has been followed.
struct Followed {
    table: Table,
    bucket: String,
    recipe: Recipe,
}

/// Creates the recipe's tables, its bucket and, unless it has messages, S3's notification.
async fn follow(name: &str) -> Result<Followed> {
    let recipe = recipes()?.remove(name).with_context(|| format!("docs/recipes.md has no queue {name}"))?;
    let config = LoadConfig::from_value(&recipe.config).map_err(|problems| anyhow::anyhow!("{name}: {problems}"))?;
    // Creating the same schema concurrently fails.
    let schemas = SCHEMAS.lock().await;
    let console = Table::deployed(world(), name, name, append(&format!("console_{name}"))).await?;
    let schema = &config.target.table.schema;
    console.sql(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
    for statement in recipe.tables.split(';').filter(|statement| !statement.trim().is_empty()) {
        console.sql(statement).await?;
    }
    drop(schemas);
    let table = Table::deployed(world(), name, name, recipe.config.clone()).await?;
    let source = config.source.as_ref().with_context(|| format!("{name} has no source"))?;
    world().s3.create_bucket().bucket(&source.bucket).send().await?;
    if recipe.messages.is_empty() {
        world().notify(&source.bucket, &source.prefix, name).await?;
    }
    table.configure(&recipe.config).await?;
    Ok(Followed { table, bucket: source.bucket.clone(), recipe })
}

impl Followed {
    async fn put(&self, key: &str, content: impl Into<Vec<u8>>) -> Result<()> {
        let body = ByteStream::from(content.into());
        world().s3.put_object().bucket(&self.bucket).key(key).body(body).send().await?;
        Ok(())
    }

    /// Sends the messages of the recipe.
    async fn send_messages(&self) -> Result<()> {
        for message in &self.recipe.messages {
            self.table.send(message.to_string()).await?;
        }
        Ok(())
    }

    async fn rest_with(&self, expected: &[&str]) -> Result<()> {
        self.table.rest_with(&rows(expected)).await
    }
}

fn gzipped(text: &str) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?)
}

#[test]
fn firehose_delivers_gzipped_json() {
    world().run(async {
        let clicks = follow("clicks").await?;
        let key = |hour: &str| format!("clicks/2026/01/31/{hour}/clicks-1-2026-01-31-{hour}-00-15-5c2f7a58.gz");
        let line = |id: u32, at: &str| format!("{{\"id\": {id}, \"at\": \"2026-01-31 {at}\", \"page\": \"/\"}}\n");
        let eight = line(1, "08:00:15") + &line(2, "08:00:16.5");
        clicks.put(&key("08"), gzipped(&eight)?).await?;
        clicks.put(&key("09"), gzipped(&line(3, "09:00:15"))?).await?;
        // The recipe lets Firehose put failed records outside of the folder.
        clicks.put("failed/processing-failed/2026/01/31/08/x", "{}").await?;
        clicks.rest_with(&["1,2026-01-31 08:00:15,/", "2,2026-01-31 08:00:16.5,/", "3,2026-01-31 09:00:15,/"]).await
    });
}

#[test]
fn dms_delivers_changes_and_the_full_load_in_any_order() {
    world().run(async {
        let people = follow("people").await?;
        let changes = csv(&[
            "U,2026-01-31 09:00:00.000001,2,Bea,Bonn",
            "D,2026-01-31 09:00:00.000002,1,NULL,NULL",
            "I,2026-01-31 09:00:00.000003,3,\"Cid, Jr.\",NULL",
        ]);
        people.put("hr/people/20260131-090015123.csv", changes).await?;
        let after = ["2,Bea,Bonn,2026-01-31 09:00:00.000001", "3,Cid, Jr.,NULL,2026-01-31 09:00:00.000003"];
        people.rest_with(&after).await?;
        // The full load arrives after the changes: deleted rows stay deleted.
        let first = csv(&["I,2026-01-31 08:00:00.000000,1,Ada,Aachen", "I,2026-01-31 08:00:00.000000,2,Bea,Berlin"]);
        people.put("hr/people/LOAD00000001.csv", first).await?;
        people.rest_with(&after).await?;
        ensure!(people.table.loaded().await?.len() == 2, "{:?}", people.table.loaded().await?);
        // A row that is inserted again exists.
        people.put("hr/people/20260131-100015123.csv", csv(&["I,2026-01-31 10:00:00.000000,1,Ann,Ahlen"])).await?;
        people.rest_with(&[after[0], after[1], "1,Ann,Ahlen,2026-01-31 10:00:00"]).await
    });
}

#[test]
fn spark_writes_partitions_through_temporary_folders() {
    world().run(async {
        let orders = follow("orders").await?;
        let file = |id: i64| parquet(vec![("id", numbers(&[id])), ("amount", numbers(&[10 * id]))]);
        let name = |number: u32| format!("part-{number:05}-2b5a1c7e-9d0f-4c5e.c000.snappy.parquet");
        let attempt = "orders/_temporary/0/_temporary/attempt_202601310800_0001_m_000000_1/dt=2026-01-31";
        orders.put(&format!("{attempt}/{}", name(0)), file(1)?).await?;
        orders.put(&format!("orders/dt=2026-01-31/{}", name(0)), file(1)?).await?;
        orders.put(&format!("orders/dt=2026-02-01/{}", name(1)), file(2)?).await?;
        orders.put("orders/_SUCCESS", Vec::new()).await?;
        orders.rest_with(&["1,10,spark", "2,20,spark"]).await?;
        ensure!(orders.table.quarantine().await?.is_empty(), "{:?}", orders.table.quarantine().await?);
        Ok(())
    });
}

#[test]
fn s3_notifies_through_eventbridge() {
    world().run(async {
        let payments = follow("payments").await?;
        payments.put("in/first of two.csv", csv(&["1,9.90", "2,5.00"])).await?;
        payments.send_messages().await?;
        payments.rest_with(&["1,9.90", "2,5.00"]).await
    });
}

#[test]
fn s3_notifies_through_sns_raw_and_in_envelopes() {
    world().run(async {
        let invoices = follow("invoices").await?;
        invoices.put("in/first of two.csv", csv(&["1,9.90"])).await?;
        invoices.put("in/second of two.csv", csv(&["2,5.00"])).await?;
        ensure!(invoices.recipe.messages.len() == 2, "one raw message and one in an envelope");
        invoices.send_messages().await?;
        invoices.rest_with(&["1,9.90", "2,5.00"]).await
    });
}

#[test]
fn the_policies_for_another_accounts_bucket_are_what_the_role_needs() {
    world().run(async {
        let partner = follow("partner").await?;
        partner.put("export/a.csv", csv(&["1,9.90"])).await?;
        partner.rest_with(&["1,9.90"]).await?;
        let statements = |policy: &Value| policy["Statement"].as_array().cloned().unwrap_or_default();
        let allowed: BTreeSet<String> =
            partner.recipe.policies.iter().flat_map(statements).flat_map(|statement| actions(&statement)).collect();
        let needed = on_source(&partner.bucket);
        ensure!(!needed.is_empty() && allowed == needed, "the page allows {allowed:?}, the role has {needed:?}");
        Ok(())
    });
}

#[test]
fn a_bucket_with_kms() {
    world().run(async {
        let salaries = follow("salaries").await?;
        salaries.put("in/a.csv", csv(&["1,9.90"])).await?;
        ensure!(salaries.recipe.policies.len() == 1, "the key's policy");
        salaries.rest_with(&["1,9.90"]).await
    });
}

/// The actions that the template allows the execution role on a bucket.
fn on_source(bucket: &str) -> BTreeSet<String> {
    let resources = world().template["Resources"].as_object().into_iter().flat_map(|all| all.values());
    let roles = resources.filter(|resource| resource["Type"] == "AWS::IAM::Role");
    let policies = roles.flat_map(|role| role["Properties"]["Policies"].as_array().cloned().unwrap_or_default());
    let statements =
        policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().cloned().unwrap_or_default());
    statements
        .filter(|statement| statement["Resource"].to_string().contains(bucket))
        .flat_map(|statement| actions(&statement))
        .collect()
}

fn actions(statement: &Value) -> Vec<String> {
    match &statement["Action"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        one => one.as_str().map(ToOwned::to_owned).into_iter().collect(),
    }
}

/// A version of a row: timestamp in microseconds, whether it is deleted, name, city.
type Version = (u64, bool, Option<String>, Option<String>);

/// A generator of pseudo-random numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// The history of a table in DMS's files, and the last version of each row.
fn history(dice: &mut Dice) -> (Vec<Vec<String>>, BTreeMap<u64, Version>) {
    const N_KEYS: u64 = 12;
    const N_FILES: u64 = 24;
    let mut last: BTreeMap<u64, Version> = BTreeMap::new();
    let mut files = Vec::new();
    let mut clock = 0;
    for file in 0..N_FILES {
        let mut lines = Vec::new();
        for _ in 0..=dice.roll(6) {
            // Changes of several rows can have the same timestamp, as in a transaction.
            clock += dice.roll(3);
            let id = dice.roll(N_KEYS);
            let before = last.get(&id);
            let is_taken = before.is_some_and(|(at, ..)| *at >= clock);
            clock += u64::from(is_taken);
            let is_there = before.is_some_and(|(_, gone, ..)| !gone);
            let gone = is_there && file > 0 && dice.roll(3) == 0;
            let name = (!gone).then(|| format!("n{}", dice.roll(100)));
            let city = (!gone && dice.roll(4) > 0).then(|| format!("c{}", dice.roll(100)));
            let op = if gone {
                "D"
            } else if is_there {
                "U"
            } else {
                "I"
            };
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
            lines.push(format!("{op},2026-01-31 08:00:00.{clock:06},{id},{},{}", text(&name), text(&city)));
            last.insert(id, (clock, gone, name, city));
        }
        files.push(lines);
    }
    (files, last)
}

/// The row in the warehouse's text format, without trailing zeros in fractions of seconds.
fn shown(id: u64, (at, _, name, city): &Version) -> String {
    let part = format!("{at:06}").trim_end_matches('0').to_owned();
    let part = if part.is_empty() { part } else { format!(".{part}") };
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    format!("{id},{},{},2026-01-31 08:00:00{part}", text(name), text(city))
}

#[test]
fn replayed_dms_files_in_any_order_and_grouping_give_the_source_table() {
    world().run(async {
        let replay = follow(REPLAY).await?;
        let mut dice = Dice(0x5eed_0011);
        let (mut files, last) = history(&mut dice);
        ensure!(last.values().any(|(_, gone, ..)| *gone), "no row is deleted at the end");
        // Some files are delivered twice, under different keys.
        let again: Vec<_> = files.iter().step_by(5).cloned().collect();
        files.extend(again);
        for index in (1..files.len()).rev() {
            files.swap(index, usize::try_from(dice.roll(index as u64 + 1))?);
        }
        for (number, lines) in files.iter().enumerate() {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            replay.put(&format!("hr/replay/20260131-0800{number:05}.csv"), csv(&lines)).await?;
            if dice.roll(3) == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(dice.roll(700))).await;
            }
        }
        let there = last.iter().filter(|(_, (_, gone, ..))| !gone).map(|(id, version)| shown(*id, version));
        replay.table.rest_with(&there.collect::<Vec<_>>()).await?;
        let n_loads = replay.table.loaded().await?.len();
        ensure!((4..files.len()).contains(&n_loads), "{n_loads} loads");
        Ok(())
    });
}
