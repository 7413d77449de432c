//! `cargo xtask deploy`: deploys the loader to an account or to this machine, with the same code.

mod by_hand;
pub mod destroy;
pub mod diff;
mod next;
pub mod synth;

use anyhow::Result;
use clap::Args;

use crate::ground::aws::Aws;
use crate::ground::local_stack;
use crate::ground::output::{Format, Out};
use crate::loader::deployment::request::{Request, TargetArgs};
use crate::loader::deployment::{self, names, prepared};
use crate::loader::warehouse::make_local_databases;

/// `cargo xtask deploy`
#[derive(Args, Clone, Debug)]
pub struct DeployArgs {
    /// First part of every statement name: the name of the Redshift database
    #[arg(long, value_name = "DB")]
    statement_name_prefix: String,
    #[command(flatten)]
    target: TargetArgs,
    /// Do not ask for confirmation before replacements and changes of permissions
    #[arg(long, short)]
    yes: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Format of the result
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    /// With --local: start the stack so that it checks signatures and IAM policies, as AWS does
    #[arg(long, requires = "local")]
    auth: bool,
}

pub async fn run(args: &DeployArgs) -> Result<()> {
    let out = Out::new(args.output);
    names::check_statement_prefix(&args.statement_name_prefix)?;
    let prepared = prepared::prepare(out, &args.target)?;
    let aws = if args.target.aws.local {
        Aws::of_stack(local_stack::up(out, args.auth).await?).await?
    } else {
        Aws::new(&args.target.aws).await?
    };
    let request = args.request();
    if let Some(deployed) = deployment::apply(out, &aws, &request, &prepared).await? {
        if aws.local.is_some() {
            make_local_databases(&aws, &prepared.queues).await?;
        }
        next::show_outputs(out, &deployed);
        next::show(out, &aws, &request, &prepared, &deployed);
        out.result(&deployed)?;
    }
    Ok(())
}

impl DeployArgs {
    fn request(&self) -> Request {
        Request {
            statement_name_prefix: self.statement_name_prefix.clone(),
            target: self.target.clone(),
            agreed: self.yes || self.target.aws.local,
            dry_run: self.dry_run,
        }
    }
}
