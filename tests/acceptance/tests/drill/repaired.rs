//! Repairs each fault with the commands in its entry of the runbook.

use acceptance::alarms::goes_off;
use acceptance::steps::{in_quarantine, n_loaded, waits_for};
use acceptance::table::{csv, rows};
use anyhow::{Context, Result, ensure};
use loader_core::outcome::FailureClass;

use super::{
    A, ALL, B, BAD, BUSY, CONFIG_IS_READ, DEAD, DENIED, DOWN, DRIFT, Drill, FORGOTTEN, HANGS, KILLED, LATE, LOST,
    MISSING, WRONG, config,
};

const COLUMNS: &str = "id BIGINT, at TIMESTAMP, val VARCHAR(64)";

impl Drill {
    /// Corrects a queue's configuration.
    pub async fn configured(&self) -> Result<()> {
        let right = config(WRONG);
        self.runbook.operator().write(&format!("queues/{WRONG}.json"), &right.to_string())?;
        self.run("queue check QUEUE", WRONG, 0).await?;
        self.table(WRONG).configure(&right).await
    }

    /// Resumes the tables that a sweep would continue.
    pub async fn resumed(&self) -> Result<()> {
        for name in [KILLED, LOST] {
            self.run("resume TABLE", name, 0).await?;
            self.table(name).until_by_itself("loaded", |items| n_loaded(items) > 0).await?;
        }
        Ok(())
    }

    pub async fn repair(&self) -> Result<()> {
        self.run("cancel TABLE", HANGS, 0).await?;
        self.table(HANGS).until_by_itself("cancelled", waits_for(FailureClass::RetryLater)).await?;
        self.table(HANGS).release().await?;
        for name in [HANGS, BUSY, DOWN] {
            self.run("resume TABLE", name, 0).await?;
        }
        self.table(MISSING).sql(&format!("CREATE TABLE {MISSING} ({COLUMNS})")).await?;
        self.run("resume TABLE", MISSING, 0).await?;
        self.world.update(&self.world.template).await?;
        self.run("resume TABLE", DENIED, 0).await?;
        self.table(DEAD).configure(&config(DEAD)).await?;
        tokio::time::sleep(CONFIG_IS_READ).await;
        self.run("redrive QUEUE", DEAD, 0).await?;
        self.run("unpause TABLE", LATE, 0).await?;
        self.run("retry TABLE", BAD, 0).await?;
        self.table(BAD).until_by_itself("back in quarantine", in_quarantine).await?;
        self.table(BAD).put("bad.csv", csv(&[B])).await?;
        self.run("dismiss TABLE --yes", BAD, 0).await?;
        self.altered().await.context(DRIFT)?;
        self.never_notified().await
    }

    /// Runs the statement in the remedy of the quarantined file.
    async fn altered(&self) -> Result<()> {
        let table = self.table(DRIFT);
        let quarantine = table.quarantine().await?;
        let remedy = quarantine.first().map(|item| item.remedy.clone()).context("nothing is in quarantine")?;
        let alter = remedy.split(';').next().filter(|words| words.starts_with("ALTER TABLE "));
        table.sql(alter.with_context(|| format!("no statement: {remedy}"))?).await?;
        self.run("retry TABLE", DRIFT, 0).await
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

    pub async fn nothing_is_lost(&self) -> Result<()> {
        for name in ALL {
            let expected: &[&str] = match name {
                BAD | LOST => &[A, B],
                DRIFT => &["1,2026-01-01 00:00:00,a,x"],
                FORGOTTEN => &[],
                _ => &[A],
            };
            self.table(name).rest_with(&rows(expected)).await?;
        }
        self.runbook.run("verify QUEUE --rows", &[("QUEUE", DRIFT)], "--grace 0", 0).await?;
        let windows = self.sweeps().await?;
        for id in ["Late", "Stuck"] {
            ensure!(!goes_off(self.world, id, &windows).await?, "{id} is still on");
        }
        Ok(())
    }
}
