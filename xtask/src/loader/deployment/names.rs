//! Checks the two prefixes of a deployment: whether the services accept the resulting names.

use synth::QueueFile;
use synth::limits::STATEMENT_NAME_PREFIX_CHARACTERS_MAX;
use synth::queue_name::{SQS_QUEUE_NAME_CHARACTERS_MAX, dead_letters_name};

use crate::ground::output::Failure;

/// Checks the prefix of statement names.
pub fn check_statement_prefix(prefix: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.$-".contains(c);
    let n = prefix.chars().count();
    if (1..=STATEMENT_NAME_PREFIX_CHARACTERS_MAX).contains(&n) && prefix.chars().all(allowed) {
        return Ok(());
    }
    let message = format!(
        "--statement-name-prefix `{prefix}` ({n} characters) is not allowed: use 1 to {STATEMENT_NAME_PREFIX_CHARACTERS_MAX} letters, digits, `_`, `.`, `$` and `-`"
    );
    Err(Failure::usage(message, "give the name of the database, or another word"))
}

/// Checks that SQS accepts the names of all queues with this prefix, and of their dead-letter queues.
pub fn check_queue_prefix(prefix: &str, queues: &[QueueFile]) -> Result<(), Failure> {
    let hint = "choose another with --queue-name-prefix PREFIX";
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !prefix.chars().all(allowed) {
        let message = format!("the queue name prefix `{prefix}` is not allowed: use letters, digits, `-` and `_`");
        return Err(Failure::usage(message, hint));
    }
    let length = |queue: &QueueFile| prefix.len() + dead_letters_name(&queue.name).len();
    let long = queues.iter().filter(|queue| length(queue) > SQS_QUEUE_NAME_CHARACTERS_MAX);
    let long: Vec<String> = long
        .map(|queue| format!("\n  {}{} has {} characters", prefix, dead_letters_name(&queue.name), length(queue)))
        .collect();
    if long.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the queue name prefix `{prefix}` is too long: SQS allows names of {SQS_QUEUE_NAME_CHARACTERS_MAX} characters{}",
        long.concat()
    );
    Err(Failure::usage(message, format!("{hint}, or rename the queues' files")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn statement_prefixes_are_checked_before_anything_else() {
        for prefix in ["dev", "a.b_c-$1", &"x".repeat(128)] {
            assert!(check_statement_prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in ["", "bad name", "a/b", "größe", &"x".repeat(129)] {
            let failure = check_statement_prefix(prefix).unwrap_err();
            assert!(failure.message.starts_with(&format!("--statement-name-prefix `{prefix}` (")), "{failure}");
        }
    }

    #[test]
    fn every_queue_whose_name_becomes_too_long_is_listed() {
        let text =
            r#"{"copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "c", "db_name": "d"}}"#;
        let file =
            |name: &str| synth::queues::parse(Path::new(&format!("queues/{name}.json")), text.to_owned()).unwrap();
        let (long, longer) = ("a".repeat(30), "b".repeat(40));
        let queues = [file("short"), file(&long), file(&longer)];
        assert!(check_queue_prefix(&"p".repeat(36), &queues).is_ok());
        let failure = check_queue_prefix(&"p".repeat(50), &queues).unwrap_err();
        assert!(failure.message.contains(&format!("{long}-dlq has 84 characters")), "{failure}");
        assert!(failure.message.contains(&format!("{longer}-dlq has 94 characters")), "{failure}");
        assert!(!failure.message.contains("short"), "{failure}");
        assert!(check_queue_prefix("a b", &[]).unwrap_err().message.contains("`a b`"));
    }
}
