//! Decides what to write to connect a stack's queues, and in which order, from the current and the desired state. Pure.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use aws_sdk_s3::types::NotificationConfiguration;
use loader_core::config::{LoadConfig, SourceFolder};
use loader_core::contract::CONFIG_PREFIX_DEFAULT;
use serde::Serialize;

use crate::ground::output::{Failure, Out};
use crate::loader::connections::document::{self, Listener};
use crate::loader::connections::filter;

/// The current state.
#[derive(Clone, Debug, Default)]
pub struct Current {
    /// Texts of the configuration files by the queue's name.
    pub configs: BTreeMap<String, Vec<u8>>,
    /// Notification documents of the old and new source buckets.
    pub documents: BTreeMap<String, NotificationConfiguration>,
}

/// The desired state.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Prefix of the ids of the stack's notifications.
    pub owner: String,
    /// Texts of the configuration files by the queue's name.
    pub configs: BTreeMap<String, String>,
    /// Queues to notify, by source bucket.
    pub listeners: BTreeMap<String, Vec<Listener>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Remove the notifications of queues for which this bucket is no longer a source.
    Clear(String),
    Put(String),
    /// Set the notifications of a bucket.
    Notify(String),
    /// Remove a configuration file.
    Forget(String),
}

impl Wanted {
    /// The queues that a bucket should notify.
    pub fn listeners(&self, bucket: &str) -> &[Listener] {
        self.listeners.get(bucket).map_or(&[], Vec::as_slice)
    }

    /// The buckets to look at: the desired ones, and those that the existing files name.
    pub fn buckets(&self, configs: &BTreeMap<String, Vec<u8>>) -> BTreeSet<String> {
        let before = configs.values().filter_map(|text| source(text)).map(|source| source.bucket);
        self.listeners.keys().cloned().chain(before).collect()
    }
}

/// Source in an existing configuration file.
pub fn source(text: &[u8]) -> Option<SourceFolder> {
    let config = LoadConfig::parse(&String::from_utf8_lossy(text)).ok()?;
    config.source.clone()
}

/// Key of a queue's file.
pub fn key(name: &str) -> String {
    format!("{CONFIG_PREFIX_DEFAULT}{name}.json")
}

/// The document to write; `None` if nothing changes. An error if another notification conflicts.
pub fn merged(
    bucket: &str,
    current: &NotificationConfiguration,
    owner: &str,
    listeners: &[Listener],
) -> Result<Option<NotificationConfiguration>> {
    document::merged(current, owner, listeners)
        .map_err(|clash| Failure::new(format!("the bucket `{bucket}` {}", clash.message), clash.hint).into())
}

/// The writes, in order.
///
/// A bucket notifies a queue only while the queue's configuration file names the bucket: its notification is removed before the file is
/// overwritten, and set afterwards. So if a deployment is interrupted between two writes, the next one can find all of its notifications.
pub fn writes(current: &Current, wanted: &Wanted) -> Result<Vec<Write>> {
    let (mut clears, mut notifies) = (Vec::new(), Vec::new());
    for (bucket, document) in &current.documents {
        let listeners = wanted.listeners(bucket);
        let cleared = document::cleared(document, &wanted.owner, listeners);
        if cleared.is_some() {
            clears.push(Write::Clear(bucket.clone()));
        }
        let document = cleared.as_ref().unwrap_or(document);
        if merged(bucket, document, &wanted.owner, listeners)?.is_some() {
            notifies.push(Write::Notify(bucket.clone()));
        }
    }
    let differs =
        |(name, text): &(&String, &String)| current.configs.get(*name).is_none_or(|old| old != text.as_bytes());
    let puts = wanted.configs.iter().filter(differs).map(|(name, _)| Write::Put(name.clone()));
    let forgotten =
        current.configs.keys().filter(|name| !wanted.configs.contains_key(*name)).cloned().map(Write::Forget);
    Ok(clears.into_iter().chain(puts).chain(notifies).chain(forgotten).collect())
}

/// Kind of change, in the words of a change set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Something is new.
    Add,
    /// Something changes.
    Modify,
    /// Something is removed.
    Remove,
}

/// A configuration file in the loader's bucket that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigurationChange {
    pub action: Action,
    pub key: String,
}

/// A notification of a source bucket that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotificationChange {
    pub action: Action,
    /// Id in the bucket's document.
    pub id: String,
    /// The folder: s3://bucket/prefix.
    pub folder: String,
}

/// The changes that CloudFormation does not make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Configuration files.
    pub configurations: Vec<ConfigurationChange>,
    /// Notifications.
    pub notifications: Vec<NotificationChange>,
}

impl Connections {
    /// The changes, for people and for JSON.
    pub fn new(current: &Current, wanted: &Wanted) -> Result<Self> {
        let mut all = Self::default();
        for write in writes(current, wanted)? {
            let (action, name) = match &write {
                Write::Put(name) if current.configs.contains_key(name) => (Action::Modify, name),
                Write::Put(name) => (Action::Add, name),
                Write::Forget(name) => (Action::Remove, name),
                Write::Clear(_) | Write::Notify(_) => continue,
            };
            all.configurations.push(ConfigurationChange { action, key: key(name) });
        }
        for (bucket, document) in &current.documents {
            let merged = merged(bucket, document, &wanted.owner, wanted.listeners(bucket))?;
            if let Some(merged) = merged {
                all.notifications.extend(notification_changes(bucket, document, &merged, &wanted.owner));
            }
        }
        Ok(all)
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.configurations.is_empty() && self.notifications.is_empty()
    }

    /// The list for people.
    pub fn show(&self, out: Out) {
        for change in &self.configurations {
            out.line(line(out, change.action, &change.key, "configuration", ""));
        }
        for change in &self.notifications {
            out.line(line(out, change.action, &change.id, "notification", &change.folder));
        }
    }
}

fn line(out: Out, action: Action, name: &str, kind: &str, detail: &str) -> String {
    let sign = match action {
        Action::Add => out.good("+"),
        Action::Modify => out.attention("~"),
        Action::Remove => out.bad("-"),
    };
    format!("   {sign} {name:<36} {kind}  {}", out.dim(detail)).trim_end().to_owned()
}

fn notification_changes(
    bucket: &str,
    before: &NotificationConfiguration,
    after: &NotificationConfiguration,
    owner: &str,
) -> Vec<NotificationChange> {
    let by_id = |document| -> BTreeMap<String, _> {
        document::ours(document, owner).map(|queue| (queue.id().unwrap_or_default().to_owned(), queue)).collect()
    };
    let (before, after) = (by_id(before), by_id(after));
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |id: &String| {
        let (action, shown) = match (before.get(id), after.get(id)) {
            (None, Some(new)) => (Action::Add, new),
            (Some(old), None) => (Action::Remove, old),
            (Some(old), Some(new)) if old != new => (Action::Modify, new),
            _ => return None,
        };
        let folder = format!("s3://{bucket}/{}", filter::prefix(shown.filter()));
        Some(NotificationChange { action, id: id.clone(), folder })
    };
    ids.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "redshift-loader/shop/";

    /// The name and source of each queue that a folder of configurations defines.
    fn wanted(queues: &[(&str, &str)]) -> Wanted {
        let mut wanted = Wanted { owner: OWNER.into(), configs: BTreeMap::new(), listeners: BTreeMap::new() };
        for (name, source) in queues {
            let text = format!(
                r#"{{"copy": {{"role_arn": "default", "table_name": "t"}}, "cluster": {{"identifier": "c", "db_name": "d"}}, "source": "{source}"}}"#
            );
            let source = SourceFolder::parse(source).unwrap();
            let listener = Listener {
                id: format!("{OWNER}{name}"),
                queue_arn: format!("arn:aws:sqs:us-east-1:123456789012:{name}"),
                prefix: source.prefix,
            };
            wanted.listeners.entry(source.bucket).or_default().push(listener);
            wanted.configs.insert((*name).into(), text);
        }
        wanted
    }

    /// The whole world: the documents of all buckets, whether or not a deployment knows about them.
    #[derive(Clone, Default)]
    struct World {
        configs: BTreeMap<String, Vec<u8>>,
        documents: BTreeMap<String, NotificationConfiguration>,
    }

    impl World {
        fn document(&self, bucket: &str) -> NotificationConfiguration {
            self.documents.get(bucket).cloned().unwrap_or_else(|| NotificationConfiguration::builder().build())
        }

        /// The part that a deployment sees.
        fn seen(&self, wanted: &Wanted) -> Current {
            let buckets = wanted.buckets(&self.configs);
            let documents = buckets.into_iter().map(|bucket| (bucket.clone(), self.document(&bucket))).collect();
            Current { configs: self.configs.clone(), documents }
        }

        /// The first writes of a deployment, until it is interrupted.
        fn deploy(&mut self, wanted: &Wanted, n_writes_max: usize) {
            for write in writes(&self.seen(wanted), wanted).unwrap().into_iter().take(n_writes_max) {
                match write {
                    Write::Clear(bucket) => {
                        let cleared = document::cleared(&self.document(&bucket), OWNER, wanted.listeners(&bucket));
                        self.documents.insert(bucket, cleared.expect("something to clear"));
                    }
                    Write::Notify(bucket) => {
                        let merged = document::merged(&self.document(&bucket), OWNER, wanted.listeners(&bucket));
                        self.documents.insert(bucket, merged.unwrap().expect("something to set"));
                    }
                    Write::Put(name) => {
                        self.configs.insert(name.clone(), wanted.configs[&name].clone().into_bytes());
                    }
                    Write::Forget(name) => drop(self.configs.remove(&name)),
                }
            }
        }

        /// All notifications of the stack: queue and folder.
        fn notifications(&self) -> BTreeSet<(String, String)> {
            let of = |(bucket, document): (&String, &NotificationConfiguration)| {
                let folder = |queue: &aws_sdk_s3::types::QueueConfiguration| {
                    let prefix = filter::prefix(queue.filter());
                    (queue.id().unwrap_or_default().replace(OWNER, ""), format!("s3://{bucket}/{prefix}"))
                };
                document::ours(document, OWNER).map(folder).collect::<Vec<_>>()
            };
            self.documents.iter().flat_map(of).collect()
        }
    }

    #[test]
    fn whatever_ends_a_deployment_the_next_finds_every_notification() {
        let plans: [&[(&str, &str)]; 6] = [
            &[("x", "s3://one/x/"), ("y", "s3://one/y/")],
            &[("x", "s3://two/x/"), ("y", "s3://one/y/")],
            &[("x", "s3://three/x/"), ("y", "s3://one/other/")],
            &[("x", "s3://one/y/"), ("y", "s3://one/x/")],
            &[("y", "s3://two/y/")],
            &[],
        ];
        for first in plans {
            for second in plans {
                for third in plans {
                    for n_writes in 0..8 {
                        let mut world = World::default();
                        world.deploy(&wanted(first), usize::MAX);
                        world.deploy(&wanted(second), n_writes);
                        world.deploy(&wanted(third), usize::MAX);
                        let expected: BTreeSet<(String, String)> =
                            third.iter().map(|(name, folder)| ((*name).into(), (*folder).into())).collect();
                        assert_eq!(world.notifications(), expected, "{first:?} {second:?}/{n_writes} {third:?}");
                        assert!(writes(&world.seen(&wanted(third)), &wanted(third)).unwrap().is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn a_changed_option_is_a_changed_file_and_nothing_else() {
        let before = wanted(&[("x", "s3://one/x/")]);
        let mut world = World::default();
        world.deploy(&before, usize::MAX);
        assert!(Connections::new(&world.seen(&before), &before).unwrap().is_empty());
        let mut after = before.clone();
        after.configs.get_mut("x").unwrap().push('\n');
        let changes = Connections::new(&world.seen(&after), &after).unwrap();
        let key = "rs-loader-config/x.json".to_owned();
        assert_eq!(changes.configurations, [ConfigurationChange { action: Action::Modify, key }]);
        assert_eq!(changes.notifications, []);
    }

    #[test]
    fn moved_new_and_removed_queues_are_distinguished() {
        let mut world = World::default();
        world.deploy(&wanted(&[("gone", "s3://one/gone/"), ("moved", "s3://one/moved/")]), usize::MAX);
        let after = wanted(&[("moved", "s3://two/moved/"), ("new", "s3://one/new/")]);
        let changes = Connections::new(&world.seen(&after), &after).unwrap();
        let files: Vec<(Action, &str)> =
            changes.configurations.iter().map(|change| (change.action, &*change.key)).collect();
        let file = |name: &str| key(name);
        assert_eq!(
            files,
            [(Action::Modify, &*file("moved")), (Action::Add, &*file("new")), (Action::Remove, &*file("gone"))]
        );
        let notifications: Vec<(Action, &str)> =
            changes.notifications.iter().map(|change| (change.action, &*change.folder)).collect();
        assert_eq!(
            notifications,
            [
                (Action::Remove, "s3://one/gone/"),
                (Action::Remove, "s3://one/moved/"),
                (Action::Add, "s3://one/new/"),
                (Action::Add, "s3://two/moved/"),
            ]
        );
    }
}
