//! The fault drill: for each fault, `status` and the report's page name the cause, an alarm of the deployed template goes off, the runbook's
//! commands repair it, and no row is lost.
//!
//! There are no scheduled sweeps: the test starts them, and each stands for a minute. Failed attempts are repeated only after ten minutes, so
//! loads continue only because of a command of the runbook.

mod again;
mod faults;
mod repaired;
mod reported;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acceptance::alarms::Window;
use acceptance::role::without;
use acceptance::runbook::Runbook;
use acceptance::table::{Table, append, csv};
use acceptance::world::{Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result};
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
const DRIFT: &str = "drift";
const LATE: &str = "late";
const FORGOTTEN: &str = "forgotten";
const ALL: [&str; 13] = [BAD, MISSING, DENIED, DOWN, LOST, WRONG, BUSY, HANGS, KILLED, DEAD, DRIFT, LATE, FORGOTTEN];

const BACKOFF_SECONDS: u32 = 600;
const A: &str = "1,2026-01-01 00:00:00,a";
const B: &str = "2,2026-01-01 00:00:00,b";
/// The value of the bad file in the warehouse's error: `status` shows it, but no log does.
const QUOTED: &str = "Value 'n'";
/// Maximum time until a fault has an effect.
const FAULT_SECONDS_MAX: u64 = 60;
/// Time after which functions read a queue's configuration again.
const CONFIG_IS_READ: Duration = Duration::from_millis(1_200);

fn world() -> &'static World {
    world_of(|| {
        let setup = Setup::of(ALL.iter().map(|name| (*name, config(name))));
        Setup { backoff_seconds: BACKOFF_SECONDS, unswept: true, ..setup }
    })
}

/// The tables with the hanging and the throttled statement share a warehouse. With a timeout, the role may cancel statements.
fn config(name: &str) -> Value {
    let mut config = append(name);
    config["source"] = json!(format!("s3://e2e-{name}/"));
    config["load"] = json!({"alarm_after_seconds": 60, "timeout_minutes": 600});
    if [BUSY, HANGS].contains(&name) {
        config["cluster"]["identifier"] = json!("narrow");
    }
    if name == DRIFT {
        config["copy"]["options"] = json!("FORMAT AS PARQUET");
        config["options"] = json!({"on_schema_change": "fail"});
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
fn each_fault_is_reported_raises_an_alarm_is_repaired_by_the_runbook_and_loses_no_row() {
    let world = world();
    let runbook = Runbook::read(Checkout::new().expect("a separate clone")).expect("the runbook");
    world.run(async {
        let mut drill = Drill { world, runbook, tables: BTreeMap::new(), began: now() };
        for name in ALL {
            let table = match name {
                LOST => Table::without_notifications(world, name, config(name)).await?,
                _ => Table::new(world, name, config(name)).await?,
            };
            drill.tables.insert(name, table);
        }
        world.update(&without(&world.template, "s3:GetObject", &format!("e2e-{DENIED}"))?).await?;
        drill.began = now();
        drill.make_faults().await.context("faults")?;
        drill.counted_by_services().await.context("alarms without a sweep")?;
        drill.misconfigured().await.context("a wrong configuration")?;
        drill.named_by_status().await.context("status")?;
        drill.on_the_page().await.context("the page")?;
        drill.configured().await.context("a right configuration")?;
        drill.resumed().await.context("resumed")?;
        drill.alarms_go_off().await.context("alarms")?;
        drill.repair().await.context("repaired")?;
        drill.nothing_is_lost().await.context("rows")?;
        drill.forgotten_by_the_service().await.context("outcome unknown")?;
        drill.loaded_again().await.context("loaded again")?;
        drill.logged().await.context("the log")?;
        drill.healthy().await.context("healthy")?;
        drill.runbook.ensure_all_run()
    });
}

impl Drill {
    fn table(&self, name: &str) -> &Table {
        &self.tables[name]
    }

    /// Runs a command of the runbook for a table or its queue, which have the same name.
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
        self.table(name).statement_name_part()
    }

    /// Three sweeps, as many as the alarms for late and stuck tables have periods.
    async fn sweeps(&self) -> Result<[Window; 3]> {
        let mut windows = [(0, 0); 3];
        for window in &mut windows {
            let from = now();
            self.world.sweep().await;
            let is_in_window =
                |line: &Value| line["event"] == "swept" && line["_aws"]["Timestamp"].as_i64() >= Some(from);
            self.world.logged_until(from, "the sweep", |lines| lines.iter().any(is_in_window)).await?;
            *window = (from, now() + 1);
        }
        Ok(windows)
    }
}
