//! `cargo xtask deploy`: from a clone to a loading table, in an account or on this machine, by the same code.
//!
//! Checks first, then builds, uploads, shows what would change, asks, changes, connects. Every step can be repeated.

pub mod assets;
pub mod by_hand;
mod change_set;
mod consent;
mod difference;
mod names;
mod next;
mod obstacle;
mod parameters;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use loader_core::contract::{PARAMETER_STATEMENT_NAME_PREFIX, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT};
use serde::Serialize;

use crate::ground::aws::{Aws, AwsArgs};
use crate::ground::local_stack;
use crate::ground::output::{Failure, Format, Out};
use crate::ground::stack::{self, Follower, STACK_NAME_DEFAULT, Stack};
use crate::loader::connections::{self, Names};
use crate::loader::deployment::assets::AssetsBucket;
use crate::loader::deployment::change_set::{ChangeSet, TemplateSource};
use crate::loader::deployment::difference::Difference;
use crate::loader::deployment::parameters::Ours;
use crate::loader::functions::{self, Arch, Asset, Profile, Runs, Wanted};
use crate::loader::queues::{self, QueueFile};
use crate::loader::template;

/// Longest template inside a request (CloudFormation, quotas).
const TEMPLATE_BODY_BYTES_MAX: usize = 51_200;

/// `cargo xtask deploy`
#[derive(Args, Clone, Debug)]
pub struct DeployArgs {
    /// First part of every statement name: the name of the Redshift database
    #[arg(long, value_name = "DB")]
    pub statement_name_prefix: String,
    /// What is deployed, and where to
    #[command(flatten)]
    pub target: TargetArgs,
    /// Do not ask before replacements and changes of permissions
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
    /// With --local: start the stack so that it checks signatures and IAM policies, as AWS does
    #[arg(long, requires = "local")]
    pub auth: bool,
}

/// What is deployed, and where to; the same for `deploy` and `diff`.
#[derive(Args, Clone, Debug)]
pub struct TargetArgs {
    /// Folder of the queue configurations [default: queues]
    #[arg(long, value_name = "DIR")]
    pub queues: Option<PathBuf>,
    /// Name of the CloudFormation stack; several can stand side by side
    #[arg(long, default_value = STACK_NAME_DEFAULT, value_name = "NAME")]
    pub stack_name: String,
    /// Before the name of each queue [default: as deployed; at first none for the default stack name, else `<stack name>-`]
    #[arg(long, value_name = "PREFIX")]
    pub queue_name_prefix: Option<String>,
    /// Bucket of the functions' zips [default: rs-loader-assets-<account>-<region>]
    #[arg(long, value_name = "BUCKET")]
    pub assets_bucket: Option<String>,
    /// Processor that the functions run on [default: x86_64; with --local this machine's]
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
    /// Cargo profile of the functions: `dev` builds faster and runs slower
    #[arg(long, value_enum, default_value_t)]
    pub build_profile: Profile,
    /// Memory of each function in MB, with every deployment; processor time comes with it [default: 512]
    #[arg(long, value_name = "MB")]
    pub memory: Option<u32>,
    /// Where to
    #[command(flatten)]
    pub aws: AwsArgs,
}

impl TargetArgs {
    /// Processor of the functions.
    pub fn arch(&self) -> Arch {
        self.arch.unwrap_or(if self.aws.local { Arch::of_this_machine() } else { Arch::X86_64 })
    }

    fn wanted(&self) -> Wanted {
        let runs = if self.aws.local { Runs::Here } else { Runs::InLambda };
        Wanted { arch: self.arch(), profile: self.build_profile, runs }
    }
}

/// What is ready to be deployed: everything that needs no AWS.
#[derive(Debug)]
pub struct Prepared {
    /// The queue configurations.
    pub queues: Vec<QueueFile>,
    template: String,
    /// The functions' zips.
    pub assets: Vec<Asset>,
}

impl Prepared {
    /// Whether the template in cfn-out is this one.
    pub fn is_in_cfn_out(&self) -> bool {
        std::fs::read_to_string(template::path()).is_ok_and(|text| text == self.template)
    }
}

/// What a deployment did.
#[derive(Debug, Serialize)]
pub struct Deployed {
    /// Name of the stack.
    pub stack_name: String,
    /// Its ARN.
    pub stack_id: String,
    /// What changed.
    #[serde(flatten)]
    pub difference: Difference,
    /// Its outputs.
    pub outputs: std::collections::BTreeMap<String, String>,
}

/// Runs the command.
pub async fn run(args: &DeployArgs) -> Result<()> {
    let out = Out::new(args.output);
    names::check_statement_prefix(&args.statement_name_prefix)?;
    let prepared = prepare(out, &args.target)?;
    let aws = if args.target.aws.local {
        Aws::of_stack(local_stack::up(out, args.auth).await?).await?
    } else {
        Aws::new(&args.target.aws).await?
    };
    if let Some(deployed) = apply(out, &aws, args, &prepared).await? {
        next::show_outputs(out, &deployed);
        next::show(out, &aws, args, &prepared);
        out.result(&deployed)?;
    }
    Ok(())
}

/// `cargo xtask diff`: a dry run that needs no prefix, because the deployed stack has one.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// First part of every statement name [default: the deployed stack's]
    #[arg(long, value_name = "DB")]
    statement_name_prefix: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// Runs `diff`.
pub async fn diff(args: &DiffArgs) -> Result<()> {
    let out = Out::new(args.output);
    args.statement_name_prefix.as_deref().map_or(Ok(()), names::check_statement_prefix)?;
    let prepared = prepare(out, &args.target)?;
    let aws = Aws::new(&args.target.aws).await?;
    let deployed = Stack::find(&aws, &args.target.stack_name).await?;
    let deployed = deployed.and_then(|stack| stack.parameters.get(PARAMETER_STATEMENT_NAME_PREFIX).cloned());
    let prefix = args.statement_name_prefix.clone().or(deployed);
    let args = DeployArgs {
        statement_name_prefix: prefix.unwrap_or_else(|| PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT.to_owned()),
        target: args.target.clone(),
        yes: false,
        dry_run: true,
        output: args.output,
        auth: false,
    };
    apply(out, &aws, &args, &prepared).await.map(drop)
}

/// Checks the configurations, synthesizes the template, builds the zips.
pub fn prepare(out: Out, target: &TargetArgs) -> Result<Prepared> {
    stack::check_name(&target.stack_name)?;
    let queues = queues::read(&queues::folder(target.queues.as_ref()))?;
    target.queue_name_prefix.as_deref().map_or(Ok(()), |prefix| names::check_queue_prefix(prefix, &queues))?;
    out.line(format!("{} {} queue configurations are valid", out.good("ok"), queues.len()));
    let template = template::synthesize_aloud(out, &queues, target.arch(), target.memory)?;
    let is_the_shipped_one = target.queues.is_none() && target.memory.is_none() && target.arch() == Arch::X86_64;
    if is_the_shipped_one && std::fs::read_to_string(template::path()).unwrap_or_default() != template {
        template::write(&template)?;
        out.line(format!("{} wrote {}", out.good("ok"), crate::ground::shell::shown(&template::path())));
    }
    let assets = functions::build(out, target.wanted())?;
    Ok(Prepared { queues, template, assets })
}

/// Deploys what is prepared. `None`: a dry run.
pub async fn apply(out: Out, aws: &Aws, args: &DeployArgs, prepared: &Prepared) -> Result<Option<Deployed>> {
    let name = &args.target.stack_name;
    let place = aws.place().await?;
    out.line(format!("{} stack {name} in account {}, {}", out.good("ok"), place.account, place.region));
    let existing = Stack::find(aws, name).await?;
    let leftover = obstacle::find(aws, existing.as_ref()).await?;
    let deployed = existing.filter(|_| leftover.is_none());
    let queue_prefix = names::queue_prefix(&args.target, deployed.as_ref());
    names::check_queue_prefix(&queue_prefix, &prepared.queues)?;
    let bucket = AssetsBucket::new(aws, &place.account, args.target.assets_bucket.as_ref());
    connections::check_sources(aws, out, &prepared.queues, args.dry_run).await?;
    let names = Names { stack: name, queue_prefix: &queue_prefix, place: &place };
    let planned = connections::plan(aws, &names, &prepared.queues).await?;
    if let Some(leftover) = leftover.as_ref().filter(|_| args.dry_run) {
        leftover.show(out);
        return difference::of_creation(out, &prepared.template, planned).map(|()| None);
    }
    if let Some(leftover) = &leftover {
        leftover.confirm(out, args.yes || aws.local.is_some())?;
    }
    if !args.dry_run {
        bucket.ensure(aws, out).await?;
        bucket.upload(out, &prepared.assets).await?;
    }
    if let Some(leftover) = &leftover {
        leftover.remove(out, aws).await?;
    }
    let ours = Ours { args, prepared, bucket: &bucket, queue_prefix: &queue_prefix };
    let set = change_set(out, aws, &ours, deployed.as_ref()).await?;
    difference::show(out, set.as_ref(), &planned);
    if args.dry_run {
        return difference::end_dry_run(out, aws, set, planned).await.map(|()| None);
    }
    if let Some(set) = &set {
        consent::confirm(out, aws, args, set).await?;
        execute(out, aws, name, set).await?;
    }
    let stack = Stack::get(aws, name).await?;
    let connections = connections::connect(aws, out, &stack, &prepared.queues).await?;
    Ok(Some(Deployed {
        stack_name: name.clone(),
        stack_id: stack.id,
        difference: Difference::new(set, connections),
        outputs: stack.outputs,
    }))
}

async fn change_set(out: Out, aws: &Aws, ours: &Ours<'_>, deployed: Option<&Stack>) -> Result<Option<ChangeSet>> {
    let Ours { args, prepared, bucket, .. } = ours;
    let step = out.step("comparing with what is deployed");
    // Without its white space the template fits a request more often.
    let compact: serde_json::Value = serde_json::from_str(&prepared.template).context("the template is JSON")?;
    let compact = compact.to_string();
    let template = if compact.len() <= TEMPLATE_BODY_BYTES_MAX {
        TemplateSource::Body(compact)
    } else {
        bucket.ensure(aws, out).await?;
        TemplateSource::Url(bucket.upload_template(aws, compact).await?)
    };
    let parameters = parameters::values(ours, deployed)?;
    let set = ChangeSet::create(aws, &args.target.stack_name, template, parameters).await?;
    let n_changes = set.as_ref().map_or(0, |set| set.changes.len());
    step.done(format!("compared with what is deployed: {n_changes} changes"));
    Ok(set)
}

async fn execute(out: Out, aws: &Aws, name: &str, set: &ChangeSet) -> Result<()> {
    let step = out.step(if set.creates { "creating the stack" } else { "updating the stack" });
    let follower = Follower::new(aws, &set.stack_id, set.changes.len()).await?;
    set.execute(aws).await?;
    let ended = follower.follow(aws, &step).await?;
    if matches!(ended.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
        step.done(format!("stack {name}: {}", ended.status));
        return Ok(());
    }
    let cause = ended.first_cause.unwrap_or_else(|| "CloudFormation gives no reason".to_owned());
    let message = format!("the deployment failed and was taken back ({}); first cause: {cause}", ended.status);
    Err(Failure::new(message, "correct the cause, then the same command again").into())
}
