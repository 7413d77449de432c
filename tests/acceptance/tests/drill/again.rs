//! Reloading by command: a load whose outcome is unknown, and a folder after a truncate.

use std::time::{Duration, Instant};

use acceptance::steps::{in_quarantine, is_submitted};
use acceptance::table::rows;
use anyhow::{Result, ensure};
use local_client::{Toxic, ToxicKind};
use serde_json::json;

use super::reported::BROKEN;
use super::{A, B, Drill, FAULT_SECONDS_MAX, FORGOTTEN, LOST};

impl Drill {
    /// The Data API forgets a statement whose end no function has noticed. Its rows are committed, and then deleted by hand.
    pub async fn forgotten_by_the_service(&self) -> Result<()> {
        let (table, name) = (self.table(FORGOTTEN), self.statements_of(FORGOTTEN)?);
        table.hold("SUBMITTED").await?;
        self.file(FORGOTTEN).await?;
        table.until_by_itself("submitted", is_submitted).await?;
        let gateway = self.world.stack.gateway();
        gateway.add_toxic(&Toxic::new(ToxicKind::Throttle).on("redshift-data", "DescribeStatement")).await?;
        table.release().await?;
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

    pub async fn loaded_again(&self) -> Result<()> {
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
}
