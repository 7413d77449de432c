//! Removes the notification of one queue from its bucket, and nothing else.

use std::collections::BTreeSet;

use anyhow::Result;
use aws_sdk_s3::types::{NotificationConfiguration, QueueConfiguration};
use loader_core::config::SourceFolder;
use synth::QueueFile;

use crate::ground::aws::Aws;
use crate::ground::output::{Failure, Out};
use crate::ground::stack::Stack;
use crate::loader::connections::configs::Configs;
use crate::loader::connections::{document, filter, notification, plan};

/// A queue as notifications refer to it.
struct Sought<'a> {
    stack_name: &'a str,
    name: &'a str,
    /// `None` if the stack does not exist.
    queue_arn: Option<String>,
}

/// Removes the notification of one queue and prints what it did. Returns whether the queue was deployed.
///
/// Fails, and changes nothing, if another notification still sends the queue's folder to it.
pub async fn disconnect_queue(aws: &Aws, out: Out, stack_name: &str, queue: &QueueFile) -> Result<bool> {
    let step = out.step(format!("disconnecting {}", queue.name));
    let stack = Stack::find(aws, stack_name).await?;
    let deployed = deployed_text(aws, stack.as_ref(), &queue.name).await?;
    let sources: Vec<SourceFolder> =
        deployed.as_deref().and_then(plan::source).into_iter().chain(queue.config.source.clone()).collect();
    let queue_arn = stack.as_ref().map(|stack| queue_arn(stack, &queue.name)).transpose()?;
    let sought = Sought { stack_name, name: &queue.name, queue_arn };
    let client = aws.s3();
    let mut documents = Vec::new();
    for bucket in sources.iter().map(|source| &source.bucket).collect::<BTreeSet<_>>() {
        let document = notification::read(&client, bucket).await?;
        if let Some(other) = sought.other(bucket, &document, &sources) {
            return Err(sought.still_notified(aws, bucket, other).into());
        }
        documents.push((bucket, document));
    }
    let mut taken = Vec::new();
    for (bucket, document) in documents {
        if let Some((changed, folder)) = sought.without(bucket, &document) {
            notification::write(&client, bucket, &changed, &step).await?;
            taken.push(folder);
        }
    }
    step.done(sought.report(&taken, stack.is_some(), deployed.is_some()));
    Ok(deployed.is_some() || !taken.is_empty())
}

/// The queue's configuration file in the loader's bucket.
async fn deployed_text(aws: &Aws, stack: Option<&Stack>, name: &str) -> Result<Option<Vec<u8>>> {
    let Some(stack) = stack else { return Ok(None) };
    let Ok(configs) = Configs::of_stack(aws, stack) else { return Ok(None) };
    configs.get(&format!("{}{name}", stack.queue_name_prefix())).await
}

fn queue_arn(stack: &Stack, name: &str) -> Result<String> {
    Ok(stack.place()?.queue_arn(&format!("{}{name}", stack.queue_name_prefix())))
}

impl Sought<'_> {
    fn id(&self) -> String {
        format!("{}{}", document::owner(self.stack_name), self.name)
    }

    /// The document without the queue's entry, and the entry's folder; `None` if there is no entry.
    fn without(
        &self,
        bucket: &str,
        document: &NotificationConfiguration,
    ) -> Option<(NotificationConfiguration, String)> {
        let id = self.id();
        let ours = document.queue_configurations().iter().find(|queue| queue.id() == Some(&id))?;
        let folder = format!("s3://{bucket}/{}", filter::prefix(ours.filter()));
        Some((document::without(document, |queue| queue.id() == Some(&id))?, folder))
    }

    /// An entry that notifies the queue of its folder, but was not made by the stack.
    fn other<'a>(
        &self,
        bucket: &str,
        document: &'a NotificationConfiguration,
        sources: &[SourceFolder],
    ) -> Option<&'a QueueConfiguration> {
        let id = self.id();
        let of_its_folder = |queue: &QueueConfiguration| {
            let prefix = filter::prefix(queue.filter());
            sources.iter().any(|source| source.bucket == bucket && source.prefix == prefix)
        };
        let named_so = |queue: &QueueConfiguration| {
            let name = queue.queue_arn().rsplit(':').next().unwrap_or_default();
            name.ends_with(self.name) || other_stack(queue, self.name).is_some()
        };
        document.queue_configurations().iter().filter(|queue| queue.id() != Some(&id)).find(|queue| {
            Some(queue.queue_arn()) == self.queue_arn.as_deref() || (named_so(queue) && of_its_folder(queue))
        })
    }

    fn still_notified(&self, aws: &Aws, bucket: &str, other: &QueueConfiguration) -> Failure {
        let folder = format!("s3://{bucket}/{}", filter::prefix(other.filter()));
        let through = document::name(other.id(), other.queue_arn());
        let message = format!("{folder} still notifies `{}`, through {through}: nothing was removed", self.name);
        let hint = match other_stack(other, self.name) {
            Some(stack) => {
                let local = if aws.local.is_some() { " --local" } else { "" };
                format!("cargo xtask queue remove {} --stack-name {stack}{local}", self.name)
            }
            None => format!("remove that notification from the bucket `{bucket}`, then run the same command again"),
        };
        Failure::new(message, hint)
    }

    /// What was done, for people.
    fn report(&self, taken: &[String], has_stack: bool, was_deployed: bool) -> String {
        let Self { stack_name, name, .. } = self;
        match (taken, has_stack, was_deployed) {
            ([], false, _) => {
                format!("there is no stack {stack_name}: {name} was not deployed, no notification was removed")
            }
            ([], true, false) => {
                format!("{name} was not deployed in the stack {stack_name}: no notification was removed")
            }
            ([], true, true) => format!("the stack {stack_name} had no notification for {name}: none was removed"),
            (taken, _, _) => format!("{} no longer notifies {name}", taken.join(", ")),
        }
    }
}

/// The stack of an entry that a deployment made for a queue of this name.
fn other_stack<'a>(queue: &'a QueueConfiguration, name: &str) -> Option<&'a str> {
    let stack = queue.id()?.strip_prefix(document::OWNER_PREFIX)?.strip_suffix(name)?;
    stack.strip_suffix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::loader::connections::document::Listener;

    const ARN: &str = "arn:aws:sqs:us-east-1:123456789012:";

    fn document(entries: &[(&str, &str, &str)]) -> NotificationConfiguration {
        let listener = |(id, queue, prefix): &(&str, &str, &str)| Listener {
            id: (*id).into(),
            queue_arn: format!("{ARN}{queue}"),
            prefix: (*prefix).into(),
        };
        let queues = entries.iter().map(listener).map(|listener| document::configuration(&listener)).collect();
        NotificationConfiguration::builder().set_queue_configurations(Some(queues)).build()
    }

    fn sales(stack_name: &str) -> Sought<'_> {
        Sought { stack_name, name: "sales", queue_arn: Some(format!("{ARN}{stack_name}-sales")) }
    }

    fn ids(document: &NotificationConfiguration) -> Vec<&str> {
        document.queue_configurations().iter().filter_map(|queue| queue.id()).collect()
    }

    #[test]
    fn only_the_queues_own_entry_is_removed() {
        let all = [
            ("audit", "audit", "logs/"),
            ("redshift-loader/shop/new-sales", "shop-new-sales", "new/"),
            ("redshift-loader/shop/sales", "shop-sales", "in sales/"),
            ("redshift-loader/other/sales", "other-sales", "other/"),
        ];
        let document = document(&all);
        let (changed, folder) = sales("shop").without("bucket", &document).expect("its entry");
        assert_eq!(folder, "s3://bucket/in sales/");
        assert_eq!(ids(&changed), ["audit", "redshift-loader/shop/new-sales", "redshift-loader/other/sales"]);
        assert_eq!(changed.queue_configurations()[1], document.queue_configurations()[1]);
        assert!(sales("shop").without("bucket", &changed).is_none());
    }

    #[test]
    fn another_way_to_the_queue_is_found() {
        let source = [SourceFolder::parse("s3://bucket/in/").unwrap()];
        let found = |stack: &str, entry| {
            let document = document(&[entry]);
            sales(stack).other("bucket", &document, &source).map(|queue| other_stack(queue, "sales").map(str::to_owned))
        };
        assert_eq!(found("shop", ("redshift-loader/shop/sales", "shop-sales", "in/")), None);
        let other = ("redshift-loader/other/sales", "other-sales", "in/");
        assert_eq!(found("shop", other), Some(Some("other".into())));
        assert_eq!(found("shop", ("by-hand", "shop-sales", "elsewhere/")), Some(None));
        assert_eq!(found("shop", ("by-hand", "other-sales", "in/")), Some(None));
        assert_eq!(found("shop", ("audit", "audit", "in/")), None);
        assert_eq!(found("shop", ("redshift-loader/other/sales", "other-sales", "elsewhere/")), None);
    }

    #[test]
    fn the_report_claims_nothing_that_was_not_done() {
        let report = |taken: &[String], has_stack, was_deployed| sales("shop").report(taken, has_stack, was_deployed);
        assert_eq!(report(&["s3://bucket/in/".into()], true, true), "s3://bucket/in/ no longer notifies sales");
        for (has_stack, was_deployed) in [(false, false), (true, false), (true, true)] {
            let said = report(&[], has_stack, was_deployed);
            assert!(!said.contains("no longer") && said.contains("removed"), "{said}");
        }
    }
}
