//! Changes a bucket's notification document: replaces the stack's entries, and keeps all others as they are.

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};

use super::filter;

/// Maximum number of notifications of a bucket (S3, quotas: "Event notifications").
const NOTIFICATIONS_MAX: usize = 100;
const ALL_CREATIONS: &str = "s3:ObjectCreated:*";
const CREATIONS: [&str; 4] = [
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
];

/// A queue to notify of a folder.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Id of the entry. It contains the stack and the queue, so that the entry can be found again.
    pub id: String,
    pub queue_arn: String,
    pub prefix: String,
}

/// An entry that conflicts with the deployment.
#[derive(Debug, PartialEq, Eq)]
pub struct Clash {
    /// What is wrong with the entry.
    pub message: String,
    pub hint: &'static str,
}

/// Prefix of the ids of all entries that deployments make.
pub const OWNER_PREFIX: &str = "redshift-loader/";

/// Prefix of the ids of a stack's entries.
pub fn owner(stack_name: &str) -> String {
    format!("{OWNER_PREFIX}{stack_name}/")
}

/// The document with exactly these listeners for the stack; `None` if it already has them.
pub fn merged(
    current: &NotificationConfiguration,
    owner: &str,
    listeners: &[Listener],
) -> Result<Option<NotificationConfiguration>, Clash> {
    let (ours, others): (Vec<_>, Vec<_>) =
        current.queue_configurations().iter().cloned().partition(|queue| is_of(queue, owner));
    let mut wanted = Vec::new();
    for listener in listeners {
        if is_connected_by_hand(&others, listener)? {
            continue;
        }
        if let Some(clash) = rivals(current, &others).find(|rival| rival.overlaps(&listener.prefix)) {
            let place = clash.place();
            return Err(Clash {
                message: format!(
                    "has another notification for the same objects: {} takes {place}, which overlaps with `{}`",
                    clash.name, listener.prefix
                ),
                hint: "remove that notification, or load from a folder that it does not cover (`source` in the queue's file)",
            });
        }
        wanted.push(configuration(listener));
    }
    if same(&ours, &wanted) {
        return Ok(None);
    }
    let mut merged = current.clone();
    merged.queue_configurations = Some(others.into_iter().chain(wanted).collect());
    let n_notifications = merged.queue_configurations().len()
        + merged.topic_configurations().len()
        + merged.lambda_function_configurations().len();
    if n_notifications > NOTIFICATIONS_MAX {
        return Err(Clash {
            message: format!(
                "would have {n_notifications} notifications, but S3 allows {NOTIFICATIONS_MAX} per bucket"
            ),
            hint: "use fewer queues for this bucket, or load from more buckets (`source` in the queues' files)",
        });
    }
    Ok(Some(merged))
}

/// The document without a stack's entries, except those to keep; `None` if there are none to remove. An entry is kept only if both its id
/// and its queue are the listener's, because S3 accepts no document that names a deleted queue.
pub fn cleared(
    current: &NotificationConfiguration,
    owner: &str,
    keep: &[Listener],
) -> Option<NotificationConfiguration> {
    let is_kept = |queue: &QueueConfiguration| {
        keep.iter().any(|listener| queue.id() == Some(&listener.id) && queue.queue_arn() == listener.queue_arn)
    };
    without(current, |queue| is_of(queue, owner) && !is_kept(queue))
}

/// The document without these entries; `None` if it has none of them.
pub fn without(
    current: &NotificationConfiguration,
    goes: impl Fn(&QueueConfiguration) -> bool,
) -> Option<NotificationConfiguration> {
    let (gone, kept): (Vec<_>, Vec<_>) = current.queue_configurations().iter().cloned().partition(|queue| goes(queue));
    let mut rest = current.clone();
    rest.queue_configurations = Some(kept);
    (!gone.is_empty()).then_some(rest)
}

/// The stack's own entries.
pub fn ours<'a>(
    document: &'a NotificationConfiguration,
    owner: &'a str,
) -> impl Iterator<Item = &'a QueueConfiguration> {
    document.queue_configurations().iter().filter(move |queue| is_of(queue, owner))
}

fn is_of(queue: &QueueConfiguration, owner: &str) -> bool {
    queue.id().is_some_and(|id| id.starts_with(owner))
}

/// Whether another entry notifies the same queue of every new object in the same folder. An entry for only some of them is a conflict.
fn is_connected_by_hand(others: &[QueueConfiguration], listener: &Listener) -> Result<bool, Clash> {
    let same = |other: &&QueueConfiguration| {
        other.queue_arn() == listener.queue_arn
            && filter::prefix(other.filter()) == listener.prefix
            && filter::suffix(other.filter()).is_empty()
    };
    let by_hand: Vec<&QueueConfiguration> = others.iter().filter(same).collect();
    let Some(first) = by_hand.first() else { return Ok(false) };
    let events: Vec<&str> = by_hand.iter().flat_map(|other| other.events()).map(Event::as_str).collect();
    let missing = missing_creations(&events);
    if missing.is_empty() {
        return Ok(true);
    }
    let name = name(first.id(), &listener.queue_arn);
    Err(Clash {
        message: format!(
            "notifies the queue of some objects only: {name} takes `{}` without {missing}",
            listener.prefix
        ),
        hint: "give that notification the event `s3:ObjectCreated:*`, or remove it: the deployment then makes its own",
    })
}

/// The events for new objects that are missing in this list, for people; empty if none is missing.
fn missing_creations(events: &[&str]) -> String {
    let missing: Vec<&str> = CREATIONS.into_iter().filter(|event| !events.contains(event)).collect();
    match missing.len() {
        _ if events.contains(&ALL_CREATIONS) => String::new(),
        4 => format!("`{ALL_CREATIONS}`"),
        _ => missing.iter().map(|event| format!("`{event}`")).collect::<Vec<_>>().join(", "),
    }
}

/// Compares values as written, so one that was not encoded is replaced.
fn same(ours: &[QueueConfiguration], wanted: &[QueueConfiguration]) -> bool {
    let key = |queue: &QueueConfiguration| {
        let mut events: Vec<String> = queue.events().iter().map(|event| event.as_str().to_owned()).collect();
        events.sort();
        let [prefix, suffix] = ["prefix", "suffix"].map(|name| filter::value(queue.filter(), name).to_owned());
        (queue.id().unwrap_or_default().to_owned(), queue.queue_arn().to_owned(), prefix, suffix, events)
    };
    let sorted = |queues: &[QueueConfiguration]| {
        let mut keys: Vec<_> = queues.iter().map(key).collect();
        keys.sort();
        keys
    };
    sorted(ours) == sorted(wanted)
}

/// The entry for a listener.
pub fn configuration(listener: &Listener) -> QueueConfiguration {
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(filter::encode(&listener.prefix)).build();
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

/// An entry of someone else for new objects.
struct Rival<'a> {
    name: String,
    events: &'a [Event],
    filter: Option<&'a NotificationConfigurationFilter>,
}

impl Rival<'_> {
    fn overlaps(&self, prefix: &str) -> bool {
        let created = self.events.iter().any(|event| event.as_str().starts_with("s3:ObjectCreated:"));
        let theirs = filter::prefix(self.filter);
        created && (theirs.starts_with(prefix) || prefix.starts_with(&theirs))
    }

    fn place(&self) -> String {
        let (prefix, suffix) = (filter::prefix(self.filter), filter::suffix(self.filter));
        match (&*prefix, &*suffix) {
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
    let queues = others.iter().map(|queue| Rival {
        name: name(queue.id(), queue.queue_arn()),
        events: queue.events(),
        filter: queue.filter(),
    });
    let topics = current.topic_configurations().iter().map(|topic| Rival {
        name: name(topic.id(), topic.topic_arn()),
        events: topic.events(),
        filter: topic.filter(),
    });
    let functions = current.lambda_function_configurations().iter().map(|function| Rival {
        name: name(function.id(), function.lambda_function_arn()),
        events: function.events(),
        filter: function.filter(),
    });
    queues.chain(topics).chain(functions)
}

/// An entry's name in messages.
pub fn name(id: Option<&str>, arn: &str) -> String {
    format!("`{}` (to {arn})", id.unwrap_or("unnamed"))
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

    /// An entry made by hand for our queue, with these events.
    fn by_hand(events: &[&str]) -> NotificationConfiguration {
        let mut by_hand = configuration(&Listener { id: "by-hand".into(), ..listener("sales", "sales/") });
        by_hand.events = events.iter().map(|event| Event::from(*event)).collect();
        document(vec![by_hand])
    }

    fn document(queues: Vec<QueueConfiguration>) -> NotificationConfiguration {
        NotificationConfiguration::builder().set_queue_configurations(Some(queues)).build()
    }

    fn ids(document: Option<NotificationConfiguration>) -> Vec<String> {
        let document = document.expect("a change");
        document.queue_configurations().iter().map(|queue| queue.id().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn existing_entries_stay() {
        let merged = merged(&document(vec![foreign("audit", "logs/")]), OWNER, &[listener("sales", "sales/")]);
        assert_eq!(ids(merged.unwrap()), ["audit".to_owned(), format!("{OWNER}sales")]);
    }

    #[test]
    fn the_second_time_nothing_is_written() {
        let listeners = [listener("sales", "new sales/"), listener("costs", "costs/")];
        let first = merged(&document(vec![foreign("audit", "logs/")]), OWNER, &listeners).unwrap().unwrap();
        assert!(merged(&first, OWNER, &listeners).unwrap().is_none());
    }

    #[test]
    fn a_removed_queue_loses_its_notification() {
        let first = merged(&document(vec![foreign("audit", "logs/")]), OWNER, &[listener("sales", "sales/")]).unwrap();
        assert_eq!(ids(merged(first.as_ref().unwrap(), OWNER, &[]).unwrap()), ["audit"]);
        assert_eq!(ids(cleared(&first.unwrap(), OWNER, &[])), ["audit"]);
    }

    #[test]
    fn a_queue_that_only_moves_is_not_cleared() {
        let first =
            merged(&document(vec![]), OWNER, &[listener("sales", "sales/"), listener("costs", "costs/")]).unwrap();
        let first = first.unwrap();
        assert_eq!(ids(cleared(&first, OWNER, &[listener("sales", "elsewhere/")])), [format!("{OWNER}sales")]);
        assert!(cleared(&first, OWNER, &[listener("sales", ""), listener("costs", "")]).is_none());
        let renamed =
            Listener { queue_arn: "arn:aws:sqs:us-east-1:123456789012:new-sales".into(), ..listener("sales", "") };
        assert_eq!(ids(cleared(&first, OWNER, &[renamed, listener("costs", "")])), [format!("{OWNER}costs")]);
    }

    #[test]
    fn an_overlap_is_refused_and_named() {
        let clash = merged(&document(vec![foreign("audit", "sales/2026/")]), OWNER, &[listener("sales", "sales/")]);
        let clash = clash.unwrap_err().message;
        let audit = "`audit` (to arn:aws:sqs:us-east-1:123456789012:theirs) takes `sales/2026/`";
        assert!(clash.contains(audit), "{clash}");
    }

    #[test]
    fn an_overlap_is_seen_through_the_encoding() {
        let audit = foreign("audit", "new sales/2026/");
        assert_eq!(filter::value(audit.filter(), "prefix"), "new+sales/2026/");
        let clash = merged(&document(vec![audit]), OWNER, &[listener("sales", "new sales/")]).unwrap_err().message;
        assert!(clash.contains("takes `new sales/2026/`, which overlaps with `new sales/`"), "{clash}");
    }

    #[test]
    fn a_value_without_encoding_is_written_again() {
        let mut raw = configuration(&listener("sales", "new sales/"));
        let rule = FilterRule::builder().name(FilterRuleName::Prefix).value("new sales/").build();
        let key = S3KeyFilter::builder().filter_rules(rule).build();
        raw.filter = Some(NotificationConfigurationFilter::builder().key(key).build());
        let merged =
            merged(&document(vec![raw]), OWNER, &[listener("sales", "new sales/")]).unwrap().expect("a change");
        assert_eq!(filter::value(merged.queue_configurations()[0].filter(), "prefix"), "new+sales/");
    }

    #[test]
    fn a_notification_of_ours_that_lost_events_gets_them_back() {
        let mut ours = configuration(&listener("sales", "sales/"));
        ours.events = vec![Event::S3ObjectCreatedPut];
        let merged = merged(&document(vec![ours]), OWNER, &[listener("sales", "sales/")]).unwrap().expect("a change");
        assert_eq!(merged.queue_configurations()[0].events(), [Event::S3ObjectCreated]);
    }

    #[test]
    fn a_notification_of_removed_objects_is_no_conflict() {
        let removed =
            QueueConfiguration::builder().id("x").queue_arn("arn").events(Event::S3ObjectRemoved).build().unwrap();
        assert!(merged(&document(vec![removed]), OWNER, &[listener("sales", "sales/")]).is_ok());
    }

    #[test]
    fn a_queue_connected_by_hand_is_left_alone() {
        let sales = [listener("sales", "sales/")];
        assert!(merged(&by_hand(&[ALL_CREATIONS]), OWNER, &sales).unwrap().is_none());
        assert!(merged(&by_hand(&CREATIONS), OWNER, &sales).unwrap().is_none());
    }

    #[test]
    fn a_queue_connected_by_hand_for_some_events_only_is_refused_with_what_is_missing() {
        let refused = |events: &[&str]| {
            let clash = merged(&by_hand(events), OWNER, &[listener("sales", "sales/")]).unwrap_err();
            assert!(clash.hint.contains("s3:ObjectCreated:*"), "{clash:?}");
            clash.message
        };
        let put = refused(&["s3:ObjectCreated:Put"]);
        assert!(put.contains("`by-hand`") && !put.contains("ObjectCreated:Put"), "{put}");
        assert!(
            put.ends_with(
                "`s3:ObjectCreated:Post`, `s3:ObjectCreated:Copy`, `s3:ObjectCreated:CompleteMultipartUpload`"
            )
        );
        assert!(refused(&["s3:ObjectRemoved:*"]).ends_with("without `s3:ObjectCreated:*`"));
        assert!(refused(&CREATIONS[..3]).ends_with("without `s3:ObjectCreated:CompleteMultipartUpload`"));
    }
}
