//! The functions' logs in CloudWatch: one log group each.

use anyhow::Result;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use loader_core::contract::Function;
use serde_json::Value;
use synth::names::log_group_name;

use crate::ground::aws::{code, failed};

/// All lines that a function has logged since this time (epoch milliseconds).
pub async fn events(client: &Client, stack: &str, function: Function, since: i64) -> Result<Vec<FilteredLogEvent>> {
    matching(client, stack, function, since, None).await
}

/// The lines that carry this request id, or one that begins so, among others: the local `CloudWatch` returns all lines.
pub async fn events_of_request(
    client: &Client,
    stack: &str,
    function: Function,
    since: i64,
    request_id: &str,
) -> Result<Vec<FilteredLogEvent>> {
    let quoted = serde_json::json!(format!("{request_id}*"));
    let pattern = format!("{{ $.request_id = {quoted} }}");
    matching(client, stack, function, since, Some(&pattern)).await
}

/// Whether a sweep has completed since this time (epoch milliseconds).
pub async fn has_swept(client: &Client, stack: &str, since: i64) -> Result<bool> {
    let pattern = r#"{ $.event = "swept" }"#;
    let events = matching(client, stack, Function::NextLoader, since, Some(pattern)).await?;
    // The local CloudWatch does not support the pattern and returns all lines.
    let is_swept = |message: &str| serde_json::from_str::<Value>(message).is_ok_and(|line| line["event"] == "swept");
    Ok(events.iter().filter_map(|event| event.message()).any(is_swept))
}

async fn matching(
    client: &Client,
    stack: &str,
    function: Function,
    since: i64,
    pattern: Option<&str>,
) -> Result<Vec<FilteredLogEvent>> {
    let group = log_group_name(stack, function);
    let request = client.filter_log_events().log_group_name(&group).start_time(since);
    let mut pages = request.set_filter_pattern(pattern.map(ToOwned::to_owned)).into_paginator().send();
    let mut events = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => events.extend(page.events.unwrap_or_default()),
            // A function that never ran may have no log group yet.
            Err(error) if code(&error) == "ResourceNotFoundException" => break,
            Err(error) => return Err(failed(format!("read the logs `{group}`"))(error)),
        }
    }
    Ok(events)
}
