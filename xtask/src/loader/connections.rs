//! What CloudFormation cannot do for a queue: its configuration file in the loader's bucket, and the notification of a bucket
//! that is not the stack's own.

mod configs;
mod document;
mod filter;
mod notification;
pub mod plan;
mod remove;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use loader_core::config::{LoadConfig, SourceFolder};

use crate::ground::aws::{Aws, Place, code, failed_head};
use crate::ground::buckets::{create_bucket, is_missing};
use crate::ground::output::{Failure, Out, Step};
use crate::ground::stack::Stack;
use crate::loader::connections::document::Listener;
use crate::loader::queues::QueueFile;

use configs::Configs;
use plan::{Connections, There, Wanted, Write};
pub use remove::disconnect_queue;

/// The stack's output that names the bucket of the configuration files.
const LOADER_BUCKET: &str = "LoaderBucketName";

/// Whether every source bucket is there; checked before anything is changed. The local stack gets what it lacks, unless nothing
/// may be changed.
pub async fn check_sources(aws: &Aws, out: Out, queues: &[QueueFile], dry_run: bool) -> Result<()> {
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
            Err(error) if is_missing(code(&error)) && aws.local.is_some() && dry_run => {
                out.line(format!("   the source bucket {} will be created", source.bucket));
            }
            Err(error) if is_missing(code(&error)) && aws.local.is_some() => {
                create_bucket(aws, &source.bucket).await?;
                out.line(format!("{} created the source bucket {}", out.good("ok"), source.bucket));
            }
            Err(error) if is_missing(code(&error)) => {
                let message = format!(
                    "{}: `source`: there is no bucket `{}`",
                    crate::ground::shell::shown(&queue.path),
                    source.bucket
                );
                let hint =
                    format!("create it (`aws s3 mb s3://{}`), or correct `source`, or remove the file", source.bucket);
                return Err(Failure::new(message, hint).into());
            }
            Err(error) => {
                let wanted = format!(
                    "use the source bucket `{}` of {}",
                    source.bucket,
                    crate::ground::shell::shown(&queue.path)
                );
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
            crate::ground::shell::shown(&queue.path),
            source.bucket,
            aws.region
        ),
        _ => Ok(()),
    }
}

/// What connecting the queues would change. Reads only; a notification that stands in the way is an error.
pub async fn plan(aws: &Aws, names: &Names<'_>, queues: &[QueueFile]) -> Result<Connections> {
    let stack = Stack::find(aws, names.stack).await?;
    let configs = stack.as_ref().and_then(|stack| loader_bucket(aws, stack));
    let wanted = names.wanted(queues);
    Connections::new(&there(aws, configs.as_ref(), &wanted).await?, &wanted)
}

/// Connects the queues of a stack, and disconnects those that it has no longer; the answer is what changed.
pub async fn connect(aws: &Aws, out: Out, stack: &Stack, queues: &[QueueFile]) -> Result<Connections> {
    let step = out.step("connecting the queues");
    let configs = Configs { client: aws.s3(), bucket: stack.output(LOADER_BUCKET)?.to_owned() };
    let place = stack.place()?;
    let names = Names { stack: &stack.name, queue_prefix: stack.queue_name_prefix(), place: &place };
    let wanted = names.wanted(queues);
    let there = there(aws, Some(&configs), &wanted).await?;
    let changes = Connections::new(&there, &wanted)?;
    for write in plan::writes(&there, &wanted)? {
        perform(&configs, &wanted, &write, &step).await?;
    }
    let already = if changes.is_empty() { " already" } else { "" };
    step.done(format!("{} queues connected{already}", queues.len()));
    Ok(changes)
}

async fn there(aws: &Aws, configs: Option<&Configs>, wanted: &Wanted) -> Result<There> {
    let names: Vec<&str> = wanted.configs.keys().map(String::as_str).collect();
    let configs = match configs {
        Some(configs) => configs.of(&names).await?,
        None => BTreeMap::new(),
    };
    let mut documents = BTreeMap::new();
    for bucket in wanted.buckets(&configs) {
        let document = notification::read(&aws.s3(), &bucket).await?;
        documents.insert(bucket, document);
    }
    Ok(There { configs, documents })
}

async fn perform(configs: &Configs, wanted: &Wanted, write: &Write, step: &Step) -> Result<()> {
    let (client, owner) = (&configs.client, &wanted.owner);
    match write {
        Write::Clear(bucket) => {
            step.now(&format!("old notifications of {bucket}"));
            notification::clear(client, bucket, owner, wanted.listeners(bucket), step).await?;
        }
        Write::Put(name) => {
            step.now(&format!("configuration of {name}"));
            configs.put(name, &wanted.configs[name]).await?;
        }
        Write::Notify(bucket) => {
            step.now(&format!("notification of {bucket}"));
            notification::set(client, bucket, owner, wanted.listeners(bucket), step).await?;
        }
        Write::Forget(name) => {
            configs.remove(name).await?;
            step.line(&format!("   disconnected {name}"));
        }
    }
    Ok(())
}

/// Takes the notifications of all queues of a stack away, for example before the queues go.
pub async fn disconnect(aws: &Aws, out: Out, stack: &Stack) -> Result<()> {
    let step = out.step("disconnecting the source buckets");
    let Some(configs) = loader_bucket(aws, stack) else { return Ok(()) };
    let nothing = Wanted { owner: document::owner(&stack.name), configs: BTreeMap::new(), listeners: BTreeMap::new() };
    let mut n_buckets = 0;
    for bucket in nothing.buckets(&configs.of(&[]).await?) {
        n_buckets += usize::from(notification::clear(&configs.client, &bucket, &nothing.owner, &[], &step).await?);
    }
    step.done(format!("{n_buckets} source buckets disconnected; other notifications are as they were"));
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
    fn wanted(&self, queues: &[QueueFile]) -> Wanted {
        let owner = document::owner(self.stack);
        let mut wanted = Wanted { owner, configs: BTreeMap::new(), listeners: BTreeMap::new() };
        for queue in queues {
            let name = format!("{}{}", self.queue_prefix, queue.name);
            if let Some(source) = &queue.config.source {
                let listener = Listener {
                    id: format!("{}{}", wanted.owner, queue.name),
                    queue_arn: self.place.queue_arn(&name),
                    prefix: source.prefix.clone(),
                };
                wanted.listeners.entry(source.bucket.clone()).or_default().push(listener);
            }
            wanted.configs.insert(name, queue.text.clone());
        }
        wanted
    }
}

/// The configuration files of a stack; nothing where the stack has no bucket yet.
fn loader_bucket(aws: &Aws, stack: &Stack) -> Option<Configs> {
    let bucket = stack.output(LOADER_BUCKET).ok()?.to_owned();
    Some(Configs { client: aws.s3(), bucket })
}

/// Tables of all configuration files in the loader's bucket, deployed or written by hand.
pub async fn configured_tables(aws: &Aws, stack: &Stack) -> Result<BTreeSet<String>> {
    let configs = Configs { client: aws.s3(), bucket: stack.output(LOADER_BUCKET)?.to_owned() };
    let mut tables = BTreeSet::new();
    for key in configs.keys().await? {
        let text = configs.get(&key).await?.unwrap_or_default();
        tables.extend(LoadConfig::parse(&String::from_utf8_lossy(&text)).ok().map(|config| config.db_table().0));
    }
    Ok(tables)
}
