//! Asking a person before what cannot be taken back.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Result;

use crate::ground::aws::Aws;
use crate::ground::output::{Failure, Out};
use crate::loader::deployment::DeployArgs;
use crate::loader::deployment::change_set::ChangeSet;

/// Asks a person before what cannot be taken back.
pub async fn confirm(out: Out, aws: &Aws, args: &DeployArgs, set: &ChangeSet) -> Result<()> {
    let Some(concern) = set.concern() else { return Ok(()) };
    if args.yes || aws.local.is_some() {
        return Ok(());
    }
    if ask(out, &format!("{concern}. Deploy?")) == Answer::Yes || (set.creates && !std::io::stdin().is_terminal()) {
        return Ok(());
    }
    set.discard(aws).await?;
    Err(Failure::refused(format!("not deployed: {concern}"), "look at the list above; add --yes to agree to it").into())
}

/// What a person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No, or nobody was there to ask.
    No,
}

/// Asks on a terminal; elsewhere the answer is no.
pub fn ask(out: Out, question: &str) -> Answer {
    if out.is_json() || !std::io::stdin().is_terminal() {
        return Answer::No;
    }
    print!("{} [y/N] ", out.bold(question));
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes") { Answer::Yes } else { Answer::No }
}
