//! The template's parameters in a deployment: those that it sets, and all others as they are in the stack.

use anyhow::Result;
use aws_sdk_cloudformation::types;
use synth::names::Parameter;

use crate::ground::stack::Stack;
use crate::loader::deployment::assets::{AssetsBucket, hashed_key};
use crate::loader::deployment::prepared::Prepared;
use crate::loader::deployment::request::Request;

/// The source of the parameters that a deployment sets.
pub struct Ours<'a> {
    /// The requested deployment.
    pub request: &'a Request,
    /// What is ready to be deployed.
    pub prepared: &'a Prepared,
    /// Bucket of the zips.
    pub bucket: &'a AssetsBucket,
    /// Prefix of each queue's name.
    pub queue_prefix: &'a str,
}

/// The parameters that are set, and every other one with its current value.
pub fn values(ours: &Ours<'_>, deployed: Option<&Stack>) -> Result<Vec<types::Parameter>> {
    let mut values = vec![
        (Parameter::StatementNamePrefix.name(), ours.request.statement_name_prefix.clone()),
        (Parameter::AssetsBucket.name(), ours.bucket.name.clone()),
        (Parameter::QueueNamePrefix.name(), ours.queue_prefix.to_owned()),
    ];
    let topic = ours.request.target.notify_topic.clone();
    values.extend(topic.map(|topic| (Parameter::AlarmTopicArn.name(), topic)));
    values.extend(ours.prepared.assets.iter().map(|zip| (Parameter::CodeKey(zip.function).name(), hashed_key(zip))));
    let existing = deployed.map(|stack| &stack.parameters);
    let kept = existing
        .into_iter()
        .flat_map(|parameters| parameters.keys())
        .filter(|key| !values.iter().any(|(name, _)| name == *key));
    let declared: serde_json::Value = serde_json::from_str(&ours.prepared.template)?;
    let kept = kept.filter(|key| declared["Parameters"].get(key.as_str()).is_some());
    let kept = kept
        .map(|key| types::Parameter::builder().parameter_key(key).use_previous_value(true).build())
        .collect::<Vec<_>>();
    let ours = values
        .iter()
        .map(|(key, value)| types::Parameter::builder().parameter_key(*key).parameter_value(value).build());
    Ok(ours.chain(kept).collect())
}
