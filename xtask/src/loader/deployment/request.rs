//! The request for a deployment: what to deploy, where, and what needs no confirmation.

use std::path::PathBuf;

use clap::Args;
use loader_core::contract::PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT;
use synth::Architecture;

use crate::ground::aws::AwsArgs;
use crate::ground::stack_name::STACK_NAME_DEFAULT;
use crate::loader::functions::{Profile, Runs, Wanted, this_machine};

/// What to deploy, and where; shared by `deploy` and `diff`.
#[derive(Args, Clone, Debug, Default)]
pub struct TargetArgs {
    /// Folder of the queue configurations [default: queues]
    #[arg(long, value_name = "DIR")]
    pub queues: Option<PathBuf>,
    /// Name of the CloudFormation stack; an account can have several
    #[arg(long, default_value = STACK_NAME_DEFAULT, value_name = "NAME")]
    pub stack_name: String,
    /// Prefix of every queue's name [default: as deployed; at first none for the default stack name, else `<stack name>-`]
    #[arg(long, value_name = "PREFIX")]
    pub queue_name_prefix: Option<String>,
    /// Bucket of the functions' zips [default: rs-loader-assets-<account>-<region>]
    #[arg(long, value_name = "BUCKET")]
    pub assets_bucket: Option<String>,
    /// Processor that the functions run on [default: x86_64; with --local this machine's]
    #[arg(long, value_enum)]
    pub arch: Option<Architecture>,
    /// Cargo profile of the functions: `dev` builds faster and runs slower
    #[arg(long, value_enum, default_value_t)]
    pub build_profile: Profile,
    /// Memory of each function in MB, which also determines its share of a processor; give it with every deployment [default: 512]
    #[arg(long, value_name = "MB")]
    pub memory: Option<u32>,
    /// Publish on the account's event bus when tables are loaded or paused and files quarantined (docs/events.md) [default: as deployed; at first off]
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "on", value_name = "SWITCH")]
    pub events: Option<Switch>,
    /// SNS topic that is notified when an alarm goes off: late, stuck, quarantine and others; '' for none [default: as deployed; at first none]
    #[arg(long, value_name = "ARN", value_parser = topic)]
    pub notify_topic: Option<String>,
    #[command(flatten)]
    pub aws: AwsArgs,
}

/// An option that is on or off.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

/// Parses the ARN of a topic, or an empty text.
fn topic(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let is_topic = matches!(parts[..], ["arn", _, "sns", region, account, name]
        if !region.is_empty() && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty());
    if text.is_empty() || is_topic {
        return Ok(text.to_owned());
    }
    Err("write the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:on-call, or '' for none"
        .to_owned())
}

impl TargetArgs {
    /// Processor of the functions.
    pub fn architecture(&self) -> Architecture {
        self.arch.unwrap_or(if self.aws.local { this_machine() } else { Architecture::X86_64 })
    }

    /// The platform to build for.
    pub fn wanted(&self) -> Wanted {
        let runs = if self.aws.local { Runs::Here } else { Runs::InLambda };
        Wanted { arch: self.architecture(), profile: self.build_profile, runs }
    }

    /// Prefix of each queue's name: from the command line, otherwise from the deployed stack, otherwise the default of a new one.
    pub fn queue_prefix(&self, deployed: Option<&str>) -> String {
        match self.queue_name_prefix.as_deref().or(deployed) {
            Some(prefix) => prefix.to_owned(),
            None if self.stack_name == STACK_NAME_DEFAULT => String::new(),
            None => format!("{}-", self.stack_name),
        }
    }
}

/// One deployment.
#[derive(Clone, Debug)]
pub struct Request {
    /// First part of every statement name: the name of the Redshift database.
    pub statement_name_prefix: String,
    /// What is deployed, and where to.
    pub target: TargetArgs,
    /// Whether replacements and changes of permissions need no confirmation.
    pub agreed: bool,
    /// Whether to show what would change, and change nothing.
    pub dry_run: bool,
}

impl Request {
    /// The request for a command's own local stack: everything, without confirmation.
    pub fn for_own_local_stack(queues: Option<PathBuf>, build_profile: Profile) -> Self {
        let target = TargetArgs {
            queues,
            stack_name: STACK_NAME_DEFAULT.to_owned(),
            build_profile,
            aws: AwsArgs { local: true, ..AwsArgs::default() },
            ..TargetArgs::default()
        };
        let statement_name_prefix = PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT.to_owned();
        Self { statement_name_prefix, target, agreed: true, dry_run: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(stack_name: &str, prefix: Option<&str>) -> TargetArgs {
        TargetArgs {
            stack_name: stack_name.to_owned(),
            queue_name_prefix: prefix.map(str::to_owned),
            ..TargetArgs::default()
        }
    }

    #[test]
    fn a_forgotten_queue_prefix_stays_what_it_is() {
        assert_eq!(target(STACK_NAME_DEFAULT, None).queue_prefix(Some("prod_")), "prod_");
        assert_eq!(target("other", None).queue_prefix(Some("")), "");
    }

    #[test]
    fn a_queue_prefix_that_is_given_counts_also_when_it_is_empty() {
        assert_eq!(target(STACK_NAME_DEFAULT, Some("new-")).queue_prefix(Some("prod_")), "new-");
        assert_eq!(target("other", Some("")).queue_prefix(Some("prod_")), "");
    }

    #[test]
    fn a_topic_is_an_arn_or_nothing() {
        for good in ["", "arn:aws:sns:eu-central-1:123456789012:on-call", "arn:aws-cn:sns:cn-north-1:123456789012:x"] {
            assert_eq!(topic(good), Ok(good.to_owned()));
        }
        for bad in
            ["on-call", "arn:aws:sqs:eu-central-1:123456789012:q", "arn:aws:sns:eu-central-1:12:x", "arn:aws:sns::x"]
        {
            assert!(topic(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_stack_has_its_name_before_its_queues() {
        assert_eq!(target(STACK_NAME_DEFAULT, None).queue_prefix(None), "");
        assert_eq!(target("other", None).queue_prefix(None), "other-");
    }
}
