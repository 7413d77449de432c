//! The JSONPaths files that COPY options name. They are part of the configuration, and cached for the same time.

use std::collections::HashMap;
use std::sync::Arc;

use loader_core::copy_options::JsonPaths;
use loader_core::json_keys::{PATHS_BYTES_MAX, paths};
use loader_core::tracker::item::Millis;
use loader_reconcile::ports::Surroundings;
use tokio::sync::Mutex;

use crate::s3::PART_MAX;
use crate::{Aws, errors};

/// The paths of a file, or why they are not available.
type Read = Result<Arc<[String]>, String>;

/// The files by their URLs, with the times when they were read. A read holds the lock, so that each file is read only once.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<String, (Millis, Read)>>);

impl Aws {
    /// The paths of a JSONPaths file.
    pub(crate) async fn json_paths(&self, place: &JsonPaths) -> Read {
        let url = format!("s3://{}/{}", place.bucket, place.key);
        let mut cached = self.json_paths.0.lock().await;
        let not_before = self.now() - self.settings.config_cache_millis;
        if let Some((_, read)) = cached.get(&url).filter(|(at, _)| *at > not_before) {
            return read.clone();
        }
        let read = tokio::time::timeout(PART_MAX, self.read_paths(place)).await;
        let read = read
            .unwrap_or_else(|_| Err("it did not arrive in time".to_owned()))
            .map_err(|error| format!("JSONPaths file {url}: {error}"));
        cached.insert(url, (self.now(), read.clone()));
        read
    }

    async fn read_paths(&self, JsonPaths { bucket, key }: &JsonPaths) -> Read {
        let range = format!("bytes=0-{}", PATHS_BYTES_MAX - 1);
        let answer = self.s3.get_object().bucket(bucket).key(key).range(range).send().await;
        let answer = answer.map_err(|error| errors::sort("s3:GetObject", &error).to_string())?;
        let content = answer.body.collect().await.map_err(|error| error.to_string())?;
        paths(&content.into_bytes()).map(Arc::from).map_err(|error| error.to_string())
    }
}
