//! Queues and templates for the tests.
#![allow(dead_code)]

pub mod assertions;

use loader_core::config::LoadConfig;
use serde_json::{Value as Json, json};
use synth::{LoaderProps, Problems, QueueSource, Template, loader_template};

use self::assertions::Assertions;

/// A queue from the text of its configuration.
pub fn queue(name: &str, text: &str) -> QueueSource {
    QueueSource { name: name.to_owned(), config: LoadConfig::parse(text).unwrap() }
}

/// A queue whose table has the same name, with a changed configuration.
pub fn queue_with(name: &str, change: impl FnOnce(&mut Json)) -> QueueSource {
    let mut value = json!({
        "copy": {"role_arn": "default", "table_name": format!("shop.\"{name}\"")},
        "cluster": {"identifier": "analytics", "db_name": "dev"},
        "source": format!("s3://example-{}/daily/", bucket_part(name))
    });
    change(&mut value);
    QueueSource { name: name.to_owned(), config: LoadConfig::from_value(&value).unwrap() }
}

fn bucket_part(name: &str) -> String {
    name.to_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-").chars().take(40).collect()
}

/// A queue that appends and one that merges.
pub fn two_queues() -> Vec<QueueSource> {
    vec![
        queue("weather", include_str!("../fixtures/weather.json")),
        queue("earthquakes", include_str!("../fixtures/earthquakes.json")),
    ]
}

/// Ten varied queues with long names: a bucket each, workgroups and clusters, secrets.
pub fn ten_queues() -> Vec<QueueSource> {
    let queue = |number: u32| {
        queue_with(&format!("orders-eu-central-{number:02}"), |value| {
            if number.is_multiple_of(3) {
                value["cluster"] = json!({"workgroup": "analytics", "db_name": "dev"});
            }
            if number % 3 == 1 {
                let secret = format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:loader/{number}-AbCdEf");
                value["cluster"] = json!({"identifier": "analytics", "db_name": "dev", "secret_arn": secret});
            }
        })
    };
    (0..10).map(queue).collect()
}

/// The template of the queues.
pub fn template(queues: Vec<QueueSource>) -> Template {
    loader_template(&LoaderProps { queues, ..LoaderProps::default() }).unwrap()
}

/// The template of the queues, under test.
pub fn assertions(queues: Vec<QueueSource>) -> Assertions {
    Assertions::from(&template(queues))
}

/// The problems of the props, one line each.
pub fn problems(props: &LoaderProps) -> Vec<String> {
    let Problems(found) = loader_template(props).expect_err("there are problems");
    found.iter().map(ToString::to_string).collect()
}
