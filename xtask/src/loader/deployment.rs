//! A deployment to an account or to this machine, with the same code.
//!
//! Checks, builds, uploads, shows what would change, asks, changes and connects, in this order. Every step can be repeated.

pub mod assets;
mod change_set;
mod consent;
mod difference;
mod guard;
pub mod names;
mod obstacle;
mod parameters;
pub mod prepared;
pub mod request;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use synth::limits::TEMPLATE_BODY_BYTES_MAX;
use synth::names::{EVENTS_OUTPUT, Parameter};

use crate::ground::aws::Aws;
use crate::ground::output::{Failure, Out, counted};
use crate::ground::stack::{Follower, Stack};
use crate::loader::connections::names::Names;
use crate::loader::connections::{self, sources};
use crate::loader::deployment::assets::AssetsBucket;
use crate::loader::deployment::change_set::{ChangeSet, TemplateSource};
use crate::loader::deployment::difference::Difference;
use crate::loader::deployment::obstacle::Leftover;
use crate::loader::deployment::parameters::Ours;
use crate::loader::deployment::prepared::Prepared;
use crate::loader::deployment::request::Request;

/// The result of a deployment.
#[derive(Debug, Serialize)]
pub struct Deployed {
    pub stack_name: String,
    pub stack_id: String,
    /// What changed.
    #[serde(flatten)]
    pub difference: Difference,
    pub outputs: BTreeMap<String, String>,
}

/// Deploys what is prepared. `None` after a dry run.
pub async fn apply(out: Out, aws: &Aws, request: &Request, prepared: &Prepared) -> Result<Option<Deployed>> {
    let name = &request.target.stack_name;
    let place = aws.place().await?;
    out.ok(format!("stack {name} in account {}, {}", place.account, place.region));
    let existing = Stack::find(aws, name).await?;
    let leftover = obstacle::find(aws, existing.as_ref()).await?;
    let deployed = existing.filter(|_| leftover.is_none());
    let has_events = deployed.as_ref().is_some_and(|stack| stack.outputs.contains_key(EVENTS_OUTPUT));
    let keeps_events = has_events && request.target.events.is_none();
    let kept = keeps_events.then(|| prepared.with_events(&request.target)).transpose()?;
    let prepared = kept.as_ref().unwrap_or(prepared);
    let queue_prefix =
        request.target.queue_prefix(deployed.as_ref().and_then(|stack| stack.parameter(Parameter::QueueNamePrefix)));
    names::check_queue_prefix(&queue_prefix, &prepared.queues)?;
    sources::check(aws, out, &prepared.queues, request.dry_run).await?;
    let names = Names { stack: name, queue_prefix: &queue_prefix, place: &place };
    let planned = connections::plan(aws, &names, &prepared.queues).await?;
    if let Some(leftover) = leftover.as_ref().filter(|_| request.dry_run) {
        leftover.show(out);
        return difference::of_creation(out, &prepared.template, planned).map(|()| None);
    }
    let bucket = AssetsBucket::new(aws, &place.account, request.target.assets_bucket.as_ref());
    let ours = Ours { request, prepared, bucket: &bucket, queue_prefix: &queue_prefix };
    if !request.dry_run {
        make_ready(out, aws, &ours, leftover.as_ref()).await?;
    }
    let set = change_set(out, aws, &ours, deployed.as_ref()).await?;
    difference::show(out, set.as_ref(), &planned);
    if request.dry_run {
        return difference::end_dry_run(out, aws, set, planned).await.map(|()| None);
    }
    if let Some(set) = &set {
        consent::confirm(out, aws, request, set).await?;
        guard::check(aws, set).await?;
        execute(out, aws, name, set).await?;
    }
    let stack = Stack::get(aws, name).await?;
    let connections = connections::connect(aws, out, &stack, &prepared.queues).await?;
    let difference = Difference::new(set, connections);
    Ok(Some(Deployed { stack_name: name.clone(), stack_id: stack.id, difference, outputs: stack.outputs }))
}

/// Uploads the zips, and removes the remains of a failed first attempt.
async fn make_ready(out: Out, aws: &Aws, ours: &Ours<'_>, leftover: Option<&Leftover>) -> Result<()> {
    if let Some(leftover) = leftover {
        leftover.confirm(out, ours.request.agreed)?;
    }
    ours.bucket.ensure(aws, out).await?;
    ours.bucket.upload(out, &ours.prepared.assets).await?;
    if let Some(leftover) = leftover {
        leftover.remove(out, aws).await?;
    }
    Ok(())
}

async fn change_set(out: Out, aws: &Aws, ours: &Ours<'_>, deployed: Option<&Stack>) -> Result<Option<ChangeSet>> {
    let Ours { request, prepared, bucket, .. } = ours;
    let step = out.step("comparing with what is deployed");
    // Without white space, the template fits into a request more often.
    let compact: serde_json::Value = serde_json::from_str(&prepared.template).context("the template is JSON")?;
    let compact = compact.to_string();
    let template = if compact.len() <= TEMPLATE_BODY_BYTES_MAX {
        TemplateSource::Body(compact)
    } else {
        bucket.ensure(aws, out).await?;
        TemplateSource::Url(bucket.upload_template(aws, compact).await?)
    };
    let parameters = parameters::values(ours, deployed)?;
    let set = ChangeSet::create(aws, &request.target.stack_name, template, parameters).await?;
    let n_changes = set.as_ref().map_or(0, |set| set.changes.len());
    step.done(format!("compared with what is deployed: {}", counted(n_changes, "change")));
    Ok(set)
}

async fn execute(out: Out, aws: &Aws, name: &str, set: &ChangeSet) -> Result<()> {
    let step = out.step(if set.creates { "creating the stack" } else { "updating the stack" });
    let follower = Follower::new(aws, &set.stack_id, set.changes.len()).await?;
    set.execute(aws).await?;
    let ended = follower.follow(aws, &step).await?;
    if matches!(ended.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
        step.done(format!("stack {name}: {}", ended.status));
        return Ok(());
    }
    let cause = ended.first_cause.unwrap_or_else(|| "CloudFormation gives no reason".to_owned());
    let message = format!("the deployment failed and was rolled back ({}); first cause: {cause}", ended.status);
    Err(Failure::new(message, "correct the cause, then run the same command again").into())
}
