//! What is printed after a deployment: the outputs, and what to do next.

use synth::names::EVENTS_OUTPUT;

use crate::deploy::by_hand;
use crate::ground::aws::Aws;
use crate::ground::output::Out;
use crate::ground::stack_name::STACK_NAME_DEFAULT;
use crate::loader::deployment::Deployed;
use crate::loader::deployment::prepared::Prepared;
use crate::loader::deployment::request::Request;
use crate::loader::warehouse::local_databases;

/// Prints the stack's outputs.
pub fn show_outputs(out: Out, deployed: &Deployed) {
    out.title("Outputs");
    let width = deployed.outputs.keys().map(String::len).max().unwrap_or_default();
    for (key, value) in &deployed.outputs {
        out.line(format!("   {key:<width$}  {value}"));
    }
}

/// Prints the commands that are likely to be needed next.
pub fn show(out: Out, aws: &Aws, request: &Request, prepared: &Prepared, deployed: &Deployed) {
    let has_events = deployed.outputs.contains_key(EVENTS_OUTPUT);
    out.title("Next");
    let (flag, environment) = match &aws.local {
        Some(stack) => (" --local", format!("{} ", stack.environment())),
        None => ("", String::new()),
    };
    if let Some(source) = prepared.queues.iter().find_map(|queue| queue.config.source.as_ref()) {
        out.line(format!("   drop a file    {environment}aws s3 cp FILE s3://{}/{}", source.bucket, source.prefix));
    } else {
        out.line("   add a table    cargo xtask queue add NAME --table schema.table --source s3://bucket/folder/ --cluster ID --database DB");
    }
    let name = if request.target.stack_name == STACK_NAME_DEFAULT {
        String::new()
    } else {
        format!(" --stack-name {}", request.target.stack_name)
    };
    out.line(format!("   watch it load  cargo xtask status{flag}{name}"));
    if prepared.is_in_cfn_out() && !has_events {
        let (stack, prefix) = (&request.target.stack_name, &request.statement_name_prefix);
        let command = by_hand::command(&environment, stack, prefix, &prepared.assets);
        out.line(format!("   or by hand     {command}"));
    }
    if let Some(stack) = &aws.local {
        for database in local_databases(&prepared.queues) {
            out.line(format!("   warehouse      {}", stack.psql(&database)));
        }
        out.line("   stop           cargo xtask local down");
    }
}
