//! The notification of a source bucket, merged into the existing document.
//!
//! S3 has one notification document per bucket, shared by everything that is notified of its objects. It is read, changed and written back;
//! entries of others stay as they are.

use std::time::Duration;

use anyhow::{Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::NotificationConfiguration;

use crate::ground::aws::{Cause, code, failed};
use crate::ground::buckets::is_missing;
use crate::ground::output::Step;
use crate::loader::connections::document::{self, Listener};
use crate::loader::connections::plan;

/// S3 takes a while to see a new queue policy.
const PROPAGATION_TRIES_MAX: u32 = 30;
const PROPAGATION_PAUSE: Duration = Duration::from_secs(2);

/// Sets exactly these listeners for the stack in one bucket.
pub async fn set(client: &Client, bucket: &str, owner: &str, listeners: &[Listener], step: &Step) -> Result<()> {
    let current = read(client, bucket).await?;
    match plan::merged(bucket, &current, owner, listeners)? {
        Some(document) => write(client, bucket, &document, step).await,
        None => Ok(()),
    }
}

/// Removes the stack's notifications from one bucket, except those to keep. Returns whether there were any.
pub async fn clear(client: &Client, bucket: &str, owner: &str, keep: &[Listener], step: &Step) -> Result<bool> {
    let current = read(client, bucket).await?;
    let Some(document) = document::cleared(&current, owner, keep) else { return Ok(false) };
    write(client, bucket, &document, step).await?;
    Ok(true)
}

/// The document of a bucket; empty if the bucket does not exist.
pub async fn read(client: &Client, bucket: &str) -> Result<NotificationConfiguration> {
    match client.get_bucket_notification_configuration().bucket(bucket).send().await {
        Ok(found) => Ok(NotificationConfiguration::builder()
            .set_topic_configurations(found.topic_configurations)
            .set_queue_configurations(found.queue_configurations)
            .set_lambda_function_configurations(found.lambda_function_configurations)
            .set_event_bridge_configuration(found.event_bridge_configuration)
            .build()),
        Err(error) if is_missing(code(&error)) => Ok(NotificationConfiguration::builder().build()),
        Err(error) => Err(failed(format!("read the notification of the bucket `{bucket}`"))(error)),
    }
}

/// Writes the document of a bucket, and waits until S3 sees the policies of its queues.
pub async fn write(client: &Client, bucket: &str, document: &NotificationConfiguration, step: &Step) -> Result<()> {
    for attempt in 1.. {
        let request =
            client.put_bucket_notification_configuration().bucket(bucket).notification_configuration(document.clone());
        let Err(error) = request.send().await else { break };
        let cause = Cause(&error).to_string();
        if !cause.contains("Unable to validate") || attempt >= PROPAGATION_TRIES_MAX {
            bail!("cannot set the notification of the bucket `{bucket}`: {cause}");
        }
        step.now(&format!("S3 does not see the queue's policy yet (try {attempt})"));
        tokio::time::sleep(PROPAGATION_PAUSE).await;
    }
    Ok(())
}
