//! What the world deploys: the synthesized template with short waits, and the functions' zips.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use loader_core::config::LoadConfig;
use loader_core::contract::Function;
use serde_json::{Value, json};
use synth::{LoaderProps, QueueSource};

use super::Setup;

/// Visibility timeout of the template's queues.
const VISIBILITY_SECONDS: u32 = 3;
/// Waits of the functions, shortened so that tests of faults are fast.
const WAIT_SECONDS: [(&str, u32); 2] = [("STATUS_POLL_SECONDS", 1), ("CONFIG_CACHE_SECONDS", 1)];

/// The template of the loader and its queues, with short waits.
pub(super) fn template(setup: &Setup) -> Result<Value> {
    let mut queues = Vec::new();
    for (name, config) in &setup.queues {
        let config = LoadConfig::from_value(config).map_err(|problems| anyhow::anyhow!("{name}: {problems}"))?;
        queues.push(QueueSource { name: name.clone(), config });
    }
    let template = synth::loader_template(&LoaderProps { queues, events: setup.events, ..LoaderProps::default() })
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let mut template: Value = serde_json::from_str(&template.to_json())?;
    if let Some(seconds) = setup.bulk_seconds {
        template["Resources"][Function::BulkLoader.name()]["Properties"]["Timeout"] = json!(seconds);
    }
    if setup.quiet || setup.unswept {
        switch_off_the_sweep(&mut template);
    }
    if !setup.quiet {
        shorten_waits(&mut template, setup)?;
    }
    Ok(template)
}

fn switch_off_the_sweep(template: &mut Value) {
    for resource in template["Resources"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
        if resource.pointer("/Properties/ScheduleExpression").is_some() {
            resource["Properties"]["State"] = json!("DISABLED");
        }
    }
}

fn shorten_waits(template: &mut Value, setup: &Setup) -> Result<()> {
    for function in Function::ALL {
        let variables = &mut template["Resources"][function.name()]["Properties"]["Environment"]["Variables"];
        ensure!(variables.is_object(), "{} has no environment", function.name());
        let own = [
            ("BACKOFF_BASE_SECONDS", setup.backoff_seconds),
            ("BACKOFF_CAP_SECONDS", 2 * setup.backoff_seconds),
            ("CLAIM_PATIENCE_SECONDS", setup.patience_seconds),
        ];
        for (name, seconds) in WAIT_SECONDS.into_iter().chain(own) {
            variables[name] = json!(seconds.to_string());
        }
    }
    for resource in template["Resources"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
        if let Some(redrive) = resource.pointer_mut("/Properties/RedrivePolicy") {
            redrive["maxReceiveCount"] = json!(setup.receives_max);
            resource["Properties"]["VisibilityTimeout"] = json!(VISIBILITY_SECONDS);
        }
    }
    Ok(())
}

/// The zip of a function.
pub(super) fn zip(binary: &Path) -> Result<Vec<u8>> {
    let build = "build it: cargo build -p microbatch-loader -p next-loader -p bulk-loader (`cargo xtask test` does)";
    let content = std::fs::read(binary).with_context(|| format!("{} is missing; {build}", binary.display()))?;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755).compression_level(Some(1));
    zip.start_file("bootstrap", options)?;
    zip.write_all(&content)?;
    Ok(zip.finish()?.into_inner())
}
