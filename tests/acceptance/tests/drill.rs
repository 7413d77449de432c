//! The fault drill: `status` names the cause of each fault, an alarm of the deployed template rings by what the functions wrote and the
//! services count, the runbook's commands mend it, and no row is lost.
//!
//! No sweep runs here of its own accord: the test sweeps, and each sweep stands for a minute. Failed attempts are repeated after ten
//! minutes only, so what goes on does so because a command of the runbook was run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use acceptance::alarms::{Window, rings};
use acceptance::role::without;
use acceptance::runbook::Runbook;
use acceptance::steps::{in_quarantine, is_submitted, waits_for};
use acceptance::table::{Table, append, csv, rows};
use acceptance::world::{STACK, Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use loader_core::contract::Function;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use loader_core::tracker::write::Items;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

const BAD: &str = "bad";
const MISSING: &str = "missing";
const DENIED: &str = "denied";
const DOWN: &str = "down";
const LOST: &str = "lost";
const WRONG: &str = "wrong";
const BUSY: &str = "busy";
const HANGS: &str = "hangs";
const KILLED: &str = "killed";
const DEAD: &str = "dead";
const LATE: &str = "late";
const FORGOTTEN: &str = "forgotten";
const ALL: [&str; 12] = [BAD, MISSING, DENIED, DOWN, LOST, WRONG, BUSY, HANGS, KILLED, DEAD, LATE, FORGOTTEN];

const BACKOFF_SECONDS: u32 = 600;
const COLUMNS: &str = "id BIGINT, at TIMESTAMP, val VARCHAR(64)";
const A: &str = "1,2026-01-01 00:00:00,a";
const B: &str = "2,2026-01-01 00:00:00,b";
/// What the warehouse quotes of the bad file: `status` has it, and no log.
const QUOTED: &str = "Value 'n'";
/// How long no sweep comes to its end before `status` says so, and a bit more.
const SILENCE_MILLIS: i64 = 123_000;
/// How long a fault may take to show.
const FAULT_SECONDS_MAX: u64 = 60;
/// Exit codes of `status`.
const HEALTHY: i32 = 0;
const BROKEN: i32 = 5;

fn world() -> &'static World {
    world_of(|| {
        let setup = Setup::of(ALL.iter().map(|name| (*name, config(name))));
        Setup { backoff_seconds: BACKOFF_SECONDS, unswept: true, ..setup }
    })
}

/// The table whose statement hangs and the one that is throttled share a warehouse; the role may cancel statements.
fn config(name: &str) -> Value {
    let mut config = append(name);
    config["source"] = json!(format!("s3://e2e-{name}/"));
    config["load"] = json!({"alarm_after_seconds": 60, "timeout_minutes": 600});
    if [BUSY, HANGS].contains(&name) {
        config["cluster"]["identifier"] = json!("narrow");
    }
    config
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million")
}

struct Drill {
    world: &'static World,
    runbook: Runbook,
    tables: BTreeMap<&'static str, Table>,
    /// When the functions were deployed.
    began: i64,
}

#[test]
fn each_fault_is_named_rings_is_mended_by_the_runbook_and_loses_no_row() {
    let world = world();
    let runbook = Runbook::read(Checkout::new().expect("a clone of its own")).expect("the runbook");
    world.run(async {
        let mut drill = Drill { world, runbook, tables: BTreeMap::new(), began: now() };
        for name in ALL {
            let table = match name {
                LOST => Table::without_notifications(world, name, config(name)).await?,
                _ => Table::new(world, name, config(name)).await?,
            };
            drill.tables.insert(name, table);
        }
        // A deployment is a reason for a silent sweep, so it comes first.
        world.update(&without(&world.template, "s3:GetObject", &format!("e2e-{DENIED}"))?).await?;
        drill.began = now();
        drill.make_faults().await.context("faults")?;
        drill.silent_sweep().await.context("no sweep")?;
        drill.named_by_status().await.context("status")?;
        drill.looked_at().await.context("resumed")?;
        drill.ring().await.context("alarms")?;
        drill.misconfigured().await.context("a wrong configuration")?;
        drill.mend().await.context("mended")?;
        drill.nothing_is_lost().await.context("rows")?;
        drill.forgotten_by_the_service().await.context("outcome unknown")?;
        drill.loaded_again().await.context("loaded again")?;
        drill.logged().await.context("the log")?;
        drill.healthy().await.context("healthy")?;
        drill.runbook.is_run_whole()
    });
}

impl Drill {
    fn table(&self, name: &str) -> &Table {
        &self.tables[name]
    }

    /// Runs a command of the runbook for a table, or for its queue, which has the same name.
    async fn run(&self, command: &str, name: &str, code: i32) -> Result<()> {
        let place = if command.contains("TABLE") { "TABLE" } else { "QUEUE" };
        self.runbook.run(command, &[(place, name)], "", code).await.map(drop)
    }

    async fn file(&self, name: &str) -> Result<()> {
        self.table(name).put("a.csv", csv(&[A])).await
    }

    async fn standin(&self, settings: &Value) -> Result<()> {
        self.world.standin(settings).await
    }

    fn statements_of(&self, name: &str) -> Result<String> {
        Ok(format!("/{}/", self.table(name).db_table()?))
    }

    async fn make_faults(&self) -> Result<()> {
        self.killed().await.context(KILLED)?;
        self.event_lost().await.context(LOST)?;
        self.given_up().await.context(DEAD)?;
        self.hangs_and_throttles().await.context(HANGS)?;
        let down =
            json!({"name": self.statements_of(DOWN)?, "status": "FAILED", "error": "could not connect to server"});
        self.standin(&json!({"fail": down})).await?;
        self.file(DOWN).await?;
        self.table(DOWN).until_by_itself("down", waits_for(FailureClass::RetryLater)).await?;
        self.table(MISSING).sql(&format!("DROP TABLE {MISSING}")).await?;
        self.file(MISSING).await?;
        self.table(MISSING).until_by_itself("stuck", waits_for(FailureClass::OperatorsTurn)).await?;
        self.file(DENIED).await?;
        self.table(DENIED).until_by_itself("stuck", waits_for(FailureClass::OperatorsTurn)).await?;
        self.table(BAD).put("bad.csv", csv(&["number-of-a-card,2026-01-01 00:00:00,b"])).await?;
        self.file(BAD).await?;
        self.table(BAD).until_by_itself("in quarantine", in_quarantine).await?;
        self.ten_minutes_late().await.context(LATE)
    }

    /// NextLoader dies at whatever it does about the statement that has ended, until its event is given up.
    async fn killed(&self) -> Result<()> {
        let gateway = self.world.stack.gateway();
        let dies = Toxic::new(ToxicKind::KillBefore).on("redshift-data", "DescribeStatement");
        let dies = Toxic { function: Some(World::function(Function::NextLoader)), ..dies };
        let id = gateway.add_toxic(&dies).await?;
        self.file(KILLED).await?;
        let deaths = async || -> Result<u64> { Ok(gateway.toxics().await?.first().map_or(0, |toxic| toxic.applied)) };
        let (mut n_deaths, mut since) = (0, Instant::now());
        while n_deaths == 0 || since.elapsed() < Duration::from_secs(4) {
            let n_now = deaths().await?;
            if n_now != n_deaths {
                (n_deaths, since) = (n_now, Instant::now());
            }
            ensure!(since.elapsed() < Duration::from_secs(FAULT_SECONDS_MAX), "nobody died");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        gateway.remove_toxic(&id).await?;
        self.table(KILLED).until_by_itself("submitted", is_submitted).await
    }

    /// The event of the statement that loads one file is lost, and S3's notification of another.
    async fn event_lost(&self) -> Result<()> {
        self.standin(&json!({"events": {"drop": 1}})).await?;
        let table = self.table(LOST);
        self.file(LOST).await?;
        table.send(json!({"Records": [table.record("a.csv").await?]}).to_string()).await?;
        table.until_by_itself("submitted", is_submitted).await?;
        table.put("folder/b.csv", csv(&[B])).await
    }

    /// A message is refused until it is given up.
    async fn given_up(&self) -> Result<()> {
        let table = self.table(DEAD);
        table.configure(&json!({"copy": {}})).await?;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        self.file(DEAD).await
    }

    /// A statement that never commits, and one more than the warehouse takes.
    async fn hangs_and_throttles(&self) -> Result<()> {
        self.standin(&json!({"hold": {"name": self.statements_of(HANGS)?, "at": "COMMIT"}})).await?;
        self.file(HANGS).await?;
        self.table(HANGS).until_by_itself("submitted", is_submitted).await?;
        self.standin(&json!({"active_limit": 1})).await?;
        self.file(BUSY).await?;
        self.table(BUSY).until_by_itself("throttled", waits_for(FailureClass::RetryLater)).await?;
        self.standin(&json!({"active_limit": 500})).await
    }

    /// Its file was recorded twenty minutes ago, and somebody paused the table.
    async fn ten_minutes_late(&self) -> Result<()> {
        self.run("pause TABLE --reason maintenance", LATE, 0).await?;
        self.file(LATE).await?;
        let table = self.table(LATE);
        table.until_by_itself("recorded", |items| items.values().any(|item| matches!(item, Item::Pending(_)))).await?;
        let pending = table.items().await?.into_values().find(|item| matches!(item, Item::Pending(_)));
        let pending = pending.context("it was there")?;
        let update = self.world.dynamodb.update_item().table_name(&self.world.tracker);
        let update = update.key("db_table", AttributeValue::S(table.db_table()?));
        let update = update.key("status_timestamp", AttributeValue::S(pending.key().0));
        let update = update.update_expression("SET recorded_millis = :millis");
        let recorded = (now() - 20 * 60_000).to_string();
        update.expression_attribute_values(":millis", AttributeValue::N(recorded)).send().await?;
        Ok(())
    }

    /// Two windows without a sweep.
    async fn silent_sweep(&self) -> Result<()> {
        let started = Instant::now();
        while self.table(DEAD).dead_letters().await? != "1" {
            ensure!(started.elapsed() < Duration::from_secs(FAULT_SECONDS_MAX), "the message is not given up");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let left = u64::try_from(self.began + SILENCE_MILLIS - now()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left)).await;
        let half = self.began + SILENCE_MILLIS / 2;
        let whole: [Window; 2] = [(self.began, half), (half, now())];
        ensure!(rings(self.world, "SweepMissing", &whole).await?, "SweepMissing does not ring");
        for id in ["NextLoaderErrors", "Quarantine", "Refused", "DeadDlqNotEmpty"] {
            ensure!(rings(self.world, id, &[(self.began, now())]).await?, "{id} does not ring");
        }
        for id in ["MicrobatchLoaderErrors", "BulkLoaderErrors", "BadDlqNotEmpty"] {
            ensure!(!rings(self.world, id, &[(self.began, now())]).await?, "{id} rings without a cause");
        }
        Ok(())
    }

    async fn status(&self, code: i32) -> Result<Vec<Value>> {
        let said = self.runbook.run("status", &[], "--output json", code).await?.json()?;
        Ok(said.as_array().context("a list")?.clone())
    }

    async fn named_by_status(&self) -> Result<()> {
        let reports = self.status(BROKEN).await?;
        let of = |name: &str| {
            let is_meant = |report: &&Value| {
                report["table"].as_str().is_some_and(|table| table.ends_with(&format!(".{name}")))
                    || report["queues"][0]["name"] == name
            };
            reports.iter().find(is_meant).with_context(|| format!("nothing is said of {name}: {reports:#?}"))
        };
        let causes = [
            (KILLED, "its event is lost: cargo xtask resume"),
            (LOST, "its event is lost: cargo xtask resume"),
            (HANGS, "late: statement"),
            (BUSY, "ActiveStatementsExceeded"),
            (DOWN, "could not connect to server"),
            (MISSING, "nonexistent table"),
            (DENIED, "s3:GetObject"),
            (BAD, QUOTED),
            (DEAD, "missing field `cluster`"),
            (LATE, "paused it"),
            ("Sweep", "no sweep has come to its end"),
        ];
        for (name, cause) in causes {
            let report = of(name)?;
            ensure!(report.to_string().contains(cause), "{name}: `{cause}` is not said: {report:#}");
        }
        for name in [KILLED, LOST, HANGS, BUSY, DOWN, LATE] {
            ensure!(of(name)?["health"] == "late", "{name}: {:#}", of(name)?);
        }
        for name in [MISSING, DENIED, BAD, DEAD, "Sweep"] {
            ensure!(of(name)?["health"] == "broken", "{name}: {:#}", of(name)?);
        }
        ensure!(of(DEAD)?["queues"][0]["dead_letters"] == 1, "{:#}", of(DEAD)?);
        Ok(())
    }

    /// What a sweep would do, were there one.
    async fn looked_at(&self) -> Result<()> {
        for name in [KILLED, LOST] {
            self.run("resume TABLE", name, 0).await?;
            let is_loaded = |items: &Items| items.values().any(|item| matches!(item, Item::Loaded(_)));
            self.table(name).until_by_itself("loaded", is_loaded).await?;
        }
        Ok(())
    }

    /// Three sweeps: late and stuck tables ring, and the log names each of them.
    async fn sweeps(&self) -> Result<[Window; 3]> {
        let mut windows = [(0, 0); 3];
        for window in &mut windows {
            let from = now();
            self.world.sweep().await;
            *window = (from, now() + 1);
        }
        Ok(windows)
    }

    async fn ring(&self) -> Result<()> {
        let windows = self.sweeps().await?;
        for id in ["Late", "Stuck"] {
            ensure!(rings(self.world, id, &windows).await?, "{id} does not ring");
        }
        let lines = self.world.logged(windows[2].0).await?;
        let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let line = |name: &str| -> Result<&Value> {
            let table = self.table(name).db_table()?;
            let is_meant =
                |line: &&Value| line["event"] == "waiting" && line["level"] == "WARN" && line["table"] == *table;
            lines.iter().find(is_meant).with_context(|| format!("no line names {name}: {lines:#?}"))
        };
        for (name, seconds) in [(HANGS, 1), (BUSY, 1), (DOWN, 1), (LATE, 600)] {
            ensure!(line(name)?["SecondsLate"].as_i64() >= Some(seconds), "{name}: {}", line(name)?);
        }
        for name in [MISSING, DENIED] {
            ensure!(line(name)?["stuck"] == true, "{name}: {}", line(name)?);
        }
        Ok(())
    }

    /// The functions read the file within seconds of its being wrong, and within seconds of its being right.
    async fn misconfigured(&self) -> Result<()> {
        let table = self.table(WRONG);
        let mut wrong = config(WRONG);
        wrong["load"]["files_max"] = json!("many");
        table.configure(&wrong).await?;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let from = now();
        self.file(WRONG).await?;
        let started = Instant::now();
        while !rings(self.world, "Refused", &[(from, now())]).await? {
            ensure!(started.elapsed() < Duration::from_secs(FAULT_SECONDS_MAX), "Refused does not ring");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let reports = self.status(BROKEN).await?;
        let report = reports.iter().find(|report| report["queues"][0]["name"] == WRONG).context("no word of it")?;
        ensure!(report["health"] == "broken" && report.to_string().contains("many"), "{report:#}");
        let right = config(WRONG);
        self.runbook.operator().write(&format!("queues/{WRONG}.json"), &right.to_string())?;
        self.run("queue check QUEUE", WRONG, 0).await?;
        table.configure(&right).await
    }

    async fn mend(&self) -> Result<()> {
        self.run("cancel TABLE", HANGS, 0).await?;
        self.table(HANGS).until_by_itself("cancelled", waits_for(FailureClass::RetryLater)).await?;
        self.standin(&json!({"release": self.statements_of(HANGS)?})).await?;
        for name in [HANGS, BUSY, DOWN] {
            self.run("resume TABLE", name, 0).await?;
        }
        self.table(MISSING).sql(&format!("CREATE TABLE {MISSING} ({COLUMNS})")).await?;
        self.run("resume TABLE", MISSING, 0).await?;
        self.world.update(&self.world.template).await?;
        self.run("resume TABLE", DENIED, 0).await?;
        self.table(DEAD).configure(&config(DEAD)).await?;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        self.run("redrive QUEUE", DEAD, 0).await?;
        self.run("unpause TABLE", LATE, 0).await?;
        self.run("retry TABLE", BAD, 0).await?;
        self.table(BAD).until_by_itself("back in quarantine", in_quarantine).await?;
        self.table(BAD).put("bad.csv", csv(&[B])).await?;
        self.run("dismiss TABLE --yes", BAD, 0).await?;
        self.never_notified().await
    }

    async fn never_notified(&self) -> Result<()> {
        let key = format!("s3://e2e-{LOST}/folder/b.csv");
        let said = self.runbook.run("trace s3://bucket/key", &[("s3://bucket/key", &key)], "", 0).await?;
        ensure!(said.output.contains("never"), "{}", said.output);
        let queue = [("QUEUE", LOST)];
        let said = self.runbook.run("verify QUEUE", &queue, "--grace 0", 1).await?;
        ensure!(said.words().contains(&key), "{}", said.words());
        self.runbook.run("verify QUEUE --record", &queue, "--grace 0", 0).await.map(drop)
    }

    async fn nothing_is_lost(&self) -> Result<()> {
        for name in ALL {
            let expected: &[&str] = match name {
                BAD | LOST => &[A, B],
                FORGOTTEN => &[],
                _ => &[A],
            };
            self.table(name).rest_with(&rows(expected)).await?;
        }
        let windows = self.sweeps().await?;
        for id in ["Late", "Stuck"] {
            ensure!(!rings(self.world, id, &windows).await?, "{id} still rings");
        }
        Ok(())
    }

    /// The Data API forgets a statement whose end nobody saw. Its rows are there; then somebody removes them.
    async fn forgotten_by_the_service(&self) -> Result<()> {
        let (table, name) = (self.table(FORGOTTEN), self.statements_of(FORGOTTEN)?);
        self.standin(&json!({"hold": {"name": name, "at": "SUBMITTED"}})).await?;
        self.file(FORGOTTEN).await?;
        table.until_by_itself("submitted", is_submitted).await?;
        let gateway = self.world.stack.gateway();
        gateway.add_toxic(&Toxic::new(ToxicKind::Throttle).on("redshift-data", "DescribeStatement")).await?;
        self.standin(&json!({"release": name})).await?;
        let started = Instant::now();
        while table.rows().await?.is_empty() {
            ensure!(started.elapsed() < Duration::from_secs(FAULT_SECONDS_MAX), "the held statement never ended");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.standin(&json!({"forget_statements": name})).await?;
        gateway.clear_toxics().await?;
        table.until("in quarantine", in_quarantine).await?;
        let reports = self.status(BROKEN).await?;
        ensure!(reports.iter().any(|report| report["quarantine"][0]["class"] == "outcome_unknown"), "{reports:#?}");
        table.sql(&format!("DELETE FROM {FORGOTTEN}")).await?;
        self.run("retry TABLE --outcome-unknown --yes", FORGOTTEN, 0).await?;
        table.rest_with(&rows(&[A])).await
    }

    async fn loaded_again(&self) -> Result<()> {
        let table = self.table(LOST);
        table.sql(&format!("DELETE FROM {LOST}")).await?;
        let folder = format!("s3://e2e-{LOST}/");
        self.runbook.run("forget s3://bucket/folder/ --yes", &[("s3://bucket/folder/", &folder)], "", 0).await?;
        let part = format!("{folder}folder/");
        let words = [("QUEUE", LOST), ("s3://bucket/folder/", part.as_str())];
        self.runbook.run("backfill QUEUE s3://bucket/folder/", &words, "", 0).await?;
        table.rest_with(&rows(&[B])).await?;
        self.run("backfill QUEUE", LOST, 0).await?;
        table.rest_with(&rows(&[A, B])).await
    }

    /// Every line of a load has its id, and none a value of a row.
    async fn logged(&self) -> Result<()> {
        let history = self.runbook.run("history TABLE", &[("TABLE", HANGS)], "--output json", 0).await?.json()?;
        let events = history.as_array().context("a list")?;
        let load = events.iter().find_map(|event| event["load_id"].as_str()).context("no load in the history")?;
        let said = self.runbook.run("logs --load LOAD", &[("LOAD", load)], "", 0).await?.output;
        for event in [" prepared ", " submitted ", " failed ", " finished "] {
            ensure!(said.contains(event), "no {event}: {said}");
        }
        ensure!(said.lines().all(|line| line.contains(load)), "{said}");
        self.runbook.run("logs", &[], "", 0).await?;
        let said = self.runbook.run("logs --minutes 60", &[], "", 0).await?.output;
        ensure!(said.contains(" refused ") && said.contains(" quarantined "), "{said}");
        let lines = self.world.logged(self.began).await?;
        let told = lines.iter().find(|line| line.contains(QUOTED) || line.contains("number-of-a-card"));
        ensure!(told.is_none(), "a value of a row is in the log: {told:?}");
        Ok(())
    }

    /// What NextLoader was called with is a hint: the runbook says that it can be purged.
    async fn healthy(&self) -> Result<()> {
        let url = self.world.resource("DeadLetters").await?;
        self.world.sqs.purge_queue().queue_url(url).send().await?;
        self.world.sweep().await;
        let reports = self.status(HEALTHY).await?;
        ensure!(reports.len() == ALL.len(), "{STACK}: {reports:#?}");
        Ok(())
    }
}
