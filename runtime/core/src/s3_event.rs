//! S3 event notifications, in every form in which they reach a queue.
//!
//! Sources: S3 user guide, "Event message structure" (plain, test event), SNS developer guide (envelope), EventBridge reference
//! ("Object Created"). Unknown fields are ignored; an error names a required field that is missing.

use jiff::Timestamp;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde_json::Value;

use crate::folder::is_temporary;
use crate::ids::{Millis, ObjectVersion, Version, WaitingObject};
use crate::limits::OBJECT_KEY_BYTES_MAX;
use crate::problem::Problem;

/// The content of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Objects to load.
    pub objects: Vec<WaitingObject>,
    /// When the oldest of them was created, if the message states it.
    pub created_millis: Option<Millis>,
    /// Records that do not name an object to load, with the reason.
    pub skipped: Vec<Skipped>,
    /// Records that cannot be read. The message must not be acknowledged.
    pub problems: Vec<Problem>,
}

/// A record that is understood but has nothing to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The object or event name that was skipped.
    pub what: String,
    /// Why there is nothing to load.
    pub why: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_version: Option<String>,
    event_source: Option<String>,
    event_name: Option<String>,
    event_time: Option<String>,
    s3: Option<RecordS3>,
}

#[derive(Deserialize)]
struct RecordS3 {
    bucket: Bucket,
    object: RecordObject,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordObject {
    key: String,
    size: Option<u64>,
    e_tag: Option<String>,
    version_id: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: DetailObject,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DetailObject {
    key: String,
    size: Option<u64>,
    etag: Option<String>,
    version_id: Option<String>,
}

/// Reads the body of one SQS message. An error concerns the whole message; problems of single records are in the result.
pub fn parse(body: &str) -> Result<Notification, Problem> {
    let value: Value = serde_json::from_str(body)
        .map_err(|error| problem("", format!("the message is not JSON ({error}): {EXPECTED}")))?;
    let value = unwrap_sns(value)?;
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(skip("s3:TestEvent", "S3 sends it once when the notification is configured"));
    }
    if let Some(records) = value.get("Records") {
        let records = records.as_array().ok_or_else(|| problem("Records", format!("no list: {EXPECTED}")))?;
        return Ok(read_records(records));
    }
    if value.get("source").and_then(Value::as_str) == Some("aws.s3") {
        return read_event_bridge(&value);
    }
    Err(problem("", format!("the message has neither `Records` nor `source: aws.s3`: {EXPECTED}")))
}

/// Prefix of the event names that announce an object.
const CREATED: &str = "ObjectCreated:";
const EXPECTED: &str = "expected an S3 event notification (plain, in an SNS envelope, or from EventBridge); look at what sends to this queue";

fn problem(field: &str, message: impl Into<String>) -> Problem {
    Problem { field: field.to_owned(), message: message.into() }
}

fn skip(what: impl Into<String>, why: &'static str) -> Notification {
    Notification { skipped: vec![Skipped { what: what.into(), why }], ..Notification::default() }
}

/// An SNS envelope contains the notification as text.
fn unwrap_sns(value: Value) -> Result<Value, Problem> {
    if value.get("Type").and_then(Value::as_str) != Some("Notification") {
        return Ok(value);
    }
    let message = value.get("Message").and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str(message)
        .map_err(|error| problem("Message", format!("the SNS envelope contains no JSON ({error}): {EXPECTED}")))
}

fn read_records(records: &[Value]) -> Notification {
    let mut notification = Notification::default();
    for (index, record) in records.iter().enumerate() {
        let field = format!("Records[{index}]");
        match Record::deserialize(record) {
            Ok(record) => read_record(&field, record, &mut notification),
            Err(error) => notification.problems.push(problem(&field, format!("{error}: {EXPECTED}"))),
        }
    }
    notification
}

fn read_record(field: &str, record: Record, notification: &mut Notification) {
    // A record written by hand may omit the event name. It then means "load this object".
    let name = record.event_name.unwrap_or_else(|| CREATED.to_owned());
    let source = record.event_source.unwrap_or_else(|| "aws:s3".to_owned());
    if source != "aws:s3" && source != "aws.s3" {
        return notification.problems.push(problem(field, format!("it is from `{source}`, not from S3: {EXPECTED}")));
    }
    if let Some(version) = record.event_version.filter(|version| version.split('.').next() != Some("2")) {
        let message =
            format!("event version `{version}` is not 2.x: this loader is older than the notification; update it");
        return notification.problems.push(problem(field, message));
    }
    if !name.trim_start_matches("s3:").starts_with(CREATED) {
        let why = "only ObjectCreated events announce objects to load";
        return notification.skipped.push(Skipped { what: name, why });
    }
    let Some(s3) = record.s3 else {
        return notification.problems.push(problem(field, format!("has no `s3`: {EXPECTED}")));
    };
    let decoded = decode_key(&s3.object.key)
        .map_err(|message| problem(&format!("{field}.s3.object.key"), message))
        .and_then(|key| {
            let object = RawObject { bucket: s3.bucket.name, key, size: s3.object.size };
            object.sort(field, s3.object.version_id.as_deref(), s3.object.e_tag.as_deref())
        });
    match decoded {
        Ok(Ok(waiting)) => {
            notification.objects.push(waiting);
            let created = record.event_time.as_deref().and_then(millis);
            notification.created_millis = notification.created_millis.into_iter().chain(created).min();
        }
        Ok(Err(skipped)) => notification.skipped.push(skipped),
        Err(problem) => notification.problems.push(problem),
    }
}

/// When S3 finished the request. An unreadable time is ignored, because no row depends on it.
fn millis(time: &str) -> Option<Millis> {
    time.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// In an event from EventBridge, the key is not encoded.
fn read_event_bridge(value: &Value) -> Result<Notification, Problem> {
    if value.get("detail-type").and_then(Value::as_str) != Some("Object Created") {
        let what = value.get("detail-type").and_then(Value::as_str).unwrap_or("no detail-type");
        return Ok(skip(what, "only `Object Created` events announce objects to load"));
    }
    let detail = value.get("detail").unwrap_or(&Value::Null);
    let detail = Detail::deserialize(detail).map_err(|error| problem("detail", format!("{error}: {EXPECTED}")))?;
    let DetailObject { key, size, etag, version_id } = detail.object;
    let object = RawObject { bucket: detail.bucket.name, key, size };
    Ok(match object.sort("detail", version_id.as_deref(), etag.as_deref())? {
        Ok(waiting) => {
            let created_millis = value.get("time").and_then(Value::as_str).and_then(millis);
            Notification { objects: vec![waiting], created_millis, ..Notification::default() }
        }
        Err(skipped) => Notification { skipped: vec![skipped], ..Notification::default() },
    })
}

struct RawObject {
    bucket: String,
    key: String,
    size: Option<u64>,
}

impl RawObject {
    fn sort(
        self,
        field: &str,
        version_id: Option<&str>,
        etag: Option<&str>,
    ) -> Result<Result<WaitingObject, Skipped>, Problem> {
        let what = format!("s3://{}/{}", self.bucket, self.key);
        if self.bucket.is_empty() || self.key.is_empty() || self.key.len() > OBJECT_KEY_BYTES_MAX {
            return Err(problem(
                field,
                format!("`{what}` is not an object: a bucket and a key of 1 to 1024 bytes are needed"),
            ));
        }
        if self.size == Some(0) {
            let why = if self.key.ends_with('/') {
                "a folder marker contains no rows"
            } else {
                "a zero-byte object contains no rows"
            };
            return Ok(Err(Skipped { what, why }));
        }
        if is_temporary(&self.key) {
            return Ok(Err(Skipped { what, why: "Hadoop later moves files in _temporary/ to their final keys" }));
        }
        let version = Version::new(version_id, etag).ok_or_else(|| {
            problem(
                field,
                format!(
                    "`{what}` has neither `versionId` nor `eTag`: it could not be distinguished from its next version"
                ),
            )
        })?;
        let object = ObjectVersion { bucket: self.bucket, key: self.key, version };
        Ok(Ok(WaitingObject { object, size_bytes: self.size.unwrap_or(1) }))
    }
}

/// Decodes a form-urlencoded key, as notifications and listings contain it: `+` is a space, everything else is percent-encoded UTF-8. An
/// error shows the key.
pub fn decode_key(encoded: &str) -> Result<String, String> {
    let spaces = encoded.replace('+', " ");
    percent_decode(spaces.as_bytes())
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| format!("`{encoded}` is not percent-encoded UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(key: &str, size: u64) -> Value {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": size, "eTag": "e", "sequencer": "0A"}}})
    }

    fn keys(body: &Value) -> Vec<String> {
        parse(&body.to_string()).unwrap().objects.into_iter().map(|waiting| waiting.object.key).collect()
    }

    #[test]
    fn a_record_without_an_event_name_is_loaded_and_one_without_an_object_is_a_problem() {
        let text = r#"{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "k", "eTag": "e"}}}, {}]}"#;
        let notification = parse(text).unwrap();
        assert_eq!(notification.objects.len(), 1);
        assert_eq!(notification.problems.len(), 1, "{notification:?}");
    }

    #[test]
    fn plus_in_key_is_a_space_and_the_rest_is_percent_decoded() {
        let body = json!({"Records": [record("a+b%2Bc%25%3D%C3%BC/dt%3D1.parquet", 1)]});
        assert_eq!(keys(&body), ["a b+c%=ü/dt=1.parquet"]);
    }

    #[test]
    fn all_records_of_a_message_are_read() {
        let body = json!({"Records": [record("1", 1), record("2", 1), record("3", 1), record("4", 1), record("5", 1)]});
        assert_eq!(keys(&body), ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn an_sns_envelope_and_an_event_bridge_shape() {
        let plain = json!({"Records": [record("k", 1)]});
        assert_eq!(keys(&json!({"Type": "Notification", "Message": plain.to_string()})), ["k"]);
        let bridge = json!({"source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b", "size": 3, "etag": "e", "version-id": "v"}}});
        let notification = parse(&bridge.to_string()).unwrap();
        assert_eq!(notification.objects[0].object.key, "a+b");
        assert_eq!(notification.objects[0].object.version, Version::Id("v".into()));
    }

    #[test]
    fn a_message_says_when_its_first_object_was_created() {
        let created = |body: &Value| parse(&body.to_string()).unwrap().created_millis;
        let at = |time: &str| {
            let mut record = record("k", 1);
            record["eventTime"] = json!(time);
            record
        };
        let (first, second) = (at("2026-01-31T08:00:00.250Z"), at("2026-01-31T08:00:01Z"));
        assert_eq!(created(&json!({"Records": [second, first, record("k", 1)]})), Some(1_769_846_400_250));
        assert_eq!(created(&json!({"Records": [at("yesterday"), record("k", 1)]})), None);
        let bridge = json!({"source": "aws.s3", "detail-type": "Object Created", "time": "2026-01-31T08:00:00Z",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "k", "size": 3, "etag": "e"}}});
        assert_eq!(created(&bridge), Some(1_769_846_400_000));
    }

    #[test]
    fn records_without_rows_are_skipped_with_a_reason() {
        let removed =
            json!({"eventName": "ObjectRemoved:Delete", "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}});
        let temporary = record("orders/_temporary/0/part-0.parquet", 1);
        let body = json!({"Records": [record("folder/", 0), record("empty", 0), temporary, removed, record("my_temporary/good", 1)]});
        let notification = parse(&body.to_string()).unwrap();
        assert_eq!(notification.objects.len(), 1);
        let why: Vec<_> = notification.skipped.iter().map(|skipped| skipped.why).collect();
        assert_eq!(
            why,
            [
                "a folder marker contains no rows",
                "a zero-byte object contains no rows",
                "Hadoop later moves files in _temporary/ to their final keys",
                "only ObjectCreated events announce objects to load"
            ]
        );
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
        assert_eq!(parse(&test.to_string()).unwrap().skipped.len(), 1);
    }

    #[test]
    fn a_broken_record_is_a_problem_and_the_good_one_beside_it_is_read() {
        let newer = json!({"eventVersion": "3.0", "eventName": "ObjectCreated:Put"});
        let no_version = json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "size": 1}}});
        let body = json!({"Records": [record("good", 1), newer, no_version, {"s3": 1}, record("%FF", 1)]});
        let notification = parse(&body.to_string()).unwrap();
        assert_eq!(notification.objects.len(), 1);
        let fields: Vec<_> = notification.problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["Records[1]", "Records[2]", "Records[3]", "Records[4].s3.object.key"]);
    }

    #[test]
    fn a_body_that_is_not_a_notification_is_an_error() {
        for body in ["", "hello", "{}", "[]", "{\"Records\": 1}", "{\"Type\": \"Notification\"}", "null"] {
            let error = parse(body).unwrap_err().to_string();
            assert!(error.contains("S3 event notification"), "{body}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_a_panic(body in ".{0,200}") {
            let _ = parse(&body);
        }

        #[test]
        fn every_key_survives_the_encoding(key in ".{1,60}") {
            let encoded: String = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string();
            let body = json!({"Records": [record(&encoded, 1)]});
            proptest::prop_assert_eq!(keys(&body), [key]);
        }
    }
}
