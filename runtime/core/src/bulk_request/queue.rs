//! Requests that are made from a queue's file: for one of its folders, and those that its schedules send.

use serde_json::{Value, json};

use crate::config::{LoadConfig, SourceFolder};
use crate::schedule::{DatedPath, Schedule, TIME_ZONE_DEFAULT};

/// Field of a request that was sent by a schedule: the instant for which it was scheduled. Such a request may have dates in its paths.
pub const SCHEDULED_TIME_FIELD: &str = "scheduled_time";
/// Placeholder that `EventBridge` Scheduler replaces with that instant (Scheduler user guide, "Adding context attributes").
pub const SCHEDULED_TIME_ATTRIBUTE: &str = "<aws.scheduler.scheduled-time>";

/// The request for a folder with a queue's table, options, warehouse and limits.
pub fn of_queue(config: &LoadConfig, s3_path: &str) -> Value {
    with_queue(json!({}), config, s3_path)
}

/// The request that a schedule sends for a queue's table, each time.
pub fn scheduled(config: &LoadConfig, schedule: &Schedule) -> Value {
    let request = json!({SCHEDULED_TIME_FIELD: SCHEDULED_TIME_ATTRIBUTE, "timezone": schedule.time_zone});
    with_queue(request, config, &schedule.path.text)
}

fn with_queue(mut request: Value, config: &LoadConfig, s3_path: &str) -> Value {
    let document: Value = serde_json::from_str(&config.document).unwrap_or_default();
    request["paths"] = json!([{"s3_path": s3_path, "table": document["copy"]["table_name"]}]);
    for name in ["copy", "cluster", "load", "warehouse"] {
        if !document[name].is_null() {
            request[name] = document[name].clone();
        }
    }
    if let Some(copy) = request["copy"].as_object_mut() {
        copy.remove("table_name");
    }
    if !document["options"].is_null() {
        request["paths"][0]["options"] = document["options"].clone();
    }
    request
}

/// The request that a source check sends each time; `None` if the queue has none.
pub fn source_check(config: &LoadConfig) -> Option<Value> {
    let (check, source) = (config.source_check?, config.source.as_ref()?);
    let text = format!("s3://{}/{}", source.bucket, source.prefix).replace('{', "{{").replace('}', "}}");
    let path = DatedPath::parse(&text).ok()?;
    let schedule = Schedule { expression: check.expression(), path, time_zone: TIME_ZONE_DEFAULT.to_owned() };
    let mut request = scheduled(config, &schedule);
    request["check"] = json!(check.to_string());
    if let Some(SourceFolder { bucket, prefix }) = &config.inventory {
        request["inventory"] = json!(format!("s3://{bucket}/{prefix}"));
    }
    Some(request)
}

/// Whether a schedule sent the request. Then no one reads the answer, so incomplete work must be an error.
pub fn is_scheduled(payload: &Value) -> bool {
    payload.get(SCHEDULED_TIME_FIELD).is_some()
}
