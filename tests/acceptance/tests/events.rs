//! Table events: what a rule on the account's event bus receives, even if functions are killed directly after their writes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use acceptance::columnar::{numbers, parquet, texts};
use acceptance::steps::in_quarantine;
use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{STACK, Setup, World, clone_root, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use aws_sdk_eventbridge::types::Target;
use loader_core::contract::Function;
use loader_core::tracker::item::Item;
use loader_core::tracker::table_event::SOURCE;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

const GOOD: &str = "good";
const BAD: &str = "bad";
const DRIFTED: &str = "drifted";
const STUCK: &str = "stuck";
const IDLE: &str = "idle";
const ROW: &str = "1,2026-01-01 00:00:00,a";
/// The stream is polled each second, so a second event of the same fact would arrive within this time.
const QUIET: Duration = Duration::from_secs(4);
const WITHIN: Duration = Duration::from_mins(1);
/// Attempts of a stuck table, of which only the first is published.
const ATTEMPTS: u32 = 3;

fn world() -> &'static World {
    world_of(|| {
        let queues = [GOOD, BAD, DRIFTED, STUCK, IDLE].map(|name| (name, config(name)));
        Setup { events: true, ..Setup::of(queues) }
    })
}

fn config(name: &str) -> Value {
    let mut config = append(name);
    if name == DRIFTED {
        config["copy"]["options"] = json!("FORMAT AS PARQUET");
    }
    config
}

#[test]
fn each_fact_is_published_once_even_if_functions_are_killed() {
    let world = world();
    let checkout = Checkout::new().expect("a separate clone");
    world.run(async {
        let everything = Listener::new("everything", &json!({"source": [SOURCE]})).await?;
        let documented = std::fs::read_to_string(clone_root()?.join("docs/events.md"))?;
        let fresh = Listener::new("fresh", &documented_pattern(&documented)?).await?;
        good().await.context(GOOD)?;
        bad().await.context(BAD)?;
        drifted().await.context(DRIFTED)?;
        stuck().await.context(STUCK)?;
        let idle = Table::new(world, IDLE, config(IDLE)).await?;
        checkout.must(&format!("pause {IDLE} --reason rebuild --local --stack-name {STACK}")).await?;
        ensure!(idle.rows().await?.is_empty());

        let received = everything.all(5).await?;
        let ids: BTreeSet<String> = received.iter().map(|event| event["detail"]["id"].to_string()).collect();
        ensure!(ids.len() == 5, "two events have the same id: {received:#?}");
        ensure_schema(&received)?;
        let loaded = event_of(&received, GOOD, "loaded", "")?;
        ensure!(loaded["files"] == "1" && loaded["bytes"] == "24" && loaded["rows"] == "1", "{loaded:#}");
        let bad = event_of(&received, BAD, "quarantined", "bad_input")?;
        ensure!(bad["reason"].as_str().is_some_and(|why| why.contains("invalid digit")), "{bad:#}");
        ensure!(!received.iter().any(|event| event.to_string().contains("card")), "a value of a row: {received:#?}");
        let drifted = event_of(&received, DRIFTED, "drift", "bad_input")?;
        ensure!(drifted["reason"].as_str().is_some_and(|why| why.contains("other order")), "{drifted:#}");
        event_of(&received, STUCK, "paused", "operators_turn")?;
        let idle = event_of(&received, IDLE, "paused", "paused")?;
        ensure!(idle["reason"].as_str().is_some_and(|why| why.ends_with(": rebuild")), "{idle:#}");
        event_of(&fresh.all(1).await?, GOOD, "loaded", "").map(drop)
    });
}

/// The only event of a table.
fn event_of<'a>(received: &'a [Value], table: &str, kind: &str, class: &str) -> Result<&'a Value> {
    let is_meant = |detail: &&Value| detail["table"].as_str().is_some_and(|it| it.ends_with(&format!(".{table}")));
    let mut details = received.iter().map(|event| &event["detail"]).filter(is_meant);
    let detail = details.next().with_context(|| format!("no event of {table}: {received:#?}"))?;
    ensure!(detail["kind"] == kind && detail["class"] == class && details.next().is_none(), "{received:#?}");
    Ok(detail)
}

fn ensure_schema(received: &[Value]) -> Result<()> {
    let schema = std::fs::read_to_string(clone_root()?.join("docs/schema/event.schema.json"))?;
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema)?)?;
    for event in received {
        let wrong: Vec<String> = validator.iter_errors(event).map(|error| error.to_string()).collect();
        ensure!(wrong.is_empty(), "{wrong:?}: {event:#}");
    }
    ensure!(!validator.is_valid(&json!({"source": SOURCE, "detail": {}})), "the schema accepts anything");
    Ok(())
}

/// The pattern of the example in the page, for this test's table.
fn documented_pattern(page: &str) -> Result<Value> {
    let start = page.find("{\"source\"").context("the page has no pattern")?;
    let mut values = serde_json::Deserializer::from_str(&page[start..]).into_iter::<Value>();
    let pattern = values.next().context("the pattern in the page is incomplete")??;
    let pattern = pattern.to_string().replace("shop.sales", &format!("public.{GOOD}"));
    Ok(serde_json::from_str(&pattern)?)
}

/// NextLoader is killed directly after it has committed.
async fn good() -> Result<()> {
    let table = Table::new(world(), GOOD, config(GOOD)).await?;
    let dies = Toxic::new(ToxicKind::KillAfter).on("dynamodb", "TransactWriteItems");
    let dies = Toxic { function: Some(World::function(Function::NextLoader)), times: Some(1), ..dies };
    let gateway = world().stack.gateway();
    gateway.add_toxic(&dies).await?;
    table.put("a.csv", csv(&[ROW])).await?;
    table.rest_with(&rows(&[ROW])).await?;
    ensure!(gateway.toxics().await?.first().is_some_and(|toxic| toxic.applied == 1), "no function was killed");
    gateway.clear_toxics().await
}

async fn bad() -> Result<()> {
    let table = Table::new(world(), BAD, config(BAD)).await?;
    table.put("a.csv", csv(&["number-of-a-card,2026-01-01 00:00:00,b"])).await?;
    table.until("in quarantine", in_quarantine).await
}

async fn drifted() -> Result<()> {
    let table = Table::new(world(), DRIFTED, config(DRIFTED)).await?;
    table.recreate("id BIGINT, n BIGINT, val VARCHAR(64)").await?;
    let swapped = parquet(vec![("n", numbers(&[1])), ("id", numbers(&[2])), ("val", texts(&["x"]))])?;
    table.put("a.parquet", swapped).await?;
    table.until("in quarantine", in_quarantine).await
}

async fn stuck() -> Result<()> {
    let table = Table::new(world(), STUCK, config(STUCK)).await?;
    table.sql(&format!("DROP TABLE {STUCK}")).await?;
    table.put("a.csv", csv(&[ROW])).await?;
    let has_probed = |item: &Item| item.load().is_some_and(|load| load.failures >= ATTEMPTS);
    table.until("probed", |items| items.values().any(has_probed)).await
}

/// A rule with a queue as its target.
struct Listener {
    queue_url: String,
}

impl Listener {
    async fn new(name: &str, pattern: &Value) -> Result<Self> {
        let World { sqs, events, stack, .. } = world();
        let queue = sqs.create_queue().queue_name(format!("listener-{name}")).send().await?;
        let info = stack.info();
        let arn = format!("arn:aws:sqs:{}:{}:listener-{name}", info.region, info.account);
        events.put_rule().name(name).event_pattern(pattern.to_string()).send().await?;
        let target = Target::builder().id("queue").arn(arn).build()?;
        events.put_targets().rule(name).targets(target).send().await?;
        Ok(Self { queue_url: queue.queue_url().context("no URL")?.to_owned() })
    }

    /// Waits for this number of events, and until no more follow, and returns all of them.
    async fn all(&self, n_events: usize) -> Result<Vec<Value>> {
        let (mut received, started) = (Vec::new(), Instant::now());
        let mut last = started;
        while received.len() < n_events || last.elapsed() < QUIET {
            let receive = world().sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
            for message in receive.send().await?.messages() {
                received.push(serde_json::from_str(message.body().context("no body")?)?);
                let handle = message.receipt_handle().context("no handle")?;
                world().sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle).send().await?;
                last = Instant::now();
            }
            ensure!(started.elapsed() < WITHIN, "{} of {n_events} events: {received:#?}", received.len());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(received)
    }
}
