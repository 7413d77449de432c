//! `cargo xtask redrive`: returns the messages in a dead-letter queue to their queue. Files that were loaded before are not loaded again.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use clap::Args;
use serde_json::json;
use synth::queue_name::dead_letters_name;

use crate::ground::aws::{code, failed};
use crate::ground::output::{Failure, Step, counted};
use crate::loader::dead_letters;
use crate::operate::act::{ActArgs, Operator};

/// Error codes with which SQS, or a substitute for it, says that it does not support the operation.
const UNSUPPORTED: [&str; 4] = [
    "InvalidAction",
    "UnsupportedOperation",
    "UnknownOperationException",
    "AWS.SimpleQueueService.UnsupportedOperation",
];
const MOVE_PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of messages per `ReceiveMessage` (SQS, `API_ReceiveMessage`).
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
    let from = named(&operator, &sqs, &args.queue).await?;
    let queue = from.queue.clone();
    let back = if from.is_shared { "the queues that they came from" } else { &queue };
    let n_messages = dead_letters::count_of_url(&sqs, &from.url).await?;
    let mut n_moved = 0;
    if n_messages == 0 {
        operator.out.ok(format!("the dead-letter queue of {queue} is empty"));
    } else if operator.will(&format!(
        "move {} from {} back to {back}; files that have loaded are not loaded again",
        counted(n_messages, "message"),
        from.name()
    )) {
        let step = operator.out.step(format!("redriving {queue}"));
        n_moved = redrive(&operator, &sqs, &from, n_messages, &step).await?;
        step.done(format!("moved {} back to {back}", counted(n_moved, "message")));
        let table = operator.tables.configs().await?.remove(&queue).and_then(Result::ok);
        match table {
            Some(config) => {
                operator
                    .note(&config.db_table().0, "redrive", &format!("{} of {queue}", counted(n_moved, "message")))
                    .await?;
            }
            None => operator.out.line(format!("   no audit record: {queue} has no configuration that names a table")),
        }
    }
    operator.out.result(&json!({"queue": queue, "messages": n_messages, "moved": n_moved, "dry_run": operator.dry_run}))
}

/// A dead-letter queue.
struct DeadLetters {
    /// The queue named on the command line, as SQS names it.
    queue: String,
    /// URL of its dead-letter queue.
    url: String,
    /// Whether other queues use the same dead-letter queue.
    is_shared: bool,
}

impl DeadLetters {
    fn name(&self) -> &str {
        name_of(&self.url)
    }
}

/// The last part of a queue's URL or ARN.
fn name_of(address: &str) -> &str {
    address.rsplit(['/', ':']).next().unwrap_or(address)
}

/// The dead-letter queue of a queue that is named with or without the stack's prefix.
async fn named(operator: &Operator, sqs: &Client, name: &str) -> Result<DeadLetters> {
    let stack = &operator.tables.stack;
    for queue in [name.to_owned(), format!("{}{name}", stack.queue_name_prefix())] {
        if let Some(url) = dead_letters::url(sqs, &dead_letters_name(&queue)).await? {
            return Ok(DeadLetters { queue, url, is_shared: false });
        }
        if let Some(shared) = stack.shared_dead_letters()
            && dead_letters::url(sqs, &queue).await?.is_some()
        {
            return Ok(DeadLetters { queue, url: shared.to_owned(), is_shared: true });
        }
    }
    Err(Failure::usage(format!("there is no dead-letter queue of `{name}`"), "cargo xtask status names the queues")
        .into())
}

/// Moves the messages with SQS if possible, otherwise one by one. Returns their number.
///
/// Without a destination, SQS moves each message to the queue that it came from (SQS, `StartMessageMoveTask`).
async fn redrive(operator: &Operator, sqs: &Client, from: &DeadLetters, n_messages: u64, step: &Step) -> Result<u64> {
    let arn = operator.tables.stack.place()?.queue_arn(from.name());
    match sqs.start_message_move_task().source_arn(&arn).send().await {
        Ok(_) => follow(sqs, &arn, step).await,
        Err(error) if UNSUPPORTED.contains(&code(&error)) => one_by_one(sqs, from, n_messages, step).await,
        Err(error) => Err(failed(format!("move the messages of {}", from.name()))(error)),
    }
}

async fn follow(sqs: &Client, arn: &str, step: &Step) -> Result<u64> {
    loop {
        tokio::time::sleep(MOVE_PAUSE).await;
        let tasks = sqs.list_message_move_tasks().source_arn(arn).max_results(1).send().await;
        let tasks = tasks.map_err(failed("read the progress of the move"))?;
        let task = tasks.results().first().context("SQS no longer lists the task")?;
        let n_moved = u64::try_from(task.approximate_number_of_messages_moved()).unwrap_or(0);
        match task.status().unwrap_or_default() {
            "RUNNING" => step.now(&counted(n_moved, "message")),
            "COMPLETED" => return Ok(n_moved),
            status => {
                let why = task.failure_reason().unwrap_or_default();
                let message = format!("SQS stopped after {} ({status}): {why}", counted(n_moved, "message"));
                return Err(Failure::new(message, "run the same command again to move the rest").into());
            }
        }
    }
}

/// Each message is sent before it is deleted. If this program dies in between, the message is in both queues, and the ledger prevents
/// loading twice.
async fn one_by_one(sqs: &Client, from: &DeadLetters, n_messages: u64, step: &Step) -> Result<u64> {
    let mut n_moved = 0;
    // Stops at the number counted before, so that a message that fails again at once is not moved forever.
    while n_moved < n_messages {
        let received = sqs
            .receive_message()
            .queue_url(&from.url)
            .message_system_attribute_names(MessageSystemAttributeName::DeadLetterQueueSourceArn)
            .max_number_of_messages(RECEIVED_MAX)
            .wait_time_seconds(1);
        let received = received.send().await.map_err(failed(format!("read the messages of {}", from.url)))?;
        if received.messages().is_empty() {
            break;
        }
        for message in received.messages() {
            let to = source(message).unwrap_or(&from.queue);
            let to = dead_letters::url(sqs, to).await?.with_context(|| format!("there is no queue `{to}`"))?;
            move_one(sqs, message, &from.url, &to).await?;
            n_moved += 1;
        }
        step.now(&counted(n_moved, "message"));
    }
    Ok(n_moved)
}

/// The queue that a message came from; `None` if it was sent to the dead-letter queue by hand.
fn source(message: &Message) -> Option<&str> {
    message.attributes()?.get(&MessageSystemAttributeName::DeadLetterQueueSourceArn).map(|arn| name_of(arn))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_which_queue_gave_it_up() {
        let arn = "arn:aws:sqs:eu-central-1:123456789012:prod-sales";
        let from = Message::builder().attributes(MessageSystemAttributeName::DeadLetterQueueSourceArn, arn).build();
        assert_eq!(source(&from), Some("prod-sales"));
        assert_eq!(source(&Message::builder().build()), None);
        assert_eq!(name_of("http://127.0.0.1:4566/000000000000/prod-sales-dlq"), "prod-sales-dlq");
    }
}
