//! The template's parameters in a deployment: ours, and every other as it is in the stack.

use anyhow::{Context, Result};
use aws_sdk_cloudformation::types::Parameter;
use loader_core::contract::{Function, PARAMETER_STATEMENT_NAME_PREFIX};
use synth::l3::{PARAMETER_ASSETS_BUCKET, PARAMETER_QUEUE_NAME_PREFIX, parameter_code_key};

use crate::assets::{AssetsBucket, hashed_key};
use crate::aws::Aws;
use crate::deploy::{DeployArgs, Prepared};
use crate::stack::Stack;

/// Ours, and every other parameter as it is in the stack.
pub async fn values(
    aws: &Aws,
    args: &DeployArgs,
    prepared: &Prepared,
    bucket: &AssetsBucket,
) -> Result<Vec<Parameter>> {
    let mut values = vec![
        (PARAMETER_STATEMENT_NAME_PREFIX, args.statement_name_prefix.clone()),
        (PARAMETER_ASSETS_BUCKET, bucket.name.clone()),
        (PARAMETER_QUEUE_NAME_PREFIX, args.target.queue_name_prefix()),
    ];
    for function in Function::ALL {
        let asset = prepared.assets.iter().find(|asset| asset.package == function.package());
        values.push((parameter_code_key(function), hashed_key(asset.context("a function has no zip")?)));
    }
    let existing = Stack::find(aws, &args.target.stack_name).await?.map(|stack| stack.parameters).unwrap_or_default();
    let kept = existing.into_keys().filter(|key| !values.iter().any(|(name, _)| name == key));
    let declared: serde_json::Value = serde_json::from_str(&prepared.template)?;
    let kept = kept.filter(|key| declared["Parameters"].get(key.as_str()).is_some());
    let kept =
        kept.map(|key| Parameter::builder().parameter_key(key).use_previous_value(true).build()).collect::<Vec<_>>();
    let ours =
        values.iter().map(|(key, value)| Parameter::builder().parameter_key(*key).parameter_value(value).build());
    Ok(ours.chain(kept).collect())
}
