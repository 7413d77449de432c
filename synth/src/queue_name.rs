//! Which names a queue may have: SQS's limit, minus what the stack adds to the name.

/// Characters of a queue's name in SQS, with its prefix (SQS, `CreateQueue`).
pub const SQS_QUEUE_NAME_CHARACTERS_MAX: usize = 80;
/// Characters that even the longest name leaves for the parameter `queueNamePrefix`.
pub const PREFIX_ROOM_CHARACTERS: usize = 16;
/// Suffix of the name of a queue's dead-letter queue.
pub const DEAD_LETTERS_SUFFIX: &str = "-dlq";
/// Characters of a queue's name without its prefix, as in the name of its configuration file.
pub const QUEUE_NAME_CHARACTERS_MAX: usize =
    SQS_QUEUE_NAME_CHARACTERS_MAX - PREFIX_ROOM_CHARACTERS - DEAD_LETTERS_SUFFIX.len();

/// Name of the dead-letter queue of the queue `queue`.
pub fn dead_letters_name(queue: &str) -> String {
    format!("{queue}{DEAD_LETTERS_SUFFIX}")
}

/// Characters that `queueNamePrefix` may have if `longest` is the longest name of a queue. The limit applies to its dead-letter queue.
pub fn prefix_characters_max(longest: &str) -> usize {
    SQS_QUEUE_NAME_CHARACTERS_MAX.saturating_sub(dead_letters_name(longest).len())
}

/// Checks that SQS allows this name for a queue, and for its dead-letter queue, with a prefix. The error states the rule.
pub fn check_queue_name(name: &str) -> Result<(), String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let characters = name.chars().count();
    if (1..=QUEUE_NAME_CHARACTERS_MAX).contains(&characters) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is not a queue name ({characters} characters): 1 to {QUEUE_NAME_CHARACTERS_MAX} letters, digits, `-` and `_`; \
         with `{DEAD_LETTERS_SUFFIX}` and a prefix of {PREFIX_ROOM_CHARACTERS} that is what SQS takes, so rename it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_leaves_room_for_a_prefix_and_the_dead_letter_queue() {
        let longest = "q".repeat(QUEUE_NAME_CHARACTERS_MAX);
        assert_eq!(QUEUE_NAME_CHARACTERS_MAX, 60);
        assert_eq!(check_queue_name(&longest), Ok(()));
        assert_eq!(prefix_characters_max(&longest), PREFIX_ROOM_CHARACTERS);
        assert_eq!("p".repeat(16).len() + dead_letters_name(&longest).len(), SQS_QUEUE_NAME_CHARACTERS_MAX);
    }

    #[test]
    fn the_error_for_an_invalid_name_states_the_rule() {
        for name in ["", "a b", "a/b", "größe", &"q".repeat(61)] {
            let message = check_queue_name(name).unwrap_err();
            assert!(
                message.starts_with(&format!("`{name}` is not a queue name ({} ", name.chars().count())),
                "{message}"
            );
            assert!(message.contains("1 to 60 letters, digits, `-` and `_`"), "{message}");
        }
    }
}
