//! Invokes functions of the stack.

use anyhow::{Context, Result, anyhow};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use loader_core::contract::{Function, RECONCILE_FIELD};
use serde_json::{Value, json};
use synth::names::Output;

use crate::ground::aws::{Aws, failed};
use crate::ground::stack::Stack;

/// Asks NextLoader to reconcile a table now, without waiting for it.
pub async fn look_now(aws: &Aws, stack: &Stack, db_table: &str) -> Result<()> {
    let name = stack.output(Output::FunctionName(Function::NextLoader))?;
    let payload = Blob::new(json!({RECONCILE_FIELD: db_table}).to_string());
    let request = aws.lambda().invoke().function_name(name).invocation_type(InvocationType::Event).payload(payload);
    request.send().await.map(drop).map_err(failed(format!("invoke {name}")))
}

/// Returns the function's result. An error from the function is returned with its message.
pub async fn invoke(aws: &Aws, stack: &Stack, function: Function, payload: &Value) -> Result<Value> {
    let name = stack.output(Output::FunctionName(function))?;
    let request = aws.lambda().invoke().function_name(name).payload(Blob::new(payload.to_string()));
    let response = request.send().await.map_err(failed(format!("invoke {name}")))?;
    let text = response.payload.map(Blob::into_inner).unwrap_or_default();
    let result: Value = serde_json::from_slice(&text).with_context(|| format!("{name} did not return JSON"))?;
    match response.function_error {
        None => Ok(result),
        Some(_) => Err(anyhow!("{name}: {}", result["errorMessage"].as_str().unwrap_or("it failed without a message"))),
    }
}
