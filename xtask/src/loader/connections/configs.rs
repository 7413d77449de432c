//! The configuration files in the loader's bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::EncodingType;
use loader_aws::list::key_of;
use loader_core::config::LoadConfig;
use loader_core::contract::CONFIG_PREFIX_DEFAULT;
use loader_core::problem::Problems;
use synth::names::Output;

use crate::ground::aws::{Aws, code, failed};
use crate::ground::buckets::is_missing;
use crate::ground::stack::Stack;
use crate::loader::connections::plan::key;

/// Mark of configuration files that were written by a deployment: only those may be removed by one.
const MARK: &str = "deployed-by";
const MARK_VALUE: &str = "cargo-xtask";

/// The configuration files in the loader's bucket.
pub struct Configs {
    pub client: Client,
    /// The loader's bucket.
    pub bucket: String,
}

impl Configs {
    /// Fails if the stack has no bucket yet.
    pub fn of_stack(aws: &Aws, stack: &Stack) -> Result<Self> {
        Ok(Self { client: aws.s3(), bucket: stack.output(Output::LoaderBucketName)?.to_owned() })
    }

    /// Tables of all files, whether written by a deployment or by hand.
    pub async fn tables(&self) -> Result<BTreeSet<String>> {
        let read = self.read().await?;
        Ok(read.into_values().filter_map(|config| Some(config.ok()?.db_table().0)).collect())
    }

    /// Every file by the queue's name, as the functions read it, whether written by a deployment or by hand.
    pub async fn read(&self) -> Result<BTreeMap<String, Result<Arc<LoadConfig>, Problems>>> {
        let mut found = BTreeMap::new();
        for name in self.names().await? {
            let text = self.get(&name).await?.unwrap_or_default();
            found.insert(name, LoadConfig::parse(&String::from_utf8_lossy(&text)));
        }
        Ok(found)
    }

    /// The files of these queues, and those that a deployment wrote for other queues, by the queue's name.
    pub async fn of(&self, names: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut found = BTreeMap::new();
        for name in self.names().await? {
            if names.contains(&name.as_str()) || self.is_marked(&name).await? {
                let text = self.get(&name).await?.unwrap_or_default();
                found.insert(name, text);
            }
        }
        Ok(found)
    }

    /// Writes a queue's file.
    pub async fn put(&self, name: &str, text: &str) -> Result<()> {
        let key = key(name);
        let body = ByteStream::from(text.as_bytes().to_vec());
        let request =
            self.client.put_object().bucket(&self.bucket).key(&key).content_type("application/json").body(body);
        let request = request.metadata(MARK, MARK_VALUE);
        request.send().await.map_err(failed(format!("write s3://{}/{key}", self.bucket)))?;
        Ok(())
    }

    /// The content of a queue's file; `None` if it does not exist.
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let key = key(name);
        match self.client.get_object().bucket(&self.bucket).key(&key).send().await {
            Ok(object) => Ok(Some(
                object.body.collect().await.with_context(|| format!("s3://{}/{key} breaks off", self.bucket))?.to_vec(),
            )),
            Err(error) if is_missing(code(&error)) => Ok(None),
            Err(error) => Err(failed(format!("read s3://{}/{key}", self.bucket))(error)),
        }
    }

    /// Names of the queues that have a file.
    async fn names(&self) -> Result<Vec<String>> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(CONFIG_PREFIX_DEFAULT);
        let mut pages = request.encoding_type(EncodingType::Url).into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed(format!("list s3://{}/{CONFIG_PREFIX_DEFAULT}", self.bucket)))?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                let key = key_of(page.encoding_type(), key).map_err(anyhow::Error::msg)?;
                let file = key.strip_prefix(CONFIG_PREFIX_DEFAULT).and_then(|file| file.strip_suffix(".json"));
                names.extend(file.map(str::to_owned));
            }
        }
        Ok(names)
    }

    async fn is_marked(&self, name: &str) -> Result<bool> {
        let key = key(name);
        let request = self.client.head_object().bucket(&self.bucket).key(&key);
        let head = request.send().await.map_err(failed(format!("look at s3://{}/{key}", self.bucket)))?;
        Ok(head.metadata().and_then(|metadata| metadata.get(MARK)).is_some_and(|mark| mark == MARK_VALUE))
    }

    /// Removes a queue's file.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key(name));
        request.send().await.map_err(failed(format!("remove the configuration of `{name}`")))?;
        Ok(())
    }
}
