//! Table events: a pipe that reads them out of the tracker's own writes, so that no function sends anything.

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
            description: "Tells the account's event bus what happens to the loader's tables",
            table: tracker,
            patterns: patterns(),
            template: template(),
            source: SOURCE,
            detail_type: DETAIL_TYPE,
            dead_letters,
        },
    );
    scope.add_output(EVENTS_OUTPUT, "Pipe that tells the account's event bus what happens to the tables", pipe.name());
}

/// A record of a load or of quarantine when it is written; a slot when it begins to wait for an operator, or to be paused.
fn patterns() -> Vec<Json> {
    let records = [json!({ "prefix": "LOADED#" }), json!({ "prefix": "FAILED#" })];
    let written = json!({
        "eventName": ["INSERT"],
        "dynamodb": {
            "Keys": { TRACKER_SORT_KEY: { "S": records } },
            "NewImage": said("kind", &json!([{ "exists": true }])),
        }
    });
    let begins = |class: &str| {
        let before = json!([{ "exists": false }, { "anything-but": [class] }]);
        json!({ "dynamodb": { "NewImage": said("class", &json!([class])), "OldImage": said("class", &before) } })
    };
    // A record has a class too, but never one of these and an image before.
    let mut patterns = vec![written];
    for class in [FailureClass::OperatorsTurn.name(), PAUSED_BY_OPERATOR] {
        let mut pattern = begins(class);
        pattern["dynamodb"]["Keys"] = json!({ TRACKER_SORT_KEY: { "S": ["RUNNING"] } });
        patterns.push(pattern);
    }
    patterns
}

fn said(field: &str, is: &Json) -> Json {
    json!({ ATTRIBUTE: { "M": { field: { "S": is } } } })
}

/// Every path exists in every record that passes: what a pipe does where one does not is not documented.
fn template() -> String {
    let own = [("id", "$.eventID".to_owned()), ("table", format!("$.dynamodb.Keys.{TRACKER_PARTITION_KEY}.S"))];
    let said = FIELDS.map(|field| (field, format!("$.dynamodb.NewImage.{ATTRIBUTE}.M.{field}.S")));
    let fields: Vec<String> =
        own.into_iter().chain(said).map(|(field, path)| format!(r#""{field}": "<{path}>""#)).collect();
    format!("{{{}}}", fields.join(", "))
}
