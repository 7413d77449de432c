//! The three Lambda functions: each maps a payload to a flow of `loader-reconcile` and returns its result.

#![warn(missing_docs)]

mod diagnostics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use loader_aws::Aws;
use loader_core::bulk_request;
use loader_core::settings::Settings;
use loader_core::statement_event;
use loader_reconcile::microbatch::{self, Message};
use loader_reconcile::ports::Surroundings;
use loader_reconcile::reconcile::Invocation;
use loader_reconcile::{bulk, next};
use serde_json::{Value, json};

/// Time reserved for returning the result, in milliseconds.
const RESERVE_MILLIS: i64 = 8_000;

/// One function. Each is a type, so that an executable contains only the code of its own flow.
pub trait Function {
    /// Handles one payload.
    fn handle(aws: &Aws, payload: &Value, invocation: &Invocation) -> impl Future<Output = Result<Value, Error>>;
}

/// Records the objects in SQS messages.
#[derive(Debug)]
pub enum MicrobatchLoader {}

/// Settles ended statements, and sweeps every minute.
#[derive(Debug)]
pub enum NextLoader {}

/// Loads whole folders.
#[derive(Debug)]
pub enum BulkLoader {}

/// Runs a function until its execution environment ends.
pub async fn run<F: Function>() -> Result<(), Error> {
    diagnostics::start();
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let aws = Arc::new(Box::pin(Aws::connect(settings)).await?);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let aws = aws.clone();
        async move {
            let invocation = invocation(&aws, &event.context);
            // Boxed, because the compiler limits the nesting of futures.
            Box::pin(F::handle(&aws, &event.payload, &invocation)).await
        }
    }))
    .await
}

impl Function for MicrobatchLoader {
    async fn handle(aws: &Aws, payload: &Value, invocation: &Invocation) -> Result<Value, Error> {
        let messages = read_messages(payload)?;
        let refused = microbatch::handle(aws, &messages, invocation).await;
        let failures: Vec<Value> = refused.iter().map(|id| json!({"itemIdentifier": id})).collect();
        Ok(json!({"batchItemFailures": failures}))
    }
}

impl Function for NextLoader {
    async fn handle(aws: &Aws, payload: &Value, invocation: &Invocation) -> Result<Value, Error> {
        next::handle(aws, statement_event::parse(payload), invocation).await?;
        Ok(json!({}))
    }
}

impl Function for BulkLoader {
    async fn handle(aws: &Aws, payload: &Value, invocation: &Invocation) -> Result<Value, Error> {
        let paths = bulk_request::parse(payload)?;
        if paths.is_empty() {
            return Ok(json!({}));
        }
        let answers = bulk::handle(aws, &paths, invocation).await;
        if bulk_request::is_scheduled(payload) {
            bulk::check_done(&answers)?;
        }
        Ok(serde_json::to_value(answers)?)
    }
}

/// Creates the invocation's context. The holder is unique: Lambda may repeat request ids, so time, process and a counter are added.
fn invocation(aws: &Aws, context: &Context) -> Invocation {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let deadline = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    Invocation {
        holder: format!("{}/{nanos}/{}/{count}", context.request_id, std::process::id()),
        timing: aws.settings().timing.clone(),
        prefix: aws.settings().statement_name_prefix.clone(),
        // Some runtimes give a duration instead of a point in time. Then an invocation ends after a minute, which every function's timeout
        // allows.
        deadline: if deadline > aws.now() { deadline - RESERVE_MILLIS } else { aws.now() + 60_000 },
        awake: false,
        turn: false,
        sweeps: false,
    }
}

fn read_messages(payload: &Value) -> Result<Vec<Message>, Error> {
    let records = payload.get("Records").and_then(Value::as_array);
    let records =
        records.ok_or("the payload has no `Records`: MicrobatchLoader is invoked by an SQS event source mapping")?;
    let text = |record: &Value, field: &str| record.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
    let mut messages = Vec::new();
    for record in records {
        let id = text(record, "messageId").ok_or("a record has no `messageId`: it is no SQS message")?;
        let arn = text(record, "eventSourceARN").ok_or("a record has no `eventSourceARN`: it is no SQS message")?;
        let queue = arn.rsplit(':').next().unwrap_or_default().to_owned();
        messages.push(Message { id, queue, body: text(record, "body").unwrap_or_default() });
    }
    Ok(messages)
}
