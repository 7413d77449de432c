//! Status changes: their format, the deployed rules that match, and the targets of those rules.
//!
//! The event bus accepts events of AWS services only from AWS, so the stand-in reads the rules and calls the targets itself. Errors are
//! logged and do not affect the statement.

use std::time::Duration;

use aws_sdk_eventbridge::types::{RuleState, Target};
use aws_sdk_lambda::types::InvocationType;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::App;
use crate::aws::Aws;
use crate::pattern;
use crate::statement::Statement;
use crate::store::STATEMENT_AGE_MILLIS_MAX;

const ATTEMPTS_MAX: u32 = 5;
const FIRST_PAUSE_MILLIS: u64 = 200;

/// Sends the status change of an ended statement to the targets of matching rules.
pub async fn announce(app: &App, id: &str) {
    let Some(statement) = app.store.get(id, app.clock.now()) else { return };
    let fault = app.controls.take_event_fault();
    if fault.lost {
        tracing::info!(statement = id, "completion event dropped on request");
        return;
    }
    tokio::time::sleep(Duration::from_millis(fault.delay_millis)).await;
    let event = event(&app.aws, &statement);
    for _ in 0..=u32::from(fault.doubled) {
        if let Err(error) = deliver(&app.aws, &event).await {
            tracing::warn!(statement = id, error = format!("{error:#}"), "completion event not delivered");
        }
    }
}

/// The event of a statement. That of a batch has no `redshiftQueryId`, and its `rows` is -1.
fn event(aws: &Aws, statement: &Statement) -> Value {
    let Aws { region, account, .. } = aws;
    let submission = &statement.submission;
    let warehouse = submission.connection.warehouse();
    let resource = match submission.connection.cluster {
        Some(_) => format!("arn:aws:redshift:{region}:{account}:cluster:{warehouse}"),
        None => format!("arn:aws:redshift-serverless:{region}:{account}:workgroup/{warehouse}"),
    };
    let mut detail = json!({
        "principal": submission.principal,
        "statementName": submission.name.as_deref().unwrap_or_default(),
        "statementId": statement.id,
    });
    if let ([part], false) = (statement.parts.as_slice(), statement.is_batch()) {
        detail["redshiftQueryId"] = json!(part.query_id);
    }
    let rows = if statement.is_batch() { -1 } else { statement.parts[0].rows };
    detail["state"] = json!(statement.status.name());
    detail["rows"] = json!(rows);
    detail["expireAt"] = json!((statement.updated + STATEMENT_AGE_MILLIS_MAX) / 1000);
    let time = OffsetDateTime::from_unix_timestamp(statement.updated / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    json!({
        "version": "0",
        "id": uuid::Uuid::new_v4().to_string(),
        "detail-type": "Redshift Data Statement Status Change",
        "source": "aws.redshift-data",
        "account": account,
        "time": time.format(&Rfc3339).unwrap_or_default(),
        "region": region,
        "resources": [resource],
        "detail": detail,
    })
}

async fn deliver(aws: &Aws, event: &Value) -> anyhow::Result<()> {
    for rule in matching_rules(aws, event).await? {
        let targets = aws.events.list_targets_by_rule().rule(&rule).send().await?;
        for target in targets.targets() {
            call(aws, target, event).await;
        }
    }
    Ok(())
}

/// Names of the enabled rules on the default bus whose patterns match.
async fn matching_rules(aws: &Aws, event: &Value) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let page = aws.events.list_rules().set_next_token(token).send().await?;
        for rule in page.rules() {
            let pattern = rule.event_pattern().and_then(|text| serde_json::from_str::<Value>(text).ok());
            let enabled = rule.state() == Some(&RuleState::Enabled);
            if enabled && pattern.is_some_and(|pattern| pattern::matches(&pattern, event)) {
                names.extend(rule.name().map(str::to_owned));
            }
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(names);
        }
    }
}

/// Invokes a function, with retries after growing pauses if Lambda refuses.
async fn call(aws: &Aws, target: &Target, event: &Value) {
    if !target.arn().contains(":lambda:") {
        tracing::warn!(target = target.arn(), "only functions are supported as targets");
        return;
    }
    let payload = input(target, event).to_string();
    for attempt in 0..ATTEMPTS_MAX {
        let request = aws.lambda.invoke().function_name(target.arn()).invocation_type(InvocationType::Event);
        let Err(error) = request.payload(payload.clone().into_bytes().into()).send().await else { return };
        let error = format!("{:#}", anyhow::Error::new(error));
        tracing::warn!(target = target.arn(), attempt, error, "a target could not be invoked");
        tokio::time::sleep(Duration::from_millis(FIRST_PAUSE_MILLIS << attempt)).await;
    }
}

/// The payload for the target: the whole event, unless the target has an `Input`, `InputPath` or `InputTransformer`.
fn input(target: &Target, event: &Value) -> Value {
    if let Some(input) = target.input() {
        return serde_json::from_str(input).unwrap_or_else(|_| json!(input));
    }
    if let Some(path) = target.input_path() {
        return at(event, path).cloned().unwrap_or(Value::Null);
    }
    let Some(transformer) = target.input_transformer() else { return event.clone() };
    let mut text = transformer.input_template().to_owned();
    for (name, path) in transformer.input_paths_map().into_iter().flatten() {
        let value = at(event, path).map_or_else(String::new, |value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        text = text.replace(&format!("<{name}>"), &value);
    }
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The value at a path such as `$.detail.state`.
fn at<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    path.strip_prefix('$')?.split('.').skip(1).try_fold(event, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> aws_sdk_eventbridge::types::builders::TargetBuilder {
        Target::builder().id("1").arn("arn:aws:lambda:us-east-1:123456789012:function:f")
    }

    #[test]
    fn a_target_can_receive_a_part_of_the_event_or_a_constant() {
        let event = json!({"detail": {"state": "FAILED"}});
        let part = target().input_path("$.detail.state").build().expect("a target");
        assert_eq!(input(&part, &event), json!("FAILED"));
        let fixed = target().input("{\"a\":1}").build().expect("a target");
        assert_eq!(input(&fixed, &event), json!({"a": 1}));
        let all = target().build().expect("a target");
        assert_eq!(input(&all, &event), event);
    }
}
