//! Asks a person for confirmation, if standard input is a terminal.

use std::io::{BufRead, IsTerminal, Write};

use crate::ground::output::{Failure, Out};

/// Whether a person says yes; `false` if no one can be asked.
pub fn agrees(out: Out, question: &str) -> bool {
    if out.is_json() || !std::io::stdin().is_terminal() {
        return false;
    }
    print!("{} [y/N] ", out.bold(question));
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

/// Asks for confirmation unless `yes`. `otherwise` is the error without it: what was not done.
pub fn confirm(out: Out, yes: bool, question: &str, otherwise: impl Into<String>) -> Result<(), Failure> {
    if yes || agrees(out, question) { Ok(()) } else { Err(Failure::refused(otherwise, "add --yes to agree")) }
}
