//! The template of a stack with as many queues as a user may have: what the linter finds in it would be found in an account else.

use std::sync::Arc;

use anyhow::{Context, Result};
use loader_core::config::LoadConfig;
use serde_json::json;
use synth::{LoaderProps, QueueSource, loader_template, workspace};

use crate::gate::lint;
use crate::ground::output::Step;

const QUEUES: usize = 200;

/// Lints it; the words of the linter, empty when all is well.
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
