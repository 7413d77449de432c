//! Valid stack names.

use synth::limits::STACK_NAME_CHARACTERS_MAX;

use crate::ground::output::Failure;

/// The default stack name. With it, queue names have no prefix.
pub const STACK_NAME_DEFAULT: &str = "redshift-loader";

/// Checks a stack name. It must be shorter than CloudFormation requires, because the functions' names begin with it.
pub fn check(name: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts && name.chars().all(allowed) && name.len() <= STACK_NAME_CHARACTERS_MAX {
        return Ok(());
    }
    let n = name.chars().count();
    let message = format!(
        "`{name}` ({n} characters) is not allowed as a stack name: use a letter, then letters, digits and `-`, at most {STACK_NAME_CHARACTERS_MAX} characters"
    );
    Err(Failure::usage(message, "choose another with --stack-name NAME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_names_leave_room_for_the_functions() {
        let longest = "s".repeat(STACK_NAME_CHARACTERS_MAX);
        for name in ["redshift-loader", "A1", &longest] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "1a", "-a", "a_b", "größe", &format!("{longest}s")] {
            let failure = check(name).unwrap_err();
            assert!(failure.message.starts_with(&format!("`{name}` (")) && failure.message.contains("47 characters"));
        }
    }
}
