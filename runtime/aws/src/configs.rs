//! The queue configurations in S3, cached for the time that the settings allow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::operation::get_object::GetObjectError;
use loader_core::config::LoadConfig;
use loader_core::tracker::item::Millis;
use loader_reconcile::ports::{ConfigError, Configs, Surroundings};

use crate::{Aws, errors};

/// Configurations cached in this execution environment, with the times when they were read.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<String, (Millis, Arc<LoadConfig>)>>);

impl Cache {
    fn fresh(&self, queue: &str, not_before: Millis) -> Option<Arc<LoadConfig>> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.get(queue).filter(|(read, _)| *read > not_before).map(|(_, config)| config.clone())
    }

    fn keep(&self, queue: &str, now: Millis, config: Arc<LoadConfig>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned(), (now, config));
    }
}

impl Configs for Aws {
    async fn queue(&self, queue: &str) -> Result<Arc<LoadConfig>, ConfigError> {
        let now = self.now();
        if let Some(config) = self.configs.fresh(queue, now - self.settings.config_cache_millis) {
            return Ok(config);
        }
        let bucket = &self.settings.config_bucket;
        let key = format!("{}{queue}.json", self.settings.config_prefix);
        let url = format!("s3://{bucket}/{key}");
        let text = self.read_text(bucket, &key).await.map_err(ConfigError::Port)?;
        let text = text.ok_or_else(|| ConfigError::Missing(url.clone()))?;
        let config = LoadConfig::parse(&text).map_err(|problems| ConfigError::Invalid(url, problems))?;
        self.configs.keep(queue, now, config.clone());
        Ok(config)
    }
}

impl Aws {
    async fn read_text(&self, bucket: &str, key: &str) -> Result<Option<String>, loader_reconcile::ports::PortError> {
        const OPERATION: &str = "s3:GetObject";
        let object = match self.s3.get_object().bucket(bucket).key(key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(errors::sort(OPERATION, &error)),
        };
        let bytes = object.body.collect().await.map_err(|error| errors::lost(OPERATION, error.to_string()))?;
        Ok(Some(String::from_utf8_lossy(&bytes.into_bytes()).into_owned()))
    }
}
