//! The configuration of a deployed queue, and the folders that a command concerns.

use std::sync::Arc;

use anyhow::Result;
use loader_core::config::{LoadConfig, SourceFolder};

use crate::ground::output::Failure;
use crate::loader::connections::configs::Configs;

/// Reads a queue's configuration from the loader's bucket, as the functions do.
pub async fn deployed(configs: &Configs, queue: &str) -> Result<Arc<LoadConfig>> {
    let Some(bytes) = configs.get(queue).await? else {
        let message = format!("the queue `{queue}` is not deployed");
        return Err(
            Failure::usage(message, "cargo xtask queue list shows the queues of the clone; deploy first").into()
        );
    };
    let text = String::from_utf8_lossy(&bytes);
    let config = LoadConfig::parse(&text).map_err(|problems| {
        Failure::new(format!("the configuration of `{queue}` is not valid: {problems}"), "correct it and deploy again")
    })?;
    Ok(config)
}

/// The folders to use: those named on the command line, which must be in the source, or the whole source.
pub fn selected(queue: &str, config: &LoadConfig, named: &[String]) -> Result<Vec<SourceFolder>> {
    let Some(source) = &config.source else {
        let message = format!("the queue `{queue}` has no `source`");
        return Err(Failure::usage(message, "add `source` to its file and deploy: the role may read only that").into());
    };
    if named.is_empty() {
        return Ok(vec![source.clone()]);
    }
    let folder = |text: &String| {
        let folder = SourceFolder::parse(text).map_err(|rule| Failure::usage(rule, "write s3://bucket/folder/"))?;
        if folder.bucket != source.bucket || !folder.prefix.starts_with(&source.prefix) {
            let message = format!("`{text}` is not in the source s3://{}/{}", source.bucket, source.prefix);
            return Err(Failure::usage(message, "name folders of the queue's source").into());
        }
        Ok(folder)
    };
    named.iter().map(folder).collect()
}
