//! The environment of a stack's functions, derived from the stack's outputs and parameters.

use anyhow::{Context, Result};
use loader_core::contract::{CONFIG_BUCKET, DDB_TRACKER, MANIFEST_BUCKET, PENDING_BUCKET, STATEMENT_NAME_PREFIX};
use loader_core::settings::Settings;
use synth::names::{Output, Parameter};

use crate::ground::stack::Stack;

/// Environment variables as the template sets them, without those that have a default.
pub fn environment(stack: &Stack) -> Result<Vec<(&'static str, String)>> {
    let bucket = stack.output(Output::LoaderBucketName)?;
    let prefix = stack.parameter(Parameter::StatementNamePrefix).unwrap_or_default().to_owned();
    Ok(vec![
        (CONFIG_BUCKET, bucket.to_owned()),
        (PENDING_BUCKET, bucket.to_owned()),
        (MANIFEST_BUCKET, bucket.to_owned()),
        (DDB_TRACKER, stack.output(Output::TrackerTableName)?.to_owned()),
        (STATEMENT_NAME_PREFIX, prefix),
    ])
}

/// The settings of a stack's functions.
pub fn of_stack(stack: &Stack) -> Result<Settings> {
    let environment = environment(stack)?;
    let variable = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    Settings::read(variable)
        .with_context(|| format!("the outputs of the stack `{}` are not valid settings", stack.name))
}

/// Settings for calls that need no stack: only the buckets and the table of a stack are missing.
pub fn of_no_stack() -> Result<Settings> {
    let required = [CONFIG_BUCKET, MANIFEST_BUCKET, DDB_TRACKER];
    let variable = |name: &str| required.contains(&name).then(|| "none".to_owned());
    Settings::read(variable).context("the settings have another required variable")
}
