//! The template of a stack with the maximum number of queues, so that the linter's findings appear here and not in an account.

use std::sync::Arc;

use anyhow::{Context, Result};
use loader_core::config::LoadConfig;
use serde_json::json;
use synth::{LoaderProps, QueueSource, loader_template, workspace};

use crate::gate::lint;
use crate::ground::output::Step;

const QUEUES: usize = 200;

/// Lints the template and returns the linter's findings; empty if there are none.
pub fn lint_many(step: &Step) -> Result<String> {
    let queues = (0..QUEUES).map(queue).collect::<Result<_>>()?;
    let template =
        loader_template(&LoaderProps { queues, ..LoaderProps::default() }).context("200 queues fit a stack")?;
    let path = workspace::root().join("target/many.template.json");
    std::fs::write(&path, template.to_json()).context("cannot write the template")?;
    lint::lint(&path, step)
}

fn queue(number: usize) -> Result<QueueSource> {
    let config = json!({
        "copy": {"role_arn": "default", "table_name": format!("reporting.transactions_{number}")},
        "cluster": {"identifier": "analytics", "db_name": "dev"},
        "source": format!("s3://acme-landing-zone-{number}/transactions/")
    });
    let config: Arc<LoadConfig> = LoadConfig::from_value(&config)?;
    Ok(QueueSource { name: format!("customer-transactions-{number}"), config })
}
