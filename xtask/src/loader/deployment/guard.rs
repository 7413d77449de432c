//! What a deployment must not remove: a queue that contains messages, and the policy of a queue that stays.

use anyhow::Result;
use aws_sdk_sqs::types::QueueAttributeName;

use crate::ground::aws::{Aws, code, failed};
use crate::ground::output::{Failure, counted};
use crate::loader::dead_letters;
use crate::loader::deployment::change_set::{Change, ChangeSet};

const QUEUE: &str = "AWS::SQS::Queue";
const QUEUE_POLICY: &str = "AWS::SQS::QueuePolicy";
/// The attributes that count messages: available, in flight and delayed.
const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

/// Refuses a change set that would lose something. This is checked just before the change: a message may still arrive afterwards, but a
/// removed queue is no longer notified, and a dead-letter queue only receives messages that have been received five times.
pub async fn check(aws: &Aws, set: &ChangeSet) -> Result<()> {
    if let Some(failure) = orphaned(&set.changes) {
        set.discard(aws).await?;
        return Err(failure.into());
    }
    let mut full = Vec::new();
    for change in set.changes.iter().filter(|change| loses_a_queue(change)) {
        let Some(url) = &change.physical_id else { continue };
        let n_messages = messages(aws, url).await?;
        if n_messages > 0 {
            full.push(format!("\n   {} in {}", counted(n_messages, "message"), url.rsplit('/').next().unwrap_or(url)));
        }
    }
    if full.is_empty() {
        return Ok(());
    }
    set.discard(aws).await?;
    let message = format!("not deployed: these queues would be deleted together with their messages:{}", full.concat());
    let hint = "wait until a queue is empty; for a dead-letter queue (…-dlq) remove the cause and run cargo xtask redrive QUEUE, or purge \
                what needs no loading (aws sqs purge-queue)";
    Err(Failure::new(message, hint).into())
}

/// Whether a queue is removed with its messages.
fn loses_a_queue(change: &Change) -> bool {
    let goes = change.action == "Remove" && !change.is_kept || change.replacement.as_deref() == Some("True");
    change.kind == QUEUE && goes
}

/// Whether a queue's own policy is removed while the queue stays. A shared policy replaces it, and removing the old one would remove the
/// new one too. Templates of this version keep such a policy; those of earlier versions do not.
fn orphaned(changes: &[Change]) -> Option<Failure> {
    let is_removed = |id: &str| changes.iter().any(|change| change.id == id && change.action == "Remove");
    let orphan = changes.iter().find(|change| {
        let queue = change.id.strip_suffix("Policy").unwrap_or_default();
        change.kind == QUEUE_POLICY && change.action == "Remove" && !change.is_kept && !is_removed(queue)
    })?;
    let message = format!(
        "not deployed: the stack was deployed by an earlier version, and with so many queues they would share policies: removing `{}` would \
         leave its queue without one",
        orphan.id
    );
    let hint = "deploy once with the queues that are deployed now (move the new files away), then with all of them";
    Some(Failure::new(message, hint))
}

async fn messages(aws: &Aws, url: &str) -> Result<u64> {
    let asked = aws.sqs().get_queue_attributes().queue_url(url).set_attribute_names(Some(COUNTS.to_vec())).send().await;
    match asked {
        Ok(found) => {
            let attributes = found.attributes.unwrap_or_default();
            Ok(COUNTS.iter().filter_map(|name| attributes.get(name)?.parse::<u64>().ok()).sum())
        }
        Err(error) if dead_letters::is_missing(code(&error)) => Ok(0),
        Err(error) => Err(failed(format!("count the messages of {url}"))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: &str, id: &str, kind: &str, is_kept: bool) -> Change {
        Change {
            action: action.to_owned(),
            id: id.to_owned(),
            kind: kind.to_owned(),
            physical_id: Some("url".to_owned()),
            is_kept,
            replacement: None,
            properties: Vec::new(),
            permissions: false,
        }
    }

    #[test]
    fn a_policy_of_an_earlier_version_must_not_be_removed_while_its_queue_stays() {
        let policy = |is_kept| change("Remove", "SalesQueuePolicy", QUEUE_POLICY, is_kept);
        let failure = orphaned(&[policy(false)]).unwrap();
        assert!(failure.message.contains("removing `SalesQueuePolicy` would leave its queue without one"), "{failure}");
        assert!(orphaned(&[policy(true)]).is_none(), "it is kept");
        assert!(orphaned(&[policy(false), change("Remove", "SalesQueue", QUEUE, false)]).is_none(), "both go");
    }

    #[test]
    fn a_queue_is_lost_when_it_is_removed_or_replaced() {
        let mut replaced = change("Modify", "SalesQueue", QUEUE, false);
        assert!(!loses_a_queue(&replaced));
        replaced.replacement = Some("True".to_owned());
        assert!(loses_a_queue(&replaced));
        assert!(loses_a_queue(&change("Remove", "SalesDlq", QUEUE, false)));
        assert!(!loses_a_queue(&change("Remove", "SalesMapping", "AWS::Lambda::EventSourceMapping", false)));
    }
}
