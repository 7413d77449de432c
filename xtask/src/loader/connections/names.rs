//! What the names of a stack's queues consist of, and what connecting these queues requires.

use std::collections::BTreeMap;

use serde_json::Value;
use synth::QueueFile;

use crate::ground::aws::Place;
use crate::loader::connections::document::{self, Listener};
use crate::loader::connections::plan::Wanted;

/// The parts of the names of a stack's queues.
pub struct Names<'a> {
    pub stack: &'a str,
    /// Prefix of each queue's name.
    pub queue_prefix: &'a str,
    /// Partition, Region and account.
    pub place: &'a Place,
}

impl Names<'_> {
    /// The configuration files and notifications for these queues.
    pub fn wanted(&self, queues: &[QueueFile]) -> Wanted {
        let owner = document::owner(self.stack);
        let mut wanted = Wanted { owner, configs: BTreeMap::new(), listeners: BTreeMap::new() };
        for queue in queues {
            let name = format!("{}{}", self.queue_prefix, queue.name);
            if let Some(source) = queue.config.source.as_ref().filter(|_| queue.config.fed_by.is_none()) {
                let listener = Listener {
                    id: format!("{}{}", wanted.owner, queue.name),
                    queue_arn: self.place.queue_arn(&name),
                    prefix: source.prefix.clone(),
                };
                wanted.listeners.entry(source.bucket.clone()).or_default().push(listener);
            }
            wanted.configs.insert(name, self.deployed(queue, queues));
        }
        wanted
    }

    /// A queue's file as uploaded, including the other tables that it feeds, which only their own files name.
    fn deployed(&self, queue: &QueueFile, queues: &[QueueFile]) -> String {
        let is_fed = |other: &&QueueFile| other.config.fed_by.as_deref() == Some(&queue.name);
        let fed = queues.iter().filter(is_fed).map(|other| format!("{}{}", self.queue_prefix, other.name));
        let fed: Vec<String> = fed.collect();
        match serde_json::from_str::<Value>(&queue.text) {
            Ok(mut file) if !fed.is_empty() => {
                file["feeds"] = fed.into();
                format!("{file:#}\n")
            }
            _ => queue.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(name: &str, more: &str) -> QueueFile {
        let copy =
            r#""copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "c", "db_name": "d"}"#;
        let path = format!("{name}.json");
        synth::queues::parse(Path::new(&path), format!("{{{copy}, {more}}}")).unwrap()
    }

    #[test]
    fn the_configuration_of_a_queue_names_the_tables_that_it_feeds_and_only_that_queue_is_notified() {
        let queues = [
            file("sales", r#""source": "s3://bucket/sales/""#),
            file("big", r#""source": "s3://bucket/sales/big/", "queue": "sales""#),
        ];
        let place = Place::of_arn("arn:aws:cloudformation:eu-central-1:123456789012:stack/s/1").unwrap();
        let wanted = Names { stack: "s", queue_prefix: "prod-", place: &place }.wanted(&queues);
        let sales: Value = serde_json::from_str(&wanted.configs["prod-sales"]).unwrap();
        assert_eq!(sales["feeds"], serde_json::json!(["prod-big"]));
        assert_eq!(wanted.configs["prod-big"], queues[1].text);
        let notified: Vec<&str> = wanted.listeners("bucket").iter().map(|listener| listener.prefix.as_str()).collect();
        assert_eq!(notified, ["sales/"]);
    }
}
