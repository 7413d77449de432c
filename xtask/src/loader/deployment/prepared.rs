//! What a deployment needs and no AWS: valid configurations, the template, the functions' zips.

use anyhow::Result;

use crate::ground::output::Out;
use crate::ground::{shell, stack};
use crate::loader::deployment::names;
use crate::loader::deployment::request::TargetArgs;
use crate::loader::functions::{self, Arch, Asset};
use crate::loader::queues::{self, QueueFile};
use crate::loader::template;

/// What is ready to be deployed: everything that needs no AWS.
#[derive(Debug)]
pub struct Prepared {
    /// The queue configurations.
    pub queues: Vec<QueueFile>,
    /// The template.
    pub template: String,
    /// The functions' zips.
    pub assets: Vec<Asset>,
}

impl Prepared {
    /// Whether the template in cfn-out is this one.
    pub fn is_in_cfn_out(&self) -> bool {
        std::fs::read_to_string(template::path()).is_ok_and(|text| text == self.template)
    }
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
        out.line(format!("{} wrote {}", out.good("ok"), shell::shown(&template::path())));
    }
    let assets = functions::build(out, target.wanted())?;
    Ok(Prepared { queues, template, assets })
}
