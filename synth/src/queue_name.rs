//! What a queue may be called: SQS's limit, less what is added to the name.

/// Characters of a queue's name as SQS sees it: with its prefix (SQS, `CreateQueue`).
pub const SQS_QUEUE_NAME_CHARACTERS_MAX: usize = 80;
/// Characters that the longest name leaves to the parameter `queueNamePrefix`.
pub const PREFIX_ROOM_CHARACTERS: usize = 16;
/// What follows a queue's name in the name of its dead-letter queue.
pub const DEAD_LETTERS_SUFFIX: &str = "-dlq";
/// Characters of a queue's name without its prefix: the name of a queue's configuration file has no more.
pub const QUEUE_NAME_CHARACTERS_MAX: usize =
    SQS_QUEUE_NAME_CHARACTERS_MAX - PREFIX_ROOM_CHARACTERS - DEAD_LETTERS_SUFFIX.len();

/// Name of the dead-letter queue of the queue `queue`.
pub fn dead_letters_name(queue: &str) -> String {
    format!("{queue}{DEAD_LETTERS_SUFFIX}")
}

/// Characters that `queueNamePrefix` may have where the longest queue has this name: its dead-letter queue has the longest name of all.
pub fn prefix_characters_max(longest: &str) -> usize {
    SQS_QUEUE_NAME_CHARACTERS_MAX.saturating_sub(dead_letters_name(longest).len())
}

/// Whether SQS takes a queue of this name and its dead-letter queue, with a prefix before both. The error names the rule.
pub fn check_queue_name(name: &str) -> Result<(), String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let characters = name.chars().count();
    if (1..=QUEUE_NAME_CHARACTERS_MAX).contains(&characters) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no queue name ({characters} characters): 1 to {QUEUE_NAME_CHARACTERS_MAX} letters, digits, `-` and `_`; \
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
    fn a_name_that_sqs_refuses_is_refused_with_the_rule() {
        for name in ["", "a b", "a/b", "größe", &"q".repeat(61)] {
            let message = check_queue_name(name).unwrap_err();
            assert!(message.starts_with(&format!("`{name}` is no queue name ({} ", name.chars().count())), "{message}");
            assert!(message.contains("1 to 60 letters, digits, `-` and `_`"), "{message}");
        }
    }
}
