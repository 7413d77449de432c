//! The two prefixes of a deployment's names: which one counts, and whether the services take the names that come of it.

use synth::QueueFile;
use synth::limits::STATEMENT_NAME_PREFIX_CHARACTERS_MAX;
use synth::names::Parameter;
use synth::queue_name::{SQS_QUEUE_NAME_CHARACTERS_MAX, dead_letters_name};

use crate::ground::output::Failure;
use crate::ground::stack::{STACK_NAME_DEFAULT, Stack};
use crate::loader::deployment::request::TargetArgs;

/// What is before the name of each queue: what the command line says, else what the deployed stack has, else what a new one gets.
pub fn queue_prefix(target: &TargetArgs, deployed: Option<&Stack>) -> String {
    let deployed = deployed.and_then(|stack| stack.parameter(Parameter::QueueNamePrefix));
    match target.queue_name_prefix.as_deref().or(deployed) {
        Some(prefix) => prefix.to_owned(),
        None if target.stack_name == STACK_NAME_DEFAULT => String::new(),
        None => format!("{}-", target.stack_name),
    }
}

/// Whether statements can be named after it.
pub fn check_statement_prefix(prefix: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.$-".contains(c);
    let n = prefix.chars().count();
    if (1..=STATEMENT_NAME_PREFIX_CHARACTERS_MAX).contains(&n) && prefix.chars().all(allowed) {
        return Ok(());
    }
    let message = format!(
        "--statement-name-prefix `{prefix}` ({n} characters): 1 to {STATEMENT_NAME_PREFIX_CHARACTERS_MAX} letters, digits, `_`, `.`, `$` and `-`"
    );
    Err(Failure::usage(message, "give the name of the database, or another word"))
}

/// Whether SQS takes the names of all queues with this prefix, and those of their dead-letter queues.
pub fn check_queue_prefix(prefix: &str, queues: &[QueueFile]) -> Result<(), Failure> {
    let hint = "choose another with --queue-name-prefix PREFIX";
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !prefix.chars().all(allowed) {
        let message = format!("the queue name prefix `{prefix}`: letters, digits, `-` and `_`");
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
        "the queue name prefix `{prefix}` is too long: SQS takes names of {SQS_QUEUE_NAME_CHARACTERS_MAX} characters{}",
        long.concat()
    );
    Err(Failure::usage(message, format!("{hint}, or rename the queues' files")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use aws_sdk_cloudformation::types::StackStatus;

    use super::*;
    use crate::ground::aws::AwsArgs;
    use crate::loader::functions::Profile;

    fn target(stack_name: &str, prefix: Option<&str>) -> TargetArgs {
        TargetArgs {
            queues: None,
            stack_name: stack_name.to_owned(),
            queue_name_prefix: prefix.map(str::to_owned),
            assets_bucket: None,
            arch: None,
            build_profile: Profile::Dev,
            memory: None,
            aws: AwsArgs::default(),
        }
    }

    fn deployed(prefix: &str) -> Stack {
        Stack {
            name: "s".to_owned(),
            id: "arn".to_owned(),
            status: StackStatus::CreateComplete,
            outputs: BTreeMap::new(),
            parameters: BTreeMap::from([(Parameter::QueueNamePrefix.name().to_owned(), prefix.to_owned())]),
        }
    }

    #[test]
    fn a_forgotten_queue_prefix_stays_what_it_is() {
        assert_eq!(queue_prefix(&target(STACK_NAME_DEFAULT, None), Some(&deployed("prod_"))), "prod_");
        assert_eq!(queue_prefix(&target("other", None), Some(&deployed(""))), "");
    }

    #[test]
    fn a_queue_prefix_that_is_given_counts_also_when_it_is_empty() {
        assert_eq!(queue_prefix(&target(STACK_NAME_DEFAULT, Some("new-")), Some(&deployed("prod_"))), "new-");
        assert_eq!(queue_prefix(&target("other", Some("")), Some(&deployed("prod_"))), "");
    }

    #[test]
    fn a_new_stack_has_its_name_before_its_queues() {
        assert_eq!(queue_prefix(&target(STACK_NAME_DEFAULT, None), None), "");
        assert_eq!(queue_prefix(&target("other", None), None), "other-");
    }

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
    fn every_queue_that_gets_too_long_a_name_is_told() {
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
