//! What a deployment needs before it uses AWS: valid configurations, the template, and the functions' zips.

use anyhow::Result;
use synth::{Architecture, QueueFile, SynthProps, TemplateFile, synthesize, workspace};

use crate::ground::output::{Out, counted};
use crate::ground::stack_name;
use crate::loader::deployment::names;
use crate::loader::deployment::request::{Switch, TargetArgs};
use crate::loader::functions::{self, Asset};
use crate::loader::queues::{folder, refused};

/// Everything that is ready to be deployed.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub queues: Vec<QueueFile>,
    pub template: String,
    pub assets: Vec<Asset>,
}

impl Prepared {
    /// The same with table events, for a stack that has them: only the command line turns them off.
    pub fn with_events(&self, target: &TargetArgs) -> Result<Self> {
        let target = TargetArgs { events: Some(Switch::On), ..target.clone() };
        let synthesis = synthesize(&props(&target)).map_err(|error| refused(&error))?;
        Ok(Self { template: synthesis.text, ..self.clone() })
    }

    /// Whether the template in cfn-out is this one.
    pub fn is_in_cfn_out(&self) -> bool {
        std::fs::read_to_string(workspace::template()).is_ok_and(|text| text == self.template)
    }
}

/// Checks the configurations, generates the template and builds the zips. Writes the template to its file if it is that of the clone's own
/// queues.
pub fn prepare(out: Out, target: &TargetArgs) -> Result<Prepared> {
    stack_name::check(&target.stack_name)?;
    let synthesis = synthesize(&props(target)).map_err(|error| refused(&error))?;
    let queues = synthesis.queues;
    target.queue_name_prefix.as_deref().map_or(Ok(()), |prefix| names::check_queue_prefix(prefix, &queues))?;
    out.ok(format!("checked {}", counted(queues.len(), "queue configuration")));
    for note in synthesis.template.notes() {
        out.note(note);
    }
    if synthesis.written {
        out.ok(format!("wrote {}", workspace::shown(&workspace::template())));
    }
    let assets = functions::build(out, target.wanted())?;
    Ok(Prepared { queues, template: synthesis.text, assets })
}

fn props(target: &TargetArgs) -> SynthProps {
    let architecture = target.architecture();
    let events = target.events == Some(Switch::On);
    let is_the_committed_one =
        target.queues.is_none() && target.memory.is_none() && !events && architecture == Architecture::default();
    let file = if is_the_committed_one { TemplateFile::Write(workspace::template()) } else { TemplateFile::None };
    let memory_mb = target.memory.unwrap_or(SynthProps::default().memory_mb);
    SynthProps { queues: folder(target.queues.as_ref()), architecture, memory_mb, events, file }
}
