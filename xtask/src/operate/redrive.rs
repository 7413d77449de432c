//! `cargo xtask redrive`: the messages of a dead-letter queue go back to their queue. What was loaded before is not loaded again.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::Message;
use clap::Args;
use serde_json::json;
use synth::queue_name::dead_letters_name;

use crate::ground::aws::{code, failed};
use crate::ground::output::{Failure, Step};
use crate::loader::dead_letters;
use crate::operate::act::{ActArgs, Operator};

/// How SQS, or what stands in for it, says that it does not know the operation.
const NOT_KNOWN: [&str; 4] = [
    "InvalidAction",
    "UnsupportedOperation",
    "UnknownOperationException",
    "AWS.SimpleQueueService.UnsupportedOperation",
];
const MOVE_PAUSE: Duration = Duration::from_secs(1);
/// Messages of one `ReceiveMessage` (SQS, `API_ReceiveMessage`).
const RECEIVED_MAX: i32 = 10;

/// `cargo xtask redrive`
#[derive(Args, Debug)]
pub struct RedriveArgs {
    /// Name of the queue, as `queue list` or `status` names it
    queue: String,
    #[command(flatten)]
    act: ActArgs,
}

pub async fn run(args: &RedriveArgs) -> Result<()> {
    let operator = Operator::new(&args.act).await?;
    let sqs = operator.tables.aws.sqs();
    let queue = named(&operator, &sqs, &args.queue).await?;
    let n_messages = dead_letters::count(&sqs, &queue).await?.unwrap_or(0);
    let mut n_moved = 0;
    if n_messages == 0 {
        operator.out.line(format!("{} the dead-letter queue of {queue} is empty", operator.out.good("ok")));
    } else if operator.will(&format!(
        "move {n_messages} messages from {} back to {queue}; what was loaded before is not loaded again",
        dead_letters_name(&queue)
    )) {
        let step = operator.out.step(format!("redriving {queue}"));
        n_moved = redrive(&operator, &sqs, &queue, n_messages, &step).await?;
        step.done(format!("{n_moved} messages are back in {queue}"));
        let table = operator.tables.configs().await?.remove(&queue).and_then(Result::ok);
        match table {
            Some(config) => {
                operator.note(&config.db_table().0, "redrive", &format!("{n_moved} messages of {queue}")).await?;
            }
            None => operator.out.line(format!("   no audit record: {queue} has no configuration that names a table")),
        }
    }
    operator.out.result(&json!({"queue": queue, "messages": n_messages, "moved": n_moved, "dry_run": operator.dry_run}))
}

/// The queue as SQS names it, with or without the stack's prefix.
async fn named(operator: &Operator, sqs: &Client, name: &str) -> Result<String> {
    for name in [name.to_owned(), format!("{}{name}", operator.tables.stack.queue_name_prefix())] {
        if dead_letters::url(sqs, &dead_letters_name(&name)).await?.is_some() {
            return Ok(name);
        }
    }
    Err(Failure::usage(format!("there is no dead-letter queue of `{name}`"), "cargo xtask status names the queues")
        .into())
}

/// SQS moves them where it can; else they are moved here. Returns how many.
async fn redrive(operator: &Operator, sqs: &Client, queue: &str, n_messages: u64, step: &Step) -> Result<u64> {
    let arn = operator.tables.stack.place()?.queue_arn(&dead_letters_name(queue));
    match sqs.start_message_move_task().source_arn(&arn).send().await {
        Ok(_) => follow(sqs, &arn, step).await,
        Err(error) if NOT_KNOWN.contains(&code(&error)) => by_hand(sqs, queue, n_messages, step).await,
        Err(error) => Err(failed(format!("move the messages of {}", dead_letters_name(queue)))(error)),
    }
}

async fn follow(sqs: &Client, arn: &str, step: &Step) -> Result<u64> {
    loop {
        tokio::time::sleep(MOVE_PAUSE).await;
        let tasks = sqs.list_message_move_tasks().source_arn(arn).max_results(1).send().await;
        let tasks = tasks.map_err(failed("ask how far SQS is"))?;
        let task = tasks.results().first().context("SQS does not know the task any more")?;
        let n_moved = u64::try_from(task.approximate_number_of_messages_moved()).unwrap_or(0);
        match task.status().unwrap_or_default() {
            "RUNNING" => step.now(&format!("{n_moved} messages")),
            "COMPLETED" => return Ok(n_moved),
            status => {
                let why = task.failure_reason().unwrap_or_default();
                let message = format!("SQS stopped after {n_moved} messages ({status}): {why}");
                return Err(Failure::new(message, "the same command again moves the rest").into());
            }
        }
    }
}

/// Each is sent before it is deleted: who dies in between leaves it in both queues, and the ledger knows what was loaded.
async fn by_hand(sqs: &Client, queue: &str, n_messages: u64, step: &Step) -> Result<u64> {
    let url =
        async |name: &str| dead_letters::url(sqs, name).await?.with_context(|| format!("there is no queue `{name}`"));
    let (from, to) = (url(&dead_letters_name(queue)).await?, url(queue).await?);
    let mut n_moved = 0;
    // One that comes back at once is not moved for ever.
    while n_moved < n_messages {
        let received = sqs.receive_message().queue_url(&from).max_number_of_messages(RECEIVED_MAX).wait_time_seconds(1);
        let received = received.send().await.map_err(failed(format!("read the messages of {from}")))?;
        if received.messages().is_empty() {
            break;
        }
        for message in received.messages() {
            move_one(sqs, message, &from, &to).await?;
            n_moved += 1;
        }
        step.now(&format!("{n_moved} messages"));
    }
    Ok(n_moved)
}

async fn move_one(sqs: &Client, message: &Message, from: &str, to: &str) -> Result<()> {
    let send = sqs.send_message().queue_url(to).set_message_body(message.body.clone());
    send.set_message_attributes(message.message_attributes.clone())
        .send()
        .await
        .map_err(failed(format!("send a message to {to}")))?;
    let delete = sqs.delete_message().queue_url(from).set_receipt_handle(message.receipt_handle.clone());
    delete.send().await.map_err(failed(format!("delete a message of {from}"))).map(drop)
}
