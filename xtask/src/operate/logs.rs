//! `cargo xtask logs`: what the three functions logged, in one list by time.
//!
//! The loader's own lines are JSON, one per event; the platform's START, END and REPORT are left out.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use clap::Args;
use loader_core::contract::Function;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::ground::aws::{Aws, AwsArgs, code, failed};
use crate::ground::clock::now_millis;
use crate::ground::output::{Format, Out};
use crate::ground::stack::{STACK_NAME_DEFAULT, Stack};

const FOLLOW_PAUSE: Duration = Duration::from_secs(2);
/// CloudWatch may show a line later than one that was written after it.
const LATE_MILLIS: i64 = 30_000;

/// `cargo xtask logs`
#[derive(Args, Debug)]
pub struct LogsArgs {
    /// Name of the stack
    #[arg(long, default_value = STACK_NAME_DEFAULT)]
    stack_name: String,
    /// How far back
    #[arg(long, default_value_t = 15)]
    minutes: u32,
    /// Only lines that contain this, for example a table or a load id
    #[arg(long, value_name = "TEXT")]
    table: Option<String>,
    /// Go on printing new lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    aws: AwsArgs,
}

/// One line of a function.
struct Line {
    at_millis: i64,
    id: String,
    function: Function,
    message: String,
}

/// Runs the command.
pub async fn run(args: &LogsArgs) -> Result<()> {
    let out = Out::new(Format::Text);
    let aws = Aws::new(&args.aws).await?;
    let stack = Stack::get(&aws, &args.stack_name).await?;
    let client = aws.logs();
    let mut since = now_millis() - i64::from(args.minutes) * 60_000;
    let mut seen = HashSet::new();
    loop {
        let mut lines = Vec::new();
        for function in Function::ALL {
            lines.extend(read(&client, &stack.name, function, since).await?);
        }
        lines.sort_by_key(|line| line.at_millis);
        for line in &lines {
            let wanted = args.table.as_ref().is_none_or(|text| line.message.contains(text));
            if seen.insert(line.id.clone()) && wanted {
                show(out, line);
            }
        }
        if !args.follow {
            return Ok(());
        }
        since = since.max(lines.last().map_or(since, |line| line.at_millis - LATE_MILLIS));
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

async fn read(client: &Client, stack: &str, function: Function, since: i64) -> Result<Vec<Line>> {
    let events = events(client, stack, function, since).await?;
    Ok(events.into_iter().filter_map(|event| line(function, event)).collect())
}

async fn events(client: &Client, stack: &str, function: Function, since: i64) -> Result<Vec<FilteredLogEvent>> {
    let group = format!("/aws/lambda/{stack}-{}", function.name());
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

fn line(function: Function, event: FilteredLogEvent) -> Option<Line> {
    let message = event.message?.trim_end().to_owned();
    let platform = ["START ", "END ", "REPORT ", "INIT_START "].iter().any(|word| message.starts_with(word));
    // Metrics in CloudWatch's embedded format are for machines.
    let is_metric = message.contains("\"_aws\"");
    let own_millis = serde_json::from_str::<Value>(&message).ok().and_then(|value| value["timestamp_millis"].as_i64());
    let at_millis = own_millis.or(event.timestamp)?;
    (!platform && !is_metric && !message.is_empty()).then(|| Line {
        at_millis,
        id: event.event_id.unwrap_or_else(|| format!("{at_millis} {message}")),
        function,
        message,
    })
}

/// How often the functions ran, and how long.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Invocations {
    /// Invocations.
    pub count: u64,
    /// Seconds of all of them together.
    pub seconds: f64,
}

/// The invocations that ended since this time (epoch milliseconds), as the platform reports them.
pub async fn invocations(aws: &Aws, stack: &str, since: i64) -> Result<Invocations> {
    let mut found = Invocations::default();
    for function in Function::ALL {
        for event in events(&aws.logs(), stack, function, since).await? {
            if let Some(millis) = event.message.as_deref().and_then(reported_millis) {
                found.count += 1;
                found.seconds += millis / 1e3;
            }
        }
    }
    Ok(found)
}

/// `REPORT RequestId: … Duration: 12.34 ms …`
fn reported_millis(message: &str) -> Option<f64> {
    let (_, after) = message.strip_prefix("REPORT ")?.split_once("\tDuration: ")?;
    after.split(' ').next()?.parse().ok()
}

fn show(out: Out, line: &Line) {
    let clock = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(line.at_millis) * 1_000_000).ok();
    let at = at.and_then(|at| at.format(clock).ok()).unwrap_or_default();
    let text = readable(&line.message).unwrap_or_else(|| line.message.clone());
    out.line(format!("{} {:<16} {text}", out.dim(&at), line.function.name()));
}

/// `event key=value …`: the same line without its punctuation.
fn readable(message: &str) -> Option<String> {
    let value: Value = serde_json::from_str(message).ok()?;
    let fields = value.as_object()?;
    let event = fields.get("event")?.as_str()?;
    let hidden = ["timestamp_millis", "level", "event"];
    let shown = fields
        .iter()
        .filter(|(name, value)| !hidden.contains(&name.as_str()) && !value.is_null() && value.as_str() != Some(""));
    let pairs: Vec<String> = shown
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        })
        .collect();
    Some(format!("{event:<12} {}", pairs.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_loader_loses_its_punctuation() {
        let message = r#"{"timestamp_millis":1,"level":"INFO","event":"claimed","table":"t","load_id":"","statement_id":null,"objects":1}"#;
        assert_eq!(readable(message).as_deref(), Some("claimed      table=t objects=1"));
        assert_eq!(readable("thread panicked"), None);
    }

    #[test]
    fn the_platform_reports_how_long_an_invocation_took() {
        let message = "REPORT RequestId: 1-2\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB";
        assert_eq!(reported_millis(message), Some(12.34));
        assert_eq!(reported_millis("END RequestId: 1-2"), None);
    }
}
