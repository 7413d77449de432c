//! `cargo xtask diff`: a dry run without a prefix, which is taken from the deployed stack.

use anyhow::Result;
use clap::Args;
use loader_core::contract::PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT;
use synth::names::Parameter;

use crate::ground::aws::Aws;
use crate::ground::output::{Format, Out};
use crate::ground::stack::Stack;
use crate::loader::deployment::request::{Request, TargetArgs};
use crate::loader::deployment::{self, names, prepared};

/// `cargo xtask diff`
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// First part of every statement name [default: the deployed stack's]
    #[arg(long, value_name = "DB")]
    statement_name_prefix: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    /// Format of the result
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

pub async fn run(args: &DiffArgs) -> Result<()> {
    let out = Out::new(args.output);
    args.statement_name_prefix.as_deref().map_or(Ok(()), names::check_statement_prefix)?;
    let prepared = prepared::prepare(out, &args.target)?;
    let aws = Aws::new(&args.target.aws).await?;
    let deployed = Stack::find(&aws, &args.target.stack_name).await?;
    let deployed = deployed.as_ref().and_then(|stack| stack.parameter(Parameter::StatementNamePrefix));
    let prefix = args.statement_name_prefix.as_deref().or(deployed);
    let request = Request {
        statement_name_prefix: prefix.unwrap_or(PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT).to_owned(),
        target: args.target.clone(),
        agreed: false,
        dry_run: true,
    };
    deployment::apply(out, &aws, &request, &prepared).await.map(drop)
}
