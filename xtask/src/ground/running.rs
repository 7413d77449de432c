//! The running local stack, whichever command started it.

use std::path::PathBuf;

use anyhow::Result;
use local_client::StackInfo;
use synth::workspace;

use crate::ground::output::Failure;

/// Folder of the stack that `deploy --local` uses.
pub fn default_dir() -> PathBuf {
    workspace::root().join(".local/stack")
}

/// Whether a local stack is running: a user who omitted `--local` may have meant it.
pub fn is_up() -> bool {
    local_client::info(&default_dir()).is_ok_and(|stack| stack.is_some())
}

/// The running stack.
pub fn stack() -> Result<StackInfo> {
    local_client::info(&default_dir())?.ok_or_else(|| {
        Failure::new(
            "no local stack is up",
            "start it with `cargo xtask local up`, or with `cargo xtask deploy … --local`",
        )
        .into()
    })
}
