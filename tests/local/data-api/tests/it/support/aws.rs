//! A fake S3 (path style), event bus and Lambda, as far as the stand-in needs them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
pub struct FakeAws {
    pub url: String,
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
    /// Patterns of the rules, by name.
    rules: Arc<Mutex<BTreeMap<String, Value>>>,
    invoked: Arc<Mutex<Vec<(String, Value)>>>,
    refusals: Arc<Mutex<u32>>,
}

impl FakeAws {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let aws = Self { url, ..Self::default() };
        let router = Router::new().fallback(handle).with_state(aws.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        aws
    }

    /// Puts an object; `path` is its bucket and key.
    pub fn put(&self, path: &str, content: impl Into<Bytes>) {
        self.objects.lock().expect("objects").insert(path.to_owned(), content.into());
    }

    /// Puts a manifest of these objects, each with its length.
    pub fn put_manifest(&self, path: &str, objects: &[&str]) {
        let entries: Vec<Value> = objects.iter().map(|object| self.entry(object)).collect();
        self.put(path, json!({"entries": entries}).to_string());
    }

    fn entry(&self, object: &str) -> Value {
        let length = self.objects.lock().expect("objects").get(object).map_or(0, Bytes::len);
        json!({"url": format!("s3://{object}"), "mandatory": true, "meta": {"content_length": length}})
    }

    pub fn put_rule(&self, name: &str, pattern: &Value) {
        self.rules.lock().expect("rules").insert(name.to_owned(), pattern.clone());
    }

    /// Makes the next `count` invocations fail with 503.
    pub fn refuse_invocations(&self, count: u32) {
        *self.refusals.lock().expect("refusals") = count;
    }

    /// Waits until this many invocations have arrived.
    pub async fn invocations(&self, count: usize) -> Vec<(String, Value)> {
        for _ in 0..1000 {
            let invoked = self.invoked.lock().expect("invocations").clone();
            if invoked.len() >= count {
                return invoked;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} invocations did not arrive")
    }

    fn bus(&self, target: &str, body: &Bytes) -> Response {
        let rules = self.rules.lock().expect("rules");
        let answer = if target == "AWSEvents.ListRules" {
            let rule = |(name, pattern): (&String, &Value)| json!({"Name": name, "State": "ENABLED", "EventPattern": pattern.to_string()});
            json!({"Rules": rules.iter().map(rule).collect::<Vec<_>>()})
        } else {
            let request: Value = serde_json::from_slice(body).expect("JSON");
            let name = request["Rule"].as_str().expect("a rule");
            json!({"Targets": [{"Id": "1", "Arn": format!("arn:aws:lambda:us-east-1:123456789012:function:{name}")}]})
        };
        ([("content-type", "application/x-amz-json-1.1")], answer.to_string()).into_response()
    }

    fn invoke(&self, path: &str, body: &Bytes) -> Response {
        let mut refusals = self.refusals.lock().expect("refusals");
        if *refusals > 0 {
            *refusals -= 1;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let function = path.rsplit('/').nth(1).unwrap_or_default().rsplit(':').next().unwrap_or_default();
        let payload = serde_json::from_slice(body).expect("JSON");
        self.invoked.lock().expect("invocations").push((function.to_owned(), payload));
        StatusCode::ACCEPTED.into_response()
    }

    fn get(&self, path: &str, query: &str) -> Response {
        let objects = self.objects.lock().expect("objects");
        if query.contains("list-type=2") {
            let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).map(decode).unwrap_or_default();
            let prefix = format!("{}/{prefix}", path.trim_matches('/'));
            let keys = objects.keys().filter(|key| key.starts_with(&prefix));
            let entry = |(_, key): (&str, &str)| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
            let contents = keys.filter_map(|key| key.split_once('/')).map(entry).collect::<Vec<_>>().concat();
            return format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>")
                .into_response();
        }
        if let Some(content) = objects.get(path.trim_start_matches('/')) {
            return content.clone().into_response();
        }
        let body = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";
        (StatusCode::NOT_FOUND, body).into_response()
    }
}

async fn handle(State(aws): State<FakeAws>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = decode(uri.path());
    match method {
        Method::POST if !target.is_empty() => aws.bus(target, &body),
        Method::POST if path.ends_with("/invocations") => aws.invoke(&path, &body),
        Method::GET => aws.get(&path, uri.query().unwrap_or_default()),
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = code.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).expect("UTF-8")
}
