//! Removes a permission from the template's execution role.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Removes an action from the execution role: on all resources, or only on those whose name contains `on`.
pub fn without(template: &Value, action: &str, on: &str) -> Result<Value> {
    let mut template = template.clone();
    let policies = template.pointer_mut("/Resources/LoaderRole/Properties/Policies").and_then(Value::as_array_mut);
    let mut n_taken = 0;
    for policy in policies.context("the role has no policies")? {
        let statements = policy["PolicyDocument"]["Statement"].as_array_mut().context("no statements")?;
        for statement in statements.iter_mut() {
            if !items(&mut statement["Action"]).iter().any(|allowed| allowed == action) {
                continue;
            }
            let (field, gone) = if on.is_empty() { ("Action", action) } else { ("Resource", on) };
            let list = items(&mut statement[field]);
            let n_before = list.len();
            list.retain(|item| !item.to_string().contains(gone));
            n_taken += n_before - list.len();
        }
        let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        statements.retain(|statement| !empty(&statement["Action"]) && !empty(&statement["Resource"]));
    }
    ensure!(n_taken > 0, "the role has no {action} on `{on}`");
    Ok(template)
}

/// The items of a field, which may also contain a single item.
fn items(field: &mut Value) -> &mut Vec<Value> {
    if !field.is_array() {
        *field = json!([field.take()]);
    }
    field.as_array_mut().expect("it is an array now")
}
