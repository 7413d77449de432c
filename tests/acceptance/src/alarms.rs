//! Evaluates the alarms of the deployed template as CloudWatch does, from the functions' log and the services' counts.
//!
//! A window stands for a period of an alarm. The test determines when it begins and ends: each sweep stands for a minute.

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_sqs::types::QueueAttributeName;
use loader_core::contract::METRIC_NAMESPACE;
use local_client::calls::LogEntry;
use serde_json::Value;

use crate::world::{STACK, World};

/// Begin and end (exclusive) in epoch milliseconds.
pub type Window = (i64, i64);

/// Whether an alarm goes off at the end of these windows, the last of which are its evaluation periods.
pub async fn goes_off(world: &World, alarm_id: &str, windows: &[Window]) -> Result<bool> {
    let alarm = &world.template["Resources"][alarm_id]["Properties"];
    ensure!(alarm.is_object(), "the template has no alarm {alarm_id}");
    let n_periods = usize::try_from(alarm["EvaluationPeriods"].as_u64().context("no periods")?)?;
    let first =
        windows.len().checked_sub(n_periods).with_context(|| format!("{alarm_id} needs {n_periods} windows"))?;
    for window in &windows[first..] {
        let values = values(world, alarm, *window).await?;
        if !breaches(alarm, &values)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the values of a period breach the threshold. Without values, the alarm's treatment of missing data decides.
fn breaches(alarm: &Value, values: &[f64]) -> Result<bool> {
    if values.is_empty() {
        return Ok(alarm["TreatMissingData"] == "breaching");
    }
    let value = match alarm["Statistic"].as_str() {
        Some("Sum") => values.iter().sum(),
        Some("Maximum") => values.iter().copied().fold(f64::MIN, f64::max),
        other => bail!("statistic {other:?}"),
    };
    let bound = alarm["Threshold"].as_f64().context("no threshold")?;
    match alarm["ComparisonOperator"].as_str() {
        Some("GreaterThanThreshold") => Ok(value > bound),
        Some("LessThanThreshold") => Ok(value < bound),
        other => bail!("comparison {other:?}"),
    }
}

async fn values(world: &World, alarm: &Value, window: Window) -> Result<Vec<f64>> {
    let metric = alarm["MetricName"].as_str().context("no metric")?;
    let dimension = &alarm["Dimensions"][0];
    ensure!(alarm["Dimensions"].as_array().is_some_and(|all| all.len() == 1), "one dimension: {alarm}");
    match alarm["Namespace"].as_str() {
        Some(METRIC_NAMESPACE) => {
            ensure!(dimension["Name"] == "Stack" && dimension["Value"]["Ref"] == "AWS::StackName", "{dimension}");
            let lines = world.logged(window.0).await?;
            let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(lines.filter_map(|line| emitted(&line, metric, window)).collect())
        }
        Some("AWS/Lambda") => {
            let function = dimension["Value"]["Ref"].as_str().context("no function")?;
            ensure!(metric == "Errors", "{metric}");
            killed(world, &format!("{STACK}-{function}"), window).await
        }
        Some("AWS/SQS") => {
            ensure!(metric == "ApproximateNumberOfMessagesVisible", "{metric}");
            let queue = dimension["Value"]["Fn::GetAtt"][0].as_str().context("no queue")?;
            Ok(vec![visible(world, queue).await?])
        }
        other => bail!("namespace {other:?}"),
    }
}

/// The value of a metric of the whole stack in a log line in embedded metric format.
fn emitted(line: &Value, metric: &str, (from, until): Window) -> Option<f64> {
    let at = line["_aws"]["Timestamp"].as_i64()?;
    let has = |directive: &Value| {
        let names = |metric_of: &Value| metric_of["Name"] == metric;
        directive["Namespace"] == METRIC_NAMESPACE
            && directive["Dimensions"] == serde_json::json!([["Stack"]])
            && directive["Metrics"].as_array().is_some_and(|metrics| metrics.iter().any(names))
    };
    let directives = line["_aws"]["CloudWatchMetrics"].as_array()?;
    let is_meant = (from..until).contains(&at) && line["Stack"] == STACK && directives.iter().any(has);
    is_meant.then(|| line[metric].as_f64()).flatten()
}

/// Failed invocations of a function. The local CloudWatch does not count those of events, so each killed process counts as one.
async fn killed(world: &World, function: &str, (from, until): Window) -> Result<Vec<f64>> {
    let log = world.stack.gateway().log(0).await?;
    let is_killed = |entry: &&LogEntry| {
        let at = i64::try_from(entry.at_millis).unwrap_or(i64::MAX);
        let by_fault = entry.fault.as_deref().is_some_and(|fault| fault.contains("kill"));
        by_fault && entry.function.as_deref() == Some(function) && (from..until).contains(&at)
    };
    Ok(log.iter().filter(is_killed).map(|_| 1.0).collect())
}

/// Number of messages in a queue of the template.
async fn visible(world: &World, queue: &str) -> Result<f64> {
    let url = world.resource(queue).await?;
    let name = QueueAttributeName::ApproximateNumberOfMessages;
    let ask = world.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    let answer = ask.send().await?;
    Ok(answer.attributes().and_then(|all| all.get(&name)).context("no count")?.parse()?)
}
