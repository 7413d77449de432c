//! Table events: a pipe publishes them from the stream of the tracker's writes, so no function sends them.

use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::outcome::FailureClass;
use loader_core::tracker::table_event::{ATTRIBUTE, DETAIL_TYPE, FIELDS, PAUSED_BY_OPERATOR, SOURCE};
use serde_json::{Value as Json, json};

use crate::l2::{Pipe, PipeProps, Queue, Table};
use crate::names::{EVENTS_OUTPUT, LogicalId};
use crate::scope::Scope;

/// Adds the pipe.
pub(super) fn add(scope: &Scope, tracker: &Table, dead_letters: &Queue) {
    let pipe = Pipe::new(
        &scope.child(LogicalId::Events.name()),
        PipeProps {
            description: "Publishes what happens to the loader's tables on the account's event bus",
            table: tracker,
            patterns: patterns(),
            template: template(),
            source: SOURCE,
            detail_type: DETAIL_TYPE,
            dead_letters,
        },
    );
    scope.add_output(
        EVENTS_OUTPUT,
        "Pipe that publishes what happens to the tables on the account's event bus",
        pipe.name(),
    );
}

/// Matches a history or quarantine item when it is written, and a slot when it begins to wait for an operator or is paused.
fn patterns() -> Vec<Json> {
    let records = [json!({ "prefix": "LOADED#" }), json!({ "prefix": "FAILED#" })];
    let written = json!({
        "eventName": ["INSERT"],
        "dynamodb": {
            "Keys": { TRACKER_SORT_KEY: { "S": records } },
            "NewImage": attribute_is("kind", &json!([{ "exists": true }])),
        }
    });
    let begins = |class: &str| {
        let before = json!([{ "exists": false }, { "anything-but": [class] }]);
        json!({ "dynamodb": { "NewImage": attribute_is("class", &json!([class])), "OldImage": attribute_is("class", &before) } })
    };
    // History and quarantine items have a class too, but these patterns match only slots.
    let mut patterns = vec![written];
    for class in [FailureClass::OperatorsTurn.name(), PAUSED_BY_OPERATOR] {
        let mut pattern = begins(class);
        pattern["dynamodb"]["Keys"] = json!({ TRACKER_SORT_KEY: { "S": ["RUNNING"] } });
        patterns.push(pattern);
    }
    patterns
}

fn attribute_is(field: &str, is: &Json) -> Json {
    json!({ ATTRIBUTE: { "M": { field: { "S": is } } } })
}

/// The event's detail. Every path must exist in every record that matches: what a pipe does with a missing path is not documented.
fn template() -> String {
    let own = [("id", "$.eventID".to_owned()), ("table", format!("$.dynamodb.Keys.{TRACKER_PARTITION_KEY}.S"))];
    let said = FIELDS.map(|field| (field, format!("$.dynamodb.NewImage.{ATTRIBUTE}.M.{field}.S")));
    let fields: Vec<String> =
        own.into_iter().chain(said).map(|(field, path)| format!(r#""{field}": "<{path}>""#)).collect();
    format!("{{{}}}", fields.join(", "))
}
