//! Asking a person, where one is there to ask.

use std::io::{BufRead, IsTerminal, Write};

use crate::ground::output::Out;

/// Whether a person says yes; false where nobody can be asked.
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
