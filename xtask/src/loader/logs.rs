//! What CloudWatch has of the functions: one log group each.

use anyhow::Result;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use loader_core::contract::Function;
use synth::names::log_group_name;

use crate::ground::aws::{code, failed};

/// Everything that a function logged since this time (epoch milliseconds).
pub async fn events(client: &Client, stack: &str, function: Function, since: i64) -> Result<Vec<FilteredLogEvent>> {
    let group = log_group_name(stack, function);
    let mut pages = client.filter_log_events().log_group_name(&group).start_time(since).into_paginator().send();
    let mut events = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => events.extend(page.events.unwrap_or_default()),
            // A function that never ran may have no group yet.
            Err(error) if code(&error) == "ResourceNotFoundException" => break,
            Err(error) => return Err(failed(format!("read the logs `{group}`"))(error)),
        }
    }
    Ok(events)
}
