//! `cargo xtask local`: starts, stops and finds the local stack.

use anyhow::Result;
use clap::{Args, Subcommand};
use local_client::StackInfo;
use synth::workspace;

use crate::ground::aws::Aws;
use crate::ground::output::{Format, Out};
use crate::ground::{local_stack, running};
use crate::loader::queues;
use crate::loader::warehouse::{local_databases, make_local_databases};

/// `cargo xtask local`
#[derive(Args, Debug)]
pub struct LocalArgs {
    #[command(subcommand)]
    command: LocalCommand,
}

#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Start the stack; it keeps running
    Up {
        /// Check signatures and IAM policies, as AWS does
        #[arg(long)]
        auth: bool,
    },
    /// Stop the stack and all its processes
    Down,
    /// Print its endpoints
    Status {
        /// Format of the result
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
}

pub async fn run(args: &LocalArgs) -> Result<()> {
    match &args.command {
        LocalCommand::Up { auth } => {
            let out = Out::new(Format::Text);
            let stack = local_stack::up(out, *auth).await?;
            make_databases(out, &stack).await;
            describe(out, &stack);
        }
        LocalCommand::Down => local_stack::down(Out::new(Format::Text)).await?,
        LocalCommand::Status { output } => {
            let out = Out::new(*output);
            let stack = running::stack()?;
            describe(out, &stack);
            out.result(&stack)?;
        }
    }
    Ok(())
}

/// Creates the databases, so that the printed commands work at once. If it fails, the first statement creates them.
async fn make_databases(out: Out, stack: &StackInfo) {
    let queues = queues::read(&queues::folder(None)).unwrap_or_default();
    let made = match Aws::of_stack(stack.clone()).await {
        Ok(aws) => make_local_databases(&aws, &queues).await,
        Err(error) => Err(error),
    };
    if let Err(error) = made {
        out.note(format!("the first statement will create the databases: {error:#}"));
    }
}

fn describe(out: Out, stack: &StackInfo) {
    out.line(format!("   endpoint   {}", stack.endpoint));
    let mut databases = local_databases(&queues::read(&queues::folder(None)).unwrap_or_default());
    if databases.is_empty() {
        databases.insert("CLUSTER.DATABASE".to_owned());
    }
    for database in databases {
        out.line(format!("   warehouse  {}", stack.psql(&database)));
    }
    out.line(format!("   aws        {} aws s3 ls", stack.environment()));
    out.line(format!("   logs       {}", workspace::shown(&stack.log_dir)));
}
