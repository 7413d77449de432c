//! The queues of a stack in SQS, and the number of messages in their dead-letter queues.

use anyhow::{Context, Result};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use synth::queue_name::dead_letters_name;

use crate::ground::aws::{code, failed};

/// URL of a queue; `None` if it does not exist.
pub async fn url(sqs: &Client, name: &str) -> Result<Option<String>> {
    match sqs.get_queue_url().queue_name(name).send().await {
        Ok(found) => Ok(found.queue_url),
        Err(error) if is_missing(code(&error)) => Ok(None),
        Err(error) => Err(failed(format!("look at the queue `{name}`"))(error)),
    }
}

/// Whether an error's code says that a queue does not exist. It depends on the protocol.
pub fn is_missing(code: &str) -> bool {
    code.ends_with("NonExistentQueue") || code == "QueueDoesNotExist"
}

/// Approximate number of messages in a queue's dead-letter queue; `None` if it has none.
pub async fn count(sqs: &Client, queue: &str) -> Result<Option<u64>> {
    match url(sqs, &dead_letters_name(queue)).await? {
        Some(url) => Ok(Some(count_of_url(sqs, &url).await?)),
        None => Ok(None),
    }
}

/// Approximate number of messages in the queue with this URL.
pub async fn count_of_url(sqs: &Client, url: &str) -> Result<u64> {
    let name = QueueAttributeName::ApproximateNumberOfMessages;
    let asked = sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
    let attributes = asked.map_err(failed(format!("count the messages of {url}")))?.attributes.unwrap_or_default();
    let count = attributes.get(&name).with_context(|| format!("SQS returned no number of messages for {url}"))?;
    count.parse().with_context(|| format!("SQS returned `{count}`, not a number of messages, for {url}"))
}
