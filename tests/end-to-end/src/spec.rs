//! What a test wants: a queue, its configuration, and how it is connected.

use std::sync::Arc;

use loader_core::config::LoadConfig;
use serde_json::{Value, json};

/// Bucket that all source files are dropped into; each queue has a folder of its name.
pub const SOURCE_BUCKET: &str = "end-to-end-files";
/// Cluster of a specification that names none.
pub const CLUSTER: &str = "analytics";
/// Database of a specification that names none.
pub const DATABASE: &str = "dev";

/// A queue and how its files are loaded. The table is named like the queue.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name of the queue, of the source folder, and of the table in schema `public`.
    pub name: String,
    /// The queue's configuration file.
    pub config: Value,
    /// Visibility timeout instead of the template's, for tests in which messages come again.
    pub visibility_seconds: Option<u32>,
    /// Whether the source bucket tells the queue about new files.
    pub is_notified: bool,
    /// Whether the configuration file is uploaded.
    pub is_configured: bool,
}

impl Spec {
    /// CSV files whose rows are appended.
    pub fn append(name: &str) -> Self {
        let config = json!({
            "source": format!("s3://{SOURCE_BUCKET}/{name}/"),
            "copy": {"table_name": format!("public.{name}"), "options": "CSV", "role_arn": "default"},
            "cluster": {"identifier": CLUSTER, "db_name": DATABASE},
        });
        Self { name: name.to_owned(), config, visibility_seconds: None, is_notified: true, is_configured: true }
    }

    /// CSV files whose rows replace older rows with the same `id`, by the timestamp `at`.
    pub fn merge(name: &str) -> Self {
        let options = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
        Self::append(name).with("options", options)
    }

    /// The same with another part of the configuration file, e.g. `copy.options`.
    #[must_use]
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.config;
        for name in path.split('.') {
            place = &mut place[name];
        }
        *place = value.into();
        self
    }

    /// The same with a visibility timeout as short as this.
    #[must_use]
    pub fn visible_after(mut self, seconds: u32) -> Self {
        self.visibility_seconds = Some(seconds);
        self
    }

    /// The same without S3 notifications: the test sends the messages.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.is_notified = false;
        self
    }

    /// The same without its configuration file.
    #[must_use]
    pub fn unconfigured(mut self) -> Self {
        self.is_configured = false;
        self
    }

    /// The configuration as the loader reads it.
    pub fn parsed(&self) -> Arc<LoadConfig> {
        LoadConfig::from_value(&self.config).unwrap_or_else(|problems| panic!("{}: {problems}", self.name))
    }
}
