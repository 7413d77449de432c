//! The log: one line of JSON per event on standard output, with metrics in the embedded metric format.
//!
//! Source: CloudWatch user guide, "Specification: Embedded metric format".

use loader_core::contract::{
    DIMENSION_STACK, DIMENSION_TABLE, DIMENSION_WAREHOUSE, METRIC_BYTES, METRIC_CALLS, METRIC_COLUMNS_ADDED,
    METRIC_COPY_TIME, METRIC_DOLLARS, METRIC_DOLLARS_AT_ONCE, METRIC_FAILURES, METRIC_FRESHNESS, METRIC_LOAD_TIME,
    METRIC_LOADS, METRIC_MERGE_TIME, METRIC_MISSED, METRIC_NAMESPACE, METRIC_OBJECTS, METRIC_OLDEST_WAITING,
    METRIC_QUARANTINED, METRIC_QUEUE_WAIT, METRIC_REFUSED, METRIC_ROWS, METRIC_SECONDS_AWAKE, METRIC_SECONDS_LATE,
    METRIC_SPLITS, METRIC_STUCK, METRIC_SWEEPS, METRIC_WAITING,
};
use loader_core::ids::DbTable;
use loader_core::tracker::change::{Misfits, Note};
use loader_core::tracker::item::Millis;
use loader_reconcile::report::Event;
use serde_json::{Map, Value, json};

/// Seconds of a minute.
const WAKE_SECONDS: u64 = 60;

/// Logs an event, with the number of calls since the last line that has them.
pub fn write(event: &Event, calls: u64, stack: &str, now: Millis) {
    println!("{}", Value::Object(line(event, calls, stack, now)));
}

/// Whether the line of an event contains the calls since the last such line: lines that a load has anyway, and that of each sweep.
pub const fn has_calls(event: &Event) -> bool {
    matches!(
        event,
        Event::Recorded { .. }
            | Event::Swept { .. }
            | Event::Moved { note: Note::Submitted { .. } | Note::Finished { .. }, .. }
    )
}

/// Logs a warning about the function itself.
pub fn warn(message: &str) {
    println!("{}", json!({"level": "WARN", "message": message}));
}

fn line(event: &Event, calls: u64, stack: &str, now: Millis) -> Map<String, Value> {
    let (name, level, mut fields) = fields(event);
    let mut line = Map::from_iter([
        ("timestamp_millis".to_owned(), json!(now)),
        ("level".to_owned(), json!(level)),
        ("event".to_owned(), json!(name)),
    ]);
    line.append(&mut fields);
    let mut metrics = metrics(event);
    metrics.extend((calls > 0).then(|| count(STACK, METRIC_CALLS, calls)));
    if metrics.is_empty() {
        return line;
    }
    line.insert(DIMENSION_STACK.to_owned(), json!(stack));
    if let Some(table) = line.get("table").cloned() {
        line.insert(DIMENSION_TABLE.to_owned(), table);
    }
    if let Some(warehouse) = warehouse(event) {
        line.insert(DIMENSION_WAREHOUSE.to_owned(), json!(warehouse));
    }
    let all = [Of::Stack, Of::Table, Of::Warehouse].into_iter();
    let directives: Vec<Value> = all.filter_map(|of| directive(&metrics, of)).collect();
    let at_millis = if let Event::Awake { at_millis, .. } = event { *at_millis } else { now };
    line.insert("_aws".to_owned(), json!({"Timestamp": at_millis, "CloudWatchMetrics": directives}));
    line.extend(metrics.into_iter().map(|metric| (metric.name.to_owned(), metric.value)));
    line
}

/// The warehouse of an event that counts for one.
fn warehouse(event: &Event) -> Option<String> {
    match event {
        Event::Awake { warehouse, .. } => Some(warehouse.clone()),
        Event::Recorded { table, microdollars_per_second: Some(_), .. }
        | Event::Moved { table, note: Note::Finished { .. }, .. } => {
            Some(DbTable(table.clone()).warehouse().to_owned())
        }
        _ => None,
    }
}

/// The dimensions of a metric. CloudWatch bills each combination, so tables only have the metrics that the dashboard shows for them, and
/// warehouses those of their bill.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Stack,
    Table,
    Warehouse,
}

const STACK: &[Of] = &[Of::Stack];
const TABLE: &[Of] = &[Of::Table];
const BOTH: &[Of] = &[Of::Stack, Of::Table];
const WAREHOUSE: &[Of] = &[Of::Warehouse];

/// A metric's value in one event.
struct Metric {
    name: &'static str,
    unit: &'static str,
    value: Value,
    of: &'static [Of],
}

fn directive(metrics: &[Metric], of: Of) -> Option<Value> {
    let dimensions = match of {
        Of::Stack => vec![DIMENSION_STACK],
        Of::Table => vec![DIMENSION_STACK, DIMENSION_TABLE],
        Of::Warehouse => vec![DIMENSION_STACK, DIMENSION_WAREHOUSE],
    };
    let meant = metrics.iter().filter(|metric| metric.of.contains(&of));
    let definitions: Vec<Value> = meant.map(|metric| json!({"Name": metric.name, "Unit": metric.unit})).collect();
    let directive = json!({"Namespace": METRIC_NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions});
    (!definitions.is_empty()).then_some(directive)
}

fn count(of: &'static [Of], name: &'static str, value: impl Into<Value>) -> Metric {
    Metric { name, unit: "Count", value: value.into(), of }
}

fn millis(of: &'static [Of], name: &'static str, value: Millis) -> Metric {
    Metric { name, unit: "Milliseconds", value: value.into(), of }
}

fn metrics(event: &Event) -> Vec<Metric> {
    match event {
        Event::Moved { note, .. } => metrics_of_load(note),
        Event::Swept { oldest_millis, seconds_late, n_objects, n_stuck, .. } => {
            let mut metrics = waiting(STACK, *oldest_millis, *n_objects, *seconds_late);
            metrics.extend([count(STACK, METRIC_SWEEPS, 1), count(STACK, METRIC_STUCK, *n_stuck)]);
            metrics
        }
        Event::Waiting { oldest_millis, seconds_late, n_objects, .. } => {
            let mut metrics = waiting(TABLE, *oldest_millis, *n_objects, *seconds_late);
            metrics.retain(|metric| metric.name != METRIC_SECONDS_LATE || *seconds_late > 0);
            metrics
        }
        Event::Awake { microdollars_per_second, .. } => awake(*microdollars_per_second),
        Event::Refused { passes: false, .. } => vec![count(STACK, METRIC_REFUSED, 1)],
        Event::Missed { n_objects, .. } => vec![count(STACK, METRIC_MISSED, *n_objects)],
        Event::ColumnsAdded { columns, .. } => vec![count(STACK, METRIC_COLUMNS_ADDED, columns.len())],
        Event::Recorded { microdollars_per_second, .. } => {
            microdollars_per_second.map(|price| a_minute(METRIC_DOLLARS_AT_ONCE, price)).into_iter().collect()
        }
        Event::Listed { .. }
        | Event::Skipped { .. }
        | Event::Refused { passes: true, .. }
        | Event::Stopped { .. }
        | Event::NotCompared { .. }
        | Event::NotOurs { .. } => Vec::new(),
    }
}

/// A whole minute; the first statement in it and the others say the same.
fn awake(microdollars_per_second: Option<u64>) -> Vec<Metric> {
    let seconds = Metric { name: METRIC_SECONDS_AWAKE, unit: "Seconds", value: json!(WAKE_SECONDS), of: WAREHOUSE };
    let dollars = microdollars_per_second.map(|price| a_minute(METRIC_DOLLARS, price));
    [seconds].into_iter().chain(dollars).collect()
}

/// The price in dollars of a warehouse's minute.
fn a_minute(name: &'static str, microdollars_per_second: u64) -> Metric {
    let microdollars = u32::try_from(microdollars_per_second * WAKE_SECONDS).unwrap_or(u32::MAX);
    Metric { name, unit: "None", value: json!(f64::from(microdollars) / 1e6), of: WAREHOUSE }
}

fn waiting(of: &'static [Of], oldest_millis: Millis, n_objects: usize, seconds_late: i64) -> Vec<Metric> {
    vec![
        millis(of, METRIC_OLDEST_WAITING, oldest_millis),
        count(of, METRIC_WAITING, n_objects),
        Metric { name: METRIC_SECONDS_LATE, unit: "Seconds", value: json!(seconds_late), of },
    ]
}

fn metrics_of_load(note: &Note) -> Vec<Metric> {
    let failed = || count(BOTH, METRIC_FAILURES, 1);
    match note {
        Note::Finished { n_objects, size_bytes, committed, arrival_millis, queue_wait_millis, load_millis, .. } => {
            let mut metrics = vec![
                count(&[Of::Stack, Of::Warehouse], METRIC_LOADS, 1),
                count(BOTH, METRIC_OBJECTS, *n_objects),
                Metric { name: METRIC_BYTES, unit: "Bytes", value: json!(size_bytes), of: STACK },
                millis(STACK, METRIC_QUEUE_WAIT, *queue_wait_millis),
                millis(STACK, METRIC_LOAD_TIME, *load_millis),
                millis(BOTH, METRIC_FRESHNESS, arrival_millis + queue_wait_millis + load_millis),
            ];
            metrics.extend(committed.rows.map(|rows| count(STACK, METRIC_ROWS, rows)));
            metrics.extend(committed.copy_millis.map(|took| millis(STACK, METRIC_COPY_TIME, took)));
            metrics.extend(committed.merge_millis.map(|took| millis(STACK, METRIC_MERGE_TIME, took)));
            metrics
        }
        Note::Split { .. } => vec![failed(), count(STACK, METRIC_SPLITS, 1)],
        Note::Failed { .. } | Note::SetAside { .. } => vec![failed()],
        Note::Quarantined { n_objects, .. } => vec![failed(), count(BOTH, METRIC_QUARANTINED, *n_objects)],
        Note::Prepared { n_deleted, misfits, .. } | Note::Emptied { n_deleted, misfits, .. } => {
            let n_objects = n_deleted + misfits.as_ref().map_or(0, |misfits| misfits.n_objects);
            let quarantined = (n_objects > 0).then(|| count(BOTH, METRIC_QUARANTINED, n_objects));
            quarantined.into_iter().collect()
        }
        Note::Claimed { .. }
        | Note::Gathered { .. }
        | Note::Submitted { .. }
        | Note::TakenOver { .. }
        | Note::NotSubmitted { .. }
        | Note::Cancelling { .. }
        | Note::GaveWay
        | Note::GivenUp => Vec::new(),
    }
}

fn fields(event: &Event) -> (&'static str, &'static str, Map<String, Value>) {
    let (name, level, value) = match event {
        Event::Recorded { table, n_objects, request_id, messages, .. } => {
            let of = json!({"table": table, "objects": n_objects, "request_id": request_id, "messages": messages});
            ("recorded", "INFO", of)
        }
        Event::Skipped { what, why } => ("skipped", "INFO", json!({"what": what, "why": why})),
        Event::Refused { queue, message_id, passes, why } => refused(queue, message_id, *passes, why),
        Event::Stopped { table, load_id, why } => {
            ("stopped", "WARN", json!({"table": table, "load_id": load_id, "why": why}))
        }
        Event::NotCompared { table, n_objects, why } => not_compared(table, *n_objects, why),
        Event::ColumnsAdded { table, load_id, columns } => columns_added(table, load_id, columns),
        Event::Awake { warehouse, at_millis, .. } => stays_awake(warehouse, *at_millis),
        Event::NotOurs { why } => ("not_ours", "INFO", json!({"why": why})),
        Event::Listed { table, s3_path, objects, new_objects, ended } => (
            "listed",
            "INFO",
            json!({"table": table, "s3_path": s3_path, "objects": objects, "new_objects": new_objects, "ended": ended}),
        ),
        Event::Missed { table, n_objects, first } => missed(table, *n_objects, first),
        Event::Swept { n_tables, n_stuck, .. } => ("swept", "INFO", json!({"tables": n_tables, "stuck": n_stuck})),
        Event::Waiting { table, oldest_millis, seconds_late, n_objects, is_stuck } => (
            "waiting",
            if *seconds_late > 0 || *is_stuck { "WARN" } else { "INFO" },
            json!({
                "table": table, "objects": n_objects, "oldest_millis": oldest_millis,
                "seconds_late": seconds_late, "stuck": is_stuck,
            }),
        ),
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

fn refused(queue: &str, message_id: &str, passes: bool, why: &str) -> (&'static str, &'static str, Value) {
    let value = json!({"queue": queue, "message_id": message_id, "why": why});
    ("refused", if passes { "WARN" } else { "ERROR" }, value)
}

fn stays_awake(warehouse: &str, at_millis: Millis) -> (&'static str, &'static str, Value) {
    ("awake", "INFO", json!({"warehouse": warehouse, "at_millis": at_millis}))
}

fn missed(table: &str, n_objects: usize, first: &str) -> (&'static str, &'static str, Value) {
    ("missed_event", "ERROR", json!({"table": table, "objects": n_objects, "first": first}))
}

fn columns_added(table: &str, load_id: &str, columns: &[String]) -> (&'static str, &'static str, Value) {
    ("columns_added", "WARN", json!({"table": table, "load_id": load_id, "columns": columns}))
}

fn not_compared(table: &str, n_objects: usize, why: &str) -> (&'static str, &'static str, Value) {
    ("not_compared", "WARN", json!({"table": table, "objects": n_objects, "why": why}))
}

fn moved(note: &Note) -> (&'static str, &'static str, Value) {
    match note {
        Note::Claimed { n_objects } => ("claimed", "INFO", json!({"objects": n_objects})),
        Note::Gathered { n_loads, n_objects } => ("gathered", "INFO", json!({"loads": n_loads, "objects": n_objects})),
        Note::Prepared { attempt, n_objects, n_deleted, n_known, n_later, misfits } => {
            let value = json!({
                "attempt": attempt, "objects": n_objects, "deleted_objects": n_deleted, "known_objects": n_known,
                "later_objects": n_later,
            });
            ("prepared", if misfits.is_some() { "ERROR" } else { "INFO" }, with_misfits(value, misfits.as_ref()))
        }
        Note::Emptied { n_deleted, n_known, misfits } => {
            let value = json!({"deleted_objects": n_deleted, "known_objects": n_known});
            ("emptied", if misfits.is_some() { "ERROR" } else { "INFO" }, with_misfits(value, misfits.as_ref()))
        }
        Note::GaveWay => ("gave_way", "INFO", json!({})),
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
        Note::Finished { n_objects, size_bytes, committed, arrival_millis, queue_wait_millis, load_millis, n_next } => {
            (
                "finished",
                "INFO",
                json!({
                    "objects": n_objects,
                    "bytes": size_bytes,
                    "rows": committed.rows,
                    "arrival_millis": arrival_millis,
                    "queue_wait_millis": queue_wait_millis,
                    "load_millis": load_millis,
                    "copy_millis": committed.copy_millis,
                    "merge_millis": committed.merge_millis,
                    "next_load_objects": n_next,
                }),
            )
        }
    }
}

/// Adds the files that were quarantined while the load was prepared.
fn with_misfits(mut value: Value, misfits: Option<&Misfits>) -> Value {
    if let Some(Misfits { n_objects, reason }) = misfits {
        value["quarantined_objects"] = json!(n_objects);
        value["reason"] = json!(reason);
    }
    value
}

#[cfg(test)]
mod tests {
    use loader_core::tracker::change::Committed;

    use super::*;

    /// Names of a line's metrics that have the dimension `Table`.
    fn of_tables(line: &Value) -> Vec<&str> {
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let of_tables = directives.iter().filter(|directive| directive["Dimensions"] == json!([["Stack", "Table"]]));
        let metrics = of_tables.flat_map(|directive| directive["Metrics"].as_array().unwrap());
        metrics.map(|metric| metric["Name"].as_str().unwrap()).collect()
    }

    #[test]
    fn files_that_do_not_fit_are_an_error_and_counted_with_the_deleted_ones() {
        let of = |misfits| {
            let note = Note::Emptied { n_deleted: 1, n_known: 0, misfits };
            let event = Event::Moved { table: "t".into(), load_id: "l".into(), statement_id: None, note };
            Value::Object(line(&event, 0, "stack", 5))
        };
        let told = of(Some(Misfits { n_objects: 2, reason: "s3://b/k: why".into() }));
        assert_eq!((&told["level"], &told["reason"]), (&json!("ERROR"), &json!("s3://b/k: why")));
        assert_eq!((&told["quarantined_objects"], &told["ObjectsQuarantined"]), (&json!(2), &json!(3)));
        assert_eq!((&of(None)["level"], &of(None)["ObjectsQuarantined"]), (&json!("INFO"), &json!(1)));
    }

    #[test]
    fn a_sweep_reports_lateness_for_the_stack_and_for_late_tables_only() {
        let waiting = |seconds_late, is_stuck| Event::Waiting {
            table: "t".into(),
            oldest_millis: 5,
            seconds_late,
            n_objects: 3,
            is_stuck,
        };
        let of = |event: &Event| Value::Object(line(event, 0, "stack", 5));
        let (fine, late, stuck) = (of(&waiting(0, false)), of(&waiting(9, false)), of(&waiting(0, true)));
        assert_eq!((&fine["level"], &late["level"], &stuck["level"]), (&json!("INFO"), &json!("WARN"), &json!("WARN")));
        assert_eq!(of_tables(&fine), ["OldestWaitingMillis", "ObjectsWaiting"]);
        assert_eq!(of_tables(&late), ["OldestWaitingMillis", "ObjectsWaiting", "SecondsLate"]);
        assert_eq!(late["_aws"]["CloudWatchMetrics"].as_array().map(Vec::len), Some(1), "the stack's is the sweep's");
        let swept = Event::Swept { n_tables: 2, oldest_millis: 5, seconds_late: 0, n_objects: 3, n_stuck: 1 };
        let swept = of(&swept);
        assert_eq!(of_tables(&swept), Vec::<&str>::new());
        assert_eq!((&swept["SecondsLate"], &swept["TablesStuck"], &swept["Sweeps"]), (&json!(0), &json!(1), &json!(1)));
    }

    #[test]
    fn calls_count_for_the_stack_on_the_lines_of_loads_and_sweeps() {
        let submitted = Note::Submitted { statement_id: "s".into() };
        let event = Event::Moved { table: "t".into(), load_id: "l".into(), statement_id: None, note: submitted };
        let told = Value::Object(line(&event, 7, "stack", 5));
        assert_eq!((has_calls(&event), &told["Calls"], of_tables(&told).len()), (true, &json!(7), 0));
        assert_eq!(line(&event, 0, "stack", 5).get("_aws"), None);
        let given_up = Event::Moved { table: "t".into(), load_id: "l".into(), statement_id: None, note: Note::GivenUp };
        assert!(!has_calls(&given_up));
    }

    #[test]
    fn a_refusal_that_passes_is_not_counted() {
        let refused = |passes| Event::Refused { queue: "q".into(), message_id: "m".into(), passes, why: "w".into() };
        assert_eq!(line(&refused(false), 0, "stack", 5)["MessagesRefused"], json!(1));
        assert_eq!(line(&refused(true), 0, "stack", 5).get("_aws"), None);
    }

    #[test]
    fn missed_events_are_counted_for_the_stack() {
        let event = Event::Missed { table: "t".into(), n_objects: 2, first: "s3://b/a".into() };
        let line = Value::Object(line(&event, 0, "stack", 5));
        assert_eq!(
            (&line["event"], &line["MissedEvents"], &line["first"]),
            (&json!("missed_event"), &json!(2), &json!("s3://b/a"))
        );
        assert_eq!(of_tables(&line), Vec::<&str>::new());
    }

    #[test]
    fn a_finished_load_is_one_line_with_its_metrics() {
        let note = Note::Finished {
            n_objects: 3,
            size_bytes: 9,
            committed: Committed { rows: Some(7), copy_millis: Some(3), merge_millis: Some(4) },
            arrival_millis: 5,
            queue_wait_millis: 1,
            load_millis: 2,
            n_next: 0,
        };
        let table = "workgroup:w:d:t".to_owned();
        let event = Event::Moved { table, load_id: "l".into(), statement_id: Some("s".into()), note };
        let line = Value::Object(line(&event, 0, "stack", 5));
        assert_eq!((&line["event"], &line["statement_id"]), (&json!("finished"), &json!("s")));
        assert_eq!(of_tables(&line), ["ObjectsLoaded", "FreshnessMillis"]);
        let dimensions = &line["_aws"]["CloudWatchMetrics"][2]["Dimensions"];
        assert_eq!((dimensions, &line["Warehouse"]), (&json!([["Stack", "Warehouse"]]), &json!("workgroup:w")));
        let metrics = [
            "LoadsFinished",
            "ObjectsLoaded",
            "BytesLoaded",
            "RowsLoaded",
            "FreshnessMillis",
            "CopyMillis",
            "MergeMillis",
        ];
        assert_eq!(metrics.map(|name| &line[name]), [1, 3, 9, 7, 8, 3, 4].map(|number| json!(number)).each_ref());
    }

    #[test]
    fn recorded_objects_name_their_messages_and_price_the_minute_of_a_warehouse_that_has_a_price() {
        let of = |microdollars_per_second| {
            let messages = [("m".to_owned(), vec!["a.csv".to_owned()])].into();
            let (table, request_id) = ("workgroup:w:d:t".to_owned(), "r".to_owned());
            let event = Event::Recorded { table, n_objects: 1, request_id, messages, microdollars_per_second };
            Value::Object(line(&event, 0, "stack", 5))
        };
        let (priced, free) = (of(Some(833)), of(None));
        assert_eq!((&priced["WarehouseDollarsAtOnce"], &priced["Warehouse"]), (&json!(0.04998), &json!("workgroup:w")));
        assert_eq!((&free["request_id"], &free["messages"]), (&json!("r"), &json!({"m": ["a.csv"]})));
        assert_eq!((of_tables(&priced).len(), free.get("_aws")), (0, None));
    }

    #[test]
    fn a_minute_awake_counts_at_its_instant_and_for_its_warehouse_alone() {
        let of = |microdollars_per_second| {
            let event = Event::Awake { warehouse: "workgroup:w".into(), at_millis: 3, microdollars_per_second };
            Value::Object(line(&event, 0, "stack", 5))
        };
        // 8 RPU at 0.375 dollars an hour.
        let (priced, free) = (of(Some(833)), of(None));
        assert_eq!((&priced["SecondsAwake"], &priced["WarehouseDollars"]), (&json!(60), &json!(0.04998)));
        assert_eq!((&free["SecondsAwake"], &free["WarehouseDollars"]), (&json!(60), &Value::Null));
        let directives = priced["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!((directives.len(), &directives[0]["Dimensions"]), (1, &json!([["Stack", "Warehouse"]])));
        assert_eq!((&priced["_aws"]["Timestamp"], &priced["Warehouse"]), (&json!(3), &json!("workgroup:w")));
    }
}
