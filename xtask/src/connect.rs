//! What CloudFormation cannot do for a queue: its configuration file in the loader's bucket, and the notification of a bucket
//! that is not the stack's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use loader_core::config::{LoadConfig, SourceFolder};
use loader_core::contract::CONFIG_PREFIX_DEFAULT;

use crate::assets::{create_bucket, is_missing};
use crate::aws::{Aws, Place, code, failed, failed_head};
use crate::notification::{self, Listener};
use crate::output::{Failure, Out};
use crate::queues::QueueFile;
use crate::stack::Stack;

/// Mark of the configuration files that a deployment wrote: only those does it remove again.
const MARK: &str = "deployed-by";
const MARK_VALUE: &str = "cargo-xtask";

/// Whether every source bucket is there; checked before anything is changed. The local stack gets what it lacks.
pub async fn check_sources(aws: &Aws, out: Out, queues: &[QueueFile]) -> Result<()> {
    let client = aws.s3();
    let mut checked = Vec::new();
    for queue in queues {
        let Some(source) = &queue.config.source else { continue };
        if checked.contains(&source.bucket.as_str()) {
            continue;
        }
        checked.push(&source.bucket);
        match client.head_bucket().bucket(&source.bucket).send().await {
            Ok(found) => check_region(aws, queue, source, found.bucket_region())?,
            Err(error) if is_missing(code(&error)) && aws.local.is_some() => {
                create_bucket(aws, &source.bucket).await?;
                out.line(format!("{} created the source bucket {}", out.good("ok"), source.bucket));
            }
            Err(error) if is_missing(code(&error)) => {
                let message =
                    format!("{}: `source`: there is no bucket `{}`", crate::shell::shown(&queue.path), source.bucket);
                let hint =
                    format!("create it (`aws s3 mb s3://{}`), or correct `source`, or remove the file", source.bucket);
                return Err(Failure::new(message, hint).into());
            }
            Err(error) => {
                let wanted =
                    format!("use the source bucket `{}` of {}", source.bucket, crate::shell::shown(&queue.path));
                return Err(failed_head(wanted, &error));
            }
        }
    }
    Ok(())
}

fn check_region(aws: &Aws, queue: &QueueFile, source: &SourceFolder, region: Option<&str>) -> Result<()> {
    match region {
        Some(region) if region != aws.region && aws.local.is_none() => bail!(
            "{}: `source`: the bucket `{}` is in {region} and the deployment in {}: S3 notifies queues of its own Region only",
            crate::shell::shown(&queue.path),
            source.bucket,
            aws.region
        ),
        _ => Ok(()),
    }
}

/// Connects the queues of a stack, and disconnects those that it has no longer.
pub async fn connect(aws: &Aws, out: Out, stack: &Stack, queues: &[QueueFile]) -> Result<()> {
    let step = out.step("connecting the queues");
    let configs = Configs { client: aws.s3(), bucket: stack.output("LoaderBucketName")?.to_owned() };
    let names: Vec<String> =
        queues.iter().map(|queue| format!("{}{}", stack.queue_name_prefix(), queue.name)).collect();
    let (mut n_written, mut before) = (0, Vec::new());
    for (queue, name) in queues.iter().zip(&names) {
        step.now(&format!("configuration of {name}"));
        let put = configs.put(name, &queue.text).await?;
        n_written += usize::from(put.written);
        before.extend(put.before);
    }
    let gone = configs.forgotten(&names).await?;
    before.extend(gone.iter().filter_map(|(_, config)| config.clone()));
    let place = stack.place()?;
    let names = Names { stack: &stack.name, queue_prefix: stack.queue_name_prefix(), place: &place };
    let mut buckets = names.listeners(queues);
    // A bucket that was a source until now, and is none any more, is told so too.
    for source in before.iter().filter_map(|config| config.source.as_ref()) {
        buckets.entry(source.bucket.clone()).or_default();
    }
    let owner = notification::owner(&stack.name);
    for (bucket, listeners) in &buckets {
        step.now(&format!("notification of {bucket}"));
        n_written += usize::from(notification::set(&configs.client, bucket, &owner, listeners, &step).await?);
    }
    for (name, _) in &gone {
        configs.remove(name).await?;
        step.line(&format!("   disconnected {name}"));
    }
    step.done(match n_written + gone.len() {
        0 => format!("{} queues connected already", queues.len()),
        _ => format!("{} queues connected", queues.len()),
    });
    Ok(())
}

/// Takes the notifications of all queues of a stack away, for example before the queues go.
pub async fn disconnect(aws: &Aws, out: Out, stack: &Stack) -> Result<()> {
    let step = out.step("disconnecting the source buckets");
    let Ok(bucket) = stack.output("LoaderBucketName") else { return Ok(()) };
    let configs = Configs { client: aws.s3(), bucket: bucket.to_owned() };
    let mut n_buckets = 0;
    let mut done: Vec<String> = Vec::new();
    for (_, config) in configs.forgotten(&[]).await? {
        let Some(source) = config.and_then(|config| config.source.clone()) else { continue };
        if done.contains(&source.bucket) {
            continue;
        }
        let written =
            notification::set(&configs.client, &source.bucket, &notification::owner(&stack.name), &[], &step).await?;
        n_buckets += usize::from(written);
        done.push(source.bucket);
    }
    step.done(format!("{n_buckets} source buckets disconnected; other notifications are as they were"));
    Ok(())
}

/// Takes the notification of one queue away; the stack's other queues of the bucket keep theirs.
pub async fn disconnect_queue(
    aws: &Aws,
    out: Out,
    stack: &Stack,
    queue: &QueueFile,
    others: &[QueueFile],
) -> Result<()> {
    let Some(source) = &queue.config.source else { return Ok(()) };
    let step = out.step(format!("disconnecting {}", queue.name));
    let place = stack.place()?;
    let names = Names { stack: &stack.name, queue_prefix: stack.queue_name_prefix(), place: &place };
    let listeners = names.listeners(others).remove(&source.bucket).unwrap_or_default();
    let owner = notification::owner(&stack.name);
    notification::set(&aws.s3(), &source.bucket, &owner, &listeners, &step).await?;
    step.done(format!("s3://{}/{} no longer notifies {}", source.bucket, source.prefix, queue.name));
    Ok(())
}

/// What the names of a stack's queues are made of.
pub struct Names<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// Before the name of each queue.
    pub queue_prefix: &'a str,
    /// Partition, Region and account.
    pub place: &'a Place,
}

impl Names<'_> {
    fn listener(&self, queue: &QueueFile) -> Option<Listener> {
        let source = queue.config.source.as_ref()?;
        Some(Listener {
            id: format!("{}{}", notification::owner(self.stack), queue.name),
            queue_arn: self.place.queue_arn(&format!("{}{}", self.queue_prefix, queue.name)),
            prefix: source.prefix.clone(),
        })
    }

    /// By source bucket.
    fn listeners(&self, queues: &[QueueFile]) -> BTreeMap<String, Vec<Listener>> {
        let mut buckets: BTreeMap<String, Vec<Listener>> = BTreeMap::new();
        for queue in queues {
            let Some(source) = &queue.config.source else { continue };
            buckets.entry(source.bucket.clone()).or_default().extend(self.listener(queue));
        }
        buckets
    }
}

/// Whether the notifications can be set; asked before anything is changed.
pub async fn check_notifications(aws: &Aws, names: &Names<'_>, queues: &[QueueFile]) -> Result<()> {
    for (bucket, listeners) in names.listeners(queues) {
        notification::check(&aws.s3(), &bucket, &notification::owner(names.stack), &listeners).await?;
    }
    Ok(())
}

/// Tables of all configuration files in the loader's bucket, deployed or written by hand.
pub async fn configured_tables(aws: &Aws, stack: &Stack) -> Result<BTreeSet<String>> {
    let configs = Configs { client: aws.s3(), bucket: stack.output("LoaderBucketName")?.to_owned() };
    let mut tables = BTreeSet::new();
    for key in configs.keys().await? {
        let text = configs.get(&key).await?.unwrap_or_default();
        tables.extend(LoadConfig::parse(&String::from_utf8_lossy(&text)).ok().map(|config| config.db_table().0));
    }
    Ok(tables)
}

/// The configuration files in the loader's bucket.
struct Configs {
    client: Client,
    bucket: String,
}

/// What writing a file did.
struct Put {
    written: bool,
    /// What the file said before, where it said something else.
    before: Option<Arc<LoadConfig>>,
}

impl Configs {
    fn key(name: &str) -> String {
        format!("{CONFIG_PREFIX_DEFAULT}{name}.json")
    }

    /// Writes the file where it differs.
    async fn put(&self, name: &str, text: &str) -> Result<Put> {
        let key = Self::key(name);
        let there = self.get(&key).await?;
        if there.as_deref() == Some(text.as_bytes()) {
            return Ok(Put { written: false, before: None });
        }
        let body = ByteStream::from(text.as_bytes().to_vec());
        let request =
            self.client.put_object().bucket(&self.bucket).key(&key).content_type("application/json").body(body);
        let request = request.metadata(MARK, MARK_VALUE);
        request.send().await.map_err(failed(format!("write s3://{}/{key}", self.bucket)))?;
        let before = there.and_then(|text| LoadConfig::parse(&String::from_utf8_lossy(&text)).ok());
        Ok(Put { written: true, before })
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(object) => Ok(Some(object.body.collect().await.context("the object is cut off")?.to_vec())),
            Err(error) if is_missing(code(&error)) => Ok(None),
            Err(error) => Err(failed(format!("read s3://{}/{key}", self.bucket))(error)),
        }
    }

    /// Files that a deployment wrote for queues that are not among `names`.
    async fn forgotten(&self, names: &[String]) -> Result<Vec<(String, Option<Arc<LoadConfig>>)>> {
        let mut found = Vec::new();
        for key in self.keys().await? {
            let name = key.strip_prefix(CONFIG_PREFIX_DEFAULT).and_then(|file| file.strip_suffix(".json"));
            let Some(name) = name.filter(|name| !names.iter().any(|known| known == name)) else { continue };
            if self.is_marked(&key).await? {
                let text = self.get(&key).await?.unwrap_or_default();
                found.push((name.to_owned(), LoadConfig::parse(&String::from_utf8_lossy(&text)).ok()));
            }
        }
        Ok(found)
    }

    async fn keys(&self) -> Result<Vec<String>> {
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(CONFIG_PREFIX_DEFAULT).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed(format!("list s3://{}/{CONFIG_PREFIX_DEFAULT}", self.bucket)))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
        }
        Ok(keys)
    }

    async fn is_marked(&self, key: &str) -> Result<bool> {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        let head = request.send().await.map_err(failed(format!("look at s3://{}/{key}", self.bucket)))?;
        Ok(head.metadata().and_then(|metadata| metadata.get(MARK)).is_some_and(|mark| mark == MARK_VALUE))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let request = self.client.delete_object().bucket(&self.bucket).key(Self::key(name));
        request.send().await.map_err(failed(format!("remove the configuration of `{name}`")))?;
        Ok(())
    }
}
