//! Confirmation of changes that cannot be undone.

use std::io::IsTerminal;

use anyhow::Result;

use crate::ground::ask::agrees;
use crate::ground::aws::Aws;
use crate::ground::output::{Failure, Out};
use crate::loader::deployment::change_set::ChangeSet;
use crate::loader::deployment::request::Request;

/// Asks for confirmation if a change cannot be undone.
pub async fn confirm(out: Out, aws: &Aws, request: &Request, set: &ChangeSet) -> Result<()> {
    let Some(concern) = set.concern() else { return Ok(()) };
    if request.agreed {
        return Ok(());
    }
    // A script can create a stack without --yes, because there is nothing yet that it could replace.
    if agrees(out, &format!("{concern}. Deploy?")) || (set.creates && !std::io::stdin().is_terminal()) {
        return Ok(());
    }
    set.discard(aws).await?;
    Err(Failure::refused(format!("not deployed: {concern}"), "look at the list above; add --yes to agree to it").into())
}
