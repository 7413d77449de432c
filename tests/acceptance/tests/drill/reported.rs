//! What `status`, the page, the alarms and the log report.

use std::time::{Duration, Instant};

use acceptance::alarms::goes_off;
use acceptance::browser::Browser;
use acceptance::world::{STACK, folder};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    ALL, BAD, BUSY, DEAD, DENIED, DOWN, DRIFT, Drill, FAULT_SECONDS_MAX, HANGS, KILLED, LATE, LOST, MISSING, QUOTED,
    WRONG, now,
};

/// Exit codes of `status`.
const HEALTHY: i32 = 0;
pub const BROKEN: i32 = 5;

/// Tables that are only late.
const LATE_ONES: [&str; 6] = [KILLED, LOST, HANGS, BUSY, DOWN, LATE];

/// The cause of each fault, in the words of `status` and the page.
const CAUSES: [(&str, &str); 12] = [
    (KILLED, "its event is lost: cargo xtask resume"),
    (LOST, "its event is lost: cargo xtask resume"),
    (HANGS, "late: statement"),
    (BUSY, "ActiveStatementsExceeded"),
    (DOWN, "could not connect to server"),
    (MISSING, "nonexistent table"),
    (DENIED, "s3:GetObject"),
    (BAD, QUOTED),
    (DEAD, "missing field `cluster`"),
    (DRIFT, "not in the table: `more`"),
    (WRONG, "many"),
    (LATE, "paused it"),
];

impl Drill {
    /// The alarms that go off without a sweep, and those that do not.
    pub async fn counted_by_services(&self) -> Result<()> {
        let started = Instant::now();
        while self.table(DEAD).dead_letters().await? != "1" {
            ensure!(
                started.elapsed() < Duration::from_secs(FAULT_SECONDS_MAX),
                "the message is not in the dead-letter queue"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let (half, end) = (i64::midpoint(self.began, now()), now());
        ensure!(
            goes_off(self.world, "SweepMissing", &[(self.began, half), (half, end)]).await?,
            "SweepMissing does not go off"
        );
        for id in ["NextLoaderErrors", "Quarantine", "Refused", "DeadDlqNotEmpty"] {
            ensure!(goes_off(self.world, id, &[(self.began, end)]).await?, "{id} does not go off");
        }
        for id in ["MicrobatchLoaderErrors", "BulkLoaderErrors", "BadDlqNotEmpty"] {
            ensure!(!goes_off(self.world, id, &[(self.began, end)]).await?, "{id} goes off without a cause");
        }
        Ok(())
    }

    pub async fn status(&self, code: i32) -> Result<Vec<Value>> {
        let said = self.runbook.run("status", &[], "--output json", code).await?.json()?;
        Ok(said.as_array().context("a list")?.clone())
    }

    pub async fn named_by_status(&self) -> Result<()> {
        for name in LATE_ONES {
            self.make_late(name).await.context(name)?;
        }
        let reports = self.status(BROKEN).await?;
        let of = |name: &str| {
            let is_meant = |report: &&Value| {
                report["table"].as_str().is_some_and(|table| table.ends_with(&format!(".{name}")))
                    || report["queues"][0]["name"] == name
            };
            reports.iter().find(is_meant).with_context(|| format!("{name} is not reported: {reports:#?}"))
        };
        for (name, cause) in CAUSES {
            let report = of(name)?;
            ensure!(report.to_string().contains(cause), "{name}: `{cause}` is not reported: {report:#}");
        }
        for name in LATE_ONES {
            ensure!(of(name)?["health"] == "late", "{name}: {:#}", of(name)?);
        }
        for name in [MISSING, DENIED, BAD, DEAD, DRIFT, WRONG] {
            ensure!(of(name)?["health"] == "broken", "{name}: {:#}", of(name)?);
        }
        ensure!(of(DEAD)?["queues"][0]["dead_letters"] == 1, "{:#}", of(DEAD)?);
        Ok(())
    }

    /// The page at the same time, in a browser.
    pub async fn on_the_page(&self) -> Result<()> {
        let page = folder()?.join("drill.html");
        let flags = format!("--local --stack-name {STACK} --since 1h --html {}", page.display());
        self.runbook.operator().must(&format!("report {flags}")).await?;
        let Some(browser) = Browser::find(folder()?.join("browser"))? else { return Ok(()) };
        let document = browser.document(&page).await?;
        for (name, cause) in CAUSES {
            ensure!(document.contains(cause), "{name}: the page does not show `{cause}`:\n{document}");
        }
        Ok(())
    }

    pub async fn alarms_go_off(&self) -> Result<()> {
        let windows = self.sweeps().await?;
        for id in ["Late", "Stuck"] {
            ensure!(goes_off(self.world, id, &windows).await?, "{id} does not go off");
        }
        let lines = self.world.logged(windows[2].0).await?;
        let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let line = |name: &str| -> Result<&Value> {
            let table = self.table(name).db_table()?;
            let is_meant =
                |line: &&Value| line["event"] == "waiting" && line["level"] == "WARN" && line["table"] == *table;
            lines.iter().find(is_meant).with_context(|| format!("no line about {name}: {lines:#?}"))
        };
        for (name, seconds) in [(HANGS, 1), (BUSY, 1), (DOWN, 1), (LATE, 600)] {
            ensure!(line(name)?["SecondsLate"].as_i64() >= Some(seconds), "{name}: {}", line(name)?);
        }
        for name in [MISSING, DENIED] {
            ensure!(line(name)?["stuck"] == true, "{name}: {}", line(name)?);
        }
        Ok(())
    }

    /// Every line of a load contains its id, and no line contains a value of a row.
    pub async fn logged(&self) -> Result<()> {
        let history = self.runbook.run("history TABLE", &[("TABLE", HANGS)], "--output json", 0).await?.json()?;
        let events = history.as_array().context("a list")?;
        let load = events.iter().find_map(|event| event["load_id"].as_str()).context("no load in the history")?;
        self.world.has_logged(load, &["prepared", "submitted", "failed", "finished"]).await?;
        let said = self.runbook.run("logs --load LOAD", &[("LOAD", load)], "", 0).await?.output;
        for event in [" prepared ", " submitted ", " failed ", " finished "] {
            ensure!(said.contains(event), "no {event}: {said}");
        }
        ensure!(said.lines().all(|line| line.contains(load)), "{said}");
        self.runbook.run("logs", &[], "", 0).await?;
        self.runbook.run("cost", &[], "", 0).await?;
        let said = self.runbook.run("logs --minutes 60", &[], "", 0).await?.output;
        ensure!(said.contains(" refused ") && said.contains(" quarantined "), "{said}");
        let lines = self.world.logged(self.began).await?;
        let parsed = || lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let recorded = parsed().find(|line| line["event"] == "recorded").context("nothing was recorded")?;
        let request = recorded["request_id"].as_str().context("no request id")?;
        let said = self.runbook.run("logs --request ID", &[("ID", request)], "", 0).await?.output;
        ensure!(said.contains(" recorded ") && said.lines().all(|line| line.contains(request)), "{said}");
        let is_measured = |line: Value| {
            let times = ["CopyMillis", "MergeMillis", "FreshnessMillis"].map(|name| line[name].is_u64());
            line["event"] == "finished" && times == [true; 3] && line["arrival_millis"].as_i64() > Some(0)
        };
        ensure!(parsed().any(is_measured), "no load says when its file was created, and how long COPY ran");
        let leak = lines.iter().find(|line| line.contains(QUOTED) || line.contains("number-of-a-card"));
        ensure!(leak.is_none(), "a value of a row is in the log: {leak:?}");
        Ok(())
    }

    /// NextLoader's dead letters are only hints, and can be purged according to the runbook.
    pub async fn healthy(&self) -> Result<()> {
        let url = self.world.resource("DeadLetters").await?;
        self.world.sqs.purge_queue().queue_url(url).send().await?;
        self.world.sweep().await;
        let reports = self.status(HEALTHY).await?;
        ensure!(reports.len() == ALL.len(), "{STACK}: {reports:#?}");
        Ok(())
    }
}
