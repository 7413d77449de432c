//! What CloudFormation cannot do for a queue: upload its configuration file to the loader's bucket, and set the notification of a bucket
//! that does not belong to the stack.

pub mod configs;
pub mod disconnect;
mod document;
mod filter;
pub mod names;
mod notification;
pub mod plan;
pub mod sources;

use std::collections::BTreeMap;

use anyhow::Result;
use synth::QueueFile;

use crate::ground::aws::Aws;
use crate::ground::output::{Out, Step, counted};
use crate::ground::stack::Stack;
use crate::loader::connections::configs::Configs;
use crate::loader::connections::names::Names;
use crate::loader::connections::plan::{Connections, Current, Wanted, Write};

/// What connecting the queues would change. Only reads. An error if another notification conflicts.
pub async fn plan(aws: &Aws, names: &Names<'_>, queues: &[QueueFile]) -> Result<Connections> {
    let stack = Stack::find(aws, names.stack).await?;
    let configs = stack.as_ref().and_then(|stack| Configs::of_stack(aws, stack).ok());
    let wanted = names.wanted(queues);
    Connections::new(&read_current(aws, configs.as_ref(), &wanted).await?, &wanted)
}

/// Connects the queues of a stack, and disconnects those that it no longer has. Returns the changes.
pub async fn connect(aws: &Aws, out: Out, stack: &Stack, queues: &[QueueFile]) -> Result<Connections> {
    let step = out.step("connecting the queues");
    let configs = Configs::of_stack(aws, stack)?;
    let place = stack.place()?;
    let names = Names { stack: &stack.name, queue_prefix: stack.queue_name_prefix(), place: &place };
    let wanted = names.wanted(queues);
    let current = read_current(aws, Some(&configs), &wanted).await?;
    let changes = Connections::new(&current, &wanted)?;
    for write in plan::writes(&current, &wanted)? {
        perform(&configs, &wanted, &write, &step).await?;
    }
    let how = if changes.is_empty() { "already connected: " } else { "connected " };
    step.done(format!("{how}{}", counted(queues.len(), "queue")));
    Ok(changes)
}

async fn read_current(aws: &Aws, configs: Option<&Configs>, wanted: &Wanted) -> Result<Current> {
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
    Ok(Current { configs, documents })
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

/// Removes the notifications of all queues of a stack, for example before the queues are deleted.
pub async fn disconnect(aws: &Aws, out: Out, stack: &Stack) -> Result<()> {
    let step = out.step("disconnecting the source buckets");
    let Ok(configs) = Configs::of_stack(aws, stack) else { return Ok(()) };
    let nothing = Wanted { owner: document::owner(&stack.name), configs: BTreeMap::new(), listeners: BTreeMap::new() };
    let mut n_buckets = 0;
    for bucket in nothing.buckets(&configs.of(&[]).await?) {
        n_buckets += usize::from(notification::clear(&configs.client, &bucket, &nothing.owner, &[], &step).await?);
    }
    step.done(format!("{n_buckets} source buckets disconnected; other notifications are as they were"));
    Ok(())
}
