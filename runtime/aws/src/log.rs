//! The log: one line of JSON per event on standard output, with its metrics in embedded metric format.
//!
//! Source: CloudWatch user guide, "Specification: Embedded metric format".

use loader_core::contract::{
    DIMENSION_STACK, DIMENSION_TABLE, METRIC_BYTES, METRIC_FAILURES, METRIC_FRESHNESS, METRIC_LOAD_TIME, METRIC_LOADS,
    METRIC_MISSED, METRIC_NAMESPACE, METRIC_OBJECTS, METRIC_OLDEST_WAITING, METRIC_QUARANTINED, METRIC_QUEUE_WAIT,
    METRIC_ROWS, METRIC_SPLITS, METRIC_SWEEPS,
};
use loader_core::tracker::change::Note;
use loader_core::tracker::item::Millis;
use loader_reconcile::report::Event;
use serde_json::{Map, Value, json};

/// Writes one event.
pub fn write(event: &Event, stack: &str, now: Millis) {
    println!("{}", Value::Object(line(event, stack, now)));
}

/// Writes a sentence about the function itself.
pub fn warn(message: &str) {
    println!("{}", json!({"level": "WARN", "message": message}));
}

fn line(event: &Event, stack: &str, now: Millis) -> Map<String, Value> {
    let (name, level, mut fields) = fields(event);
    let mut line = Map::from_iter([
        ("timestamp_millis".to_owned(), json!(now)),
        ("level".to_owned(), json!(level)),
        ("event".to_owned(), json!(name)),
    ]);
    line.append(&mut fields);
    let metrics = metrics(event, now);
    if !metrics.is_empty() {
        let table = line.get("table").cloned();
        let mut dimensions = vec![vec![DIMENSION_STACK]];
        line.insert(DIMENSION_STACK.to_owned(), json!(stack));
        if let Some(table) = table {
            dimensions.push(vec![DIMENSION_STACK, DIMENSION_TABLE]);
            line.insert(DIMENSION_TABLE.to_owned(), table);
        }
        let definitions: Vec<Value> =
            metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
        let directive = json!([{"Namespace": METRIC_NAMESPACE, "Dimensions": dimensions, "Metrics": definitions}]);
        line.insert("_aws".to_owned(), json!({"Timestamp": now, "CloudWatchMetrics": directive}));
        line.extend(metrics.into_iter().map(|(name, _, value)| (name.to_owned(), value)));
    }
    line
}

fn metrics(event: &Event, now: Millis) -> Vec<(&'static str, &'static str, Value)> {
    match event {
        Event::Moved {
            note: Note::Finished { n_objects, size_bytes, rows, queue_wait_millis, load_millis, .. },
            ..
        } => {
            let mut metrics = vec![
                (METRIC_LOADS, "Count", json!(1)),
                (METRIC_OBJECTS, "Count", json!(n_objects)),
                (METRIC_BYTES, "Bytes", json!(size_bytes)),
                (METRIC_QUEUE_WAIT, "Milliseconds", json!(queue_wait_millis)),
                (METRIC_LOAD_TIME, "Milliseconds", json!(load_millis)),
                (METRIC_FRESHNESS, "Milliseconds", json!(queue_wait_millis + load_millis)),
            ];
            metrics.extend(rows.map(|rows| (METRIC_ROWS, "Count", json!(rows))));
            metrics
        }
        Event::Moved { note: Note::Split { .. }, .. } => {
            vec![(METRIC_FAILURES, "Count", json!(1)), (METRIC_SPLITS, "Count", json!(1))]
        }
        Event::Moved { note: Note::Failed { .. } | Note::SetAside { .. }, .. } => {
            vec![(METRIC_FAILURES, "Count", json!(1))]
        }
        Event::Moved { note: Note::Quarantined { n_objects, .. }, .. } => {
            vec![(METRIC_FAILURES, "Count", json!(1)), (METRIC_QUARANTINED, "Count", json!(n_objects))]
        }
        Event::Moved { note: Note::Prepared { n_deleted, .. } | Note::Emptied { n_deleted, .. }, .. }
            if *n_deleted > 0 =>
        {
            vec![(METRIC_QUARANTINED, "Count", json!(n_deleted))]
        }
        Event::Missed { n_objects, .. } => vec![(METRIC_MISSED, "Count", json!(n_objects))],
        Event::Swept { oldest, .. } => {
            let age = oldest.map_or(0, |millis| now - millis);
            vec![(METRIC_SWEEPS, "Count", json!(1)), (METRIC_OLDEST_WAITING, "Milliseconds", json!(age))]
        }
        Event::Waiting { oldest_millis, .. } => vec![(METRIC_OLDEST_WAITING, "Milliseconds", json!(oldest_millis))],
        Event::Moved { .. }
        | Event::Recorded { .. }
        | Event::Listed { .. }
        | Event::Skipped { .. }
        | Event::Refused { .. }
        | Event::Stopped { .. }
        | Event::NotOurs { .. } => Vec::new(),
    }
}

fn fields(event: &Event) -> (&'static str, &'static str, Map<String, Value>) {
    let (name, level, value) = match event {
        Event::Recorded { table, n_objects } => ("recorded", "INFO", json!({"table": table, "objects": n_objects})),
        Event::Skipped { what, why } => ("skipped", "INFO", json!({"what": what, "why": why})),
        Event::Refused { message_id, why } => ("refused", "ERROR", json!({"message_id": message_id, "why": why})),
        Event::Stopped { table, load_id, why } => {
            ("stopped", "WARN", json!({"table": table, "load_id": load_id, "why": why}))
        }
        Event::NotOurs { why } => ("not_ours", "INFO", json!({"why": why})),
        Event::Listed { table, s3_path, objects, new_objects, ended } => (
            "listed",
            "INFO",
            json!({"table": table, "s3_path": s3_path, "objects": objects, "new_objects": new_objects, "ended": ended}),
        ),
        Event::Missed { table, n_objects, first } => {
            ("missed_event", "ERROR", json!({"table": table, "objects": n_objects, "first": first}))
        }
        Event::Swept { n_tables, .. } => ("swept", "INFO", json!({"tables": n_tables})),
        Event::Waiting { table, oldest_millis } => {
            ("waiting", "INFO", json!({"table": table, "oldest_millis": oldest_millis}))
        }
        Event::Moved { table, load_id, statement_id, note } => {
            let (name, level, more) = moved(note);
            let mut value = json!({"table": table, "load_id": load_id, "statement_id": statement_id});
            if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
                value.extend(more);
            }
            (name, level, value)
        }
    };
    match value {
        Value::Object(fields) => (name, level, fields),
        _ => (name, level, Map::new()),
    }
}

fn moved(note: &Note) -> (&'static str, &'static str, Value) {
    match note {
        Note::Claimed { n_objects } => ("claimed", "INFO", json!({"objects": n_objects})),
        Note::Gathered { n_loads, n_objects } => ("gathered", "INFO", json!({"loads": n_loads, "objects": n_objects})),
        Note::Prepared { attempt, n_objects, n_deleted, n_known } => (
            "prepared",
            "INFO",
            json!({"attempt": attempt, "objects": n_objects, "deleted_objects": n_deleted, "known_objects": n_known}),
        ),
        Note::Emptied { n_deleted, n_known } => {
            ("emptied", "INFO", json!({"deleted_objects": n_deleted, "known_objects": n_known}))
        }
        Note::GivenUp => ("given_up", "ERROR", json!({})),
        Note::Submitted { statement_id } => ("submitted", "INFO", json!({"statement_id": statement_id})),
        Note::TakenOver { from } => ("taken_over", "INFO", json!({"from": from})),
        Note::NotSubmitted { reason } => ("not_submitted", "WARN", json!({"reason": reason})),
        Note::Cancelling { minutes } => ("cancelling", "WARN", json!({"minutes": minutes})),
        Note::Failed { class, reason } => ("failed", "WARN", json!({"class": class.name(), "reason": reason})),
        Note::Split { parts, reason } => ("split", "WARN", json!({"parts": parts, "reason": reason})),
        Note::SetAside { reason } => ("set_aside", "WARN", json!({"reason": reason})),
        Note::Quarantined { n_objects, class, reason } => {
            ("quarantined", "ERROR", json!({"objects": n_objects, "class": class.name(), "reason": reason}))
        }
        Note::Finished { n_objects, size_bytes, rows, queue_wait_millis, load_millis, n_next } => (
            "finished",
            "INFO",
            json!({
                "objects": n_objects,
                "bytes": size_bytes,
                "rows": rows,
                "queue_wait_millis": queue_wait_millis,
                "load_millis": load_millis,
                "next_load_objects": n_next,
            }),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_events_are_counted_for_the_stack_and_the_table() {
        let event = Event::Missed { table: "t".into(), n_objects: 2, first: "s3://b/a".into() };
        let line = Value::Object(line(&event, "stack", 5));
        assert_eq!(
            (&line["event"], &line["MissedEvents"], &line["first"]),
            (&json!("missed_event"), &json!(2), &json!("s3://b/a"))
        );
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack"], ["Stack", "Table"]]));
    }

    #[test]
    fn a_finished_load_is_one_line_with_its_metrics() {
        let note = Note::Finished {
            n_objects: 3,
            size_bytes: 9,
            rows: Some(7),
            queue_wait_millis: 1,
            load_millis: 2,
            n_next: 0,
        };
        let event = Event::Moved { table: "t".into(), load_id: "l".into(), statement_id: Some("s".into()), note };
        let line = Value::Object(line(&event, "stack", 5));
        assert_eq!(
            (&line["event"], &line["table"], &line["statement_id"]),
            (&json!("finished"), &json!("t"), &json!("s"))
        );
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack"], ["Stack", "Table"]]));
        let metrics = ["LoadsFinished", "ObjectsLoaded", "BytesLoaded", "RowsLoaded", "FreshnessMillis"];
        assert_eq!(metrics.map(|name| &line[name]), [1, 3, 9, 7, 3].map(|number| json!(number)).each_ref());
    }
}
