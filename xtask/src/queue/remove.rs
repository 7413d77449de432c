//! `cargo xtask queue remove`: removes a queue's notification, and then its file.

use anyhow::Result;
use clap::Args;
use synth::{QueueFile, workspace};

use crate::ground::aws::Aws;
use crate::ground::output::{Failure, Format, Out};
use crate::ground::stack_args::StackSelection;
use crate::loader::connections::disconnect;
use crate::loader::queues;

/// `cargo xtask queue remove`
#[derive(Args, Debug)]
pub struct RemoveArgs {
    /// Name of the queue
    name: String,
    #[command(flatten)]
    stack: StackSelection,
}

pub async fn run(queues: &[QueueFile], args: &RemoveArgs) -> Result<()> {
    let out = Out::new(Format::Text);
    let queue = queues::find(queues, &args.name)?;
    if let Some(fed) = queues.iter().find(|other| other.config.fed_by.as_deref() == Some(&queue.name)) {
        let message = format!("`{}` feeds the table of `{}` too", queue.name, fed.name);
        let hint = format!("remove that first (cargo xtask queue remove {}), or give it a queue of its own", fed.name);
        return Err(Failure::usage(message, hint).into());
    }
    let aws = Aws::new(&args.stack.aws).await?;
    let was_deployed = disconnect::disconnect_queue(&aws, out, &args.stack.stack_name, queue).await?;
    std::fs::remove_file(&queue.path)?;
    out.ok(format!("removed {}", workspace::shown(&queue.path)));
    if was_deployed {
        out.line("   next: when the queue is empty, cargo xtask deploy removes it; the tracker keeps what was loaded");
    }
    Ok(())
}
