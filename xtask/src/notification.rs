//! The notification of a source bucket: merged into what is there, never instead of it.
//!
//! S3 has one notification document per bucket, shared by everybody who wants to hear of its objects. It is read, changed and
//! written back; what is not ours stays as it is.

use std::time::Duration;

use anyhow::{Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};

use crate::aws::{Cause, failed};
use crate::output::{Failure, Step};

/// A new queue policy takes a while until S3 sees it.
const PROPAGATION_TRIES_MAX: u32 = 30;
const PROPAGATION_PAUSE: Duration = Duration::from_secs(2);

/// A queue that shall hear of the new objects of a folder.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Id of the configuration: the stack and the queue, so that it is found again.
    pub id: String,
    /// The queue.
    pub queue_arn: String,
    /// The folder.
    pub prefix: String,
}

/// First part of the ids of a stack's configurations.
pub fn owner(stack_name: &str) -> String {
    format!("redshift-loader/{stack_name}/")
}

/// Makes exactly these listeners the stack's, in one bucket. The answer: whether anything had to be written.
pub async fn set(client: &Client, bucket: &str, owner: &str, listeners: &[Listener], step: &Step) -> Result<bool> {
    let merged = wanted(client, bucket, owner, listeners).await?;
    let Some(merged) = merged else { return Ok(false) };
    for attempt in 1.. {
        let request =
            client.put_bucket_notification_configuration().bucket(bucket).notification_configuration(merged.clone());
        let Err(error) = request.send().await else { return Ok(true) };
        let cause = Cause(&error).to_string();
        if !cause.contains("Unable to validate") || attempt >= PROPAGATION_TRIES_MAX {
            bail!("cannot set the notification of the bucket `{bucket}`: {cause}");
        }
        step.now(&format!("S3 does not see the queue's policy yet (try {attempt})"));
        tokio::time::sleep(PROPAGATION_PAUSE).await;
    }
    Ok(true)
}

/// Whether these listeners could be set; an overlap with somebody else's notification is an error.
pub async fn check(client: &Client, bucket: &str, owner: &str, listeners: &[Listener]) -> Result<()> {
    wanted(client, bucket, owner, listeners).await.map(drop)
}

/// The document to write, or nothing when it is there already.
async fn wanted(
    client: &Client,
    bucket: &str,
    owner: &str,
    listeners: &[Listener],
) -> Result<Option<NotificationConfiguration>> {
    let current = read(client, bucket).await?;
    merge(&current, owner, listeners).map_err(|clash| {
        let message = format!("the bucket `{bucket}` has another notification for the same objects: {clash}");
        let hint =
            "remove that notification, or load from a folder that it does not cover (`source` in the queue's file)";
        Failure::new(message, hint).into()
    })
}

async fn read(client: &Client, bucket: &str) -> Result<NotificationConfiguration> {
    let request = client.get_bucket_notification_configuration().bucket(bucket);
    let found = request.send().await.map_err(failed(format!("read the notification of the bucket `{bucket}`")))?;
    Ok(NotificationConfiguration::builder()
        .set_topic_configurations(found.topic_configurations)
        .set_queue_configurations(found.queue_configurations)
        .set_lambda_function_configurations(found.lambda_function_configurations)
        .set_event_bridge_configuration(found.event_bridge_configuration)
        .build())
}

/// The document to write, nothing when it is there already, or the configuration that stands in the way.
fn merge(
    current: &NotificationConfiguration,
    owner: &str,
    listeners: &[Listener],
) -> Result<Option<NotificationConfiguration>, String> {
    let (ours, others): (Vec<_>, Vec<_>) = current
        .queue_configurations()
        .iter()
        .cloned()
        .partition(|queue| queue.id().is_some_and(|id| id.starts_with(owner)));
    let mut wanted = Vec::new();
    for listener in listeners {
        // Connected by hand already: the same queue for the same folder.
        if others.iter().any(|other| {
            other.queue_arn() == listener.queue_arn && prefix_and_suffix(other.filter()) == (&*listener.prefix, "")
        }) {
            continue;
        }
        if let Some(clash) = rivals(current, &others).find(|rival| rival.overlaps(&listener.prefix)) {
            return Err(format!("{} takes {}, which overlaps with `{}`", clash.name, clash.place(), listener.prefix));
        }
        wanted.push(configuration(listener));
    }
    if same(&ours, &wanted) {
        return Ok(None);
    }
    let mut merged = current.clone();
    merged.queue_configurations = Some(others.into_iter().chain(wanted).collect());
    Ok(Some(merged))
}

fn same(ours: &[QueueConfiguration], wanted: &[QueueConfiguration]) -> bool {
    let key = |queue: &QueueConfiguration| {
        let id = queue.id().unwrap_or_default().to_owned();
        (id, queue.queue_arn().to_owned(), prefix_and_suffix(queue.filter()).0.to_owned())
    };
    let sorted = |queues: &[QueueConfiguration]| {
        let mut keys: Vec<_> = queues.iter().map(key).collect();
        keys.sort();
        keys
    };
    sorted(ours) == sorted(wanted)
}

fn configuration(listener: &Listener) -> QueueConfiguration {
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(&listener.prefix).build();
    let key = S3KeyFilter::builder().filter_rules(rule).build();
    let filter = (!listener.prefix.is_empty()).then(|| NotificationConfigurationFilter::builder().key(key).build());
    QueueConfiguration::builder()
        .id(&listener.id)
        .queue_arn(&listener.queue_arn)
        .events(Event::S3ObjectCreated)
        .set_filter(filter)
        .build()
        .expect("queue and events are set")
}

/// Somebody else's configuration for new objects.
struct Rival<'a> {
    name: String,
    events: &'a [Event],
    filter: Option<&'a NotificationConfigurationFilter>,
}

impl Rival<'_> {
    fn overlaps(&self, prefix: &str) -> bool {
        let created = self.events.iter().any(|event| event.as_str().starts_with("s3:ObjectCreated:"));
        let (theirs, _) = prefix_and_suffix(self.filter);
        created && (theirs.starts_with(prefix) || prefix.starts_with(theirs))
    }

    fn place(&self) -> String {
        match prefix_and_suffix(self.filter) {
            ("", "") => "all objects".to_owned(),
            (prefix, "") => format!("`{prefix}`"),
            (prefix, suffix) => format!("`{prefix}…{suffix}`"),
        }
    }
}

fn rivals<'a>(
    current: &'a NotificationConfiguration,
    others: &'a [QueueConfiguration],
) -> impl Iterator<Item = Rival<'a>> {
    let name = |id: Option<&str>, arn: &str| format!("`{}` (to {arn})", id.unwrap_or("unnamed"));
    let queues = others.iter().map(move |queue| Rival {
        name: name(queue.id(), queue.queue_arn()),
        events: queue.events(),
        filter: queue.filter(),
    });
    let topics = current.topic_configurations().iter().map(move |topic| Rival {
        name: name(topic.id(), topic.topic_arn()),
        events: topic.events(),
        filter: topic.filter(),
    });
    let functions = current.lambda_function_configurations().iter().map(move |function| Rival {
        name: name(function.id(), function.lambda_function_arn()),
        events: function.events(),
        filter: function.filter(),
    });
    queues.chain(topics).chain(functions)
}

fn prefix_and_suffix(filter: Option<&NotificationConfigurationFilter>) -> (&str, &str) {
    let rules = filter.and_then(|filter| filter.key()).map_or(&[][..], |key| key.filter_rules());
    let value = |wanted: &str| {
        let rule = rules.iter().find(|rule| rule.name().is_some_and(|name| name.as_str().eq_ignore_ascii_case(wanted)));
        rule.and_then(|rule| rule.value()).unwrap_or_default()
    };
    (value("prefix"), value("suffix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "redshift-loader/redshift-loader/";

    fn listener(queue: &str, prefix: &str) -> Listener {
        let queue_arn = format!("arn:aws:sqs:us-east-1:123456789012:{queue}");
        Listener { id: format!("{OWNER}{queue}"), queue_arn, prefix: prefix.into() }
    }

    fn foreign(id: &str, prefix: &str) -> QueueConfiguration {
        configuration(&Listener { id: id.into(), ..listener("theirs", prefix) })
    }

    fn document(queues: Vec<QueueConfiguration>) -> NotificationConfiguration {
        NotificationConfiguration::builder().set_queue_configurations(Some(queues)).build()
    }

    fn ids(document: Option<NotificationConfiguration>) -> Vec<String> {
        let document = document.expect("a change");
        document.queue_configurations().iter().map(|queue| queue.id().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn what_is_there_stays() {
        let merged = merge(&document(vec![foreign("audit", "logs/")]), OWNER, &[listener("sales", "sales/")]);
        assert_eq!(ids(merged.unwrap()), ["audit".to_owned(), format!("{OWNER}sales")]);
    }

    #[test]
    fn the_second_time_nothing_is_written() {
        let listeners = [listener("sales", "sales/"), listener("costs", "costs/")];
        let first = merge(&document(vec![foreign("audit", "logs/")]), OWNER, &listeners).unwrap().unwrap();
        assert!(merge(&first, OWNER, &listeners).unwrap().is_none());
    }

    #[test]
    fn a_queue_that_is_gone_loses_its_notification() {
        let first = merge(&document(vec![foreign("audit", "logs/")]), OWNER, &[listener("sales", "sales/")]).unwrap();
        assert_eq!(ids(merge(&first.unwrap(), OWNER, &[]).unwrap()), ["audit"]);
    }

    #[test]
    fn an_overlap_is_refused_and_named() {
        let clash = merge(&document(vec![foreign("audit", "sales/2026/")]), OWNER, &[listener("sales", "sales/")]);
        let clash = clash.unwrap_err();
        assert!(
            clash.starts_with("`audit` (to arn:aws:sqs:us-east-1:123456789012:theirs) takes `sales/2026/`"),
            "{clash}"
        );
    }

    #[test]
    fn a_notification_of_removed_objects_is_no_rival() {
        let removed =
            QueueConfiguration::builder().id("x").queue_arn("arn").events(Event::S3ObjectRemoved).build().unwrap();
        assert!(merge(&document(vec![removed]), OWNER, &[listener("sales", "sales/")]).is_ok());
    }

    #[test]
    fn a_queue_connected_by_hand_is_left_alone() {
        let by_hand = configuration(&Listener { id: "by-hand".into(), ..listener("sales", "sales/") });
        assert!(merge(&document(vec![by_hand]), OWNER, &[listener("sales", "sales/")]).unwrap().is_none());
    }
}
