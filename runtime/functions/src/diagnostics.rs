//! Writes what libraries report through `tracing`: one line of JSON per event on standard output, as in Lambda's JSON log format.
//!
//! `tracing-subscriber` would add regular expression filters, which these few lines do not need.

use std::fmt::Debug;

// Disables its output: `tracing` would also write to it, and nothing reads it here.
use log as _;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Lambda's environment variable for the function's log level.
const LOG_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Starts writing events at the level configured for the function, or `INFO`.
pub fn start() {
    let level = std::env::var(LOG_LEVEL).ok().and_then(|level| level.parse().ok());
    // It only fails if a subscriber is already set, and then events are written already.
    let _ = tracing::subscriber::set_global_default(Lines { most: level.unwrap_or(LevelFilter::INFO) });
}

/// Writes events without their spans: the loader's own log shows what an invocation does.
struct Lines {
    most: LevelFilter,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn event(&self, event: &Event<'_>) {
        println!("{}", line(event));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn line(event: &Event<'_>) -> Value {
    let mut fields = Fields(Map::new());
    event.record(&mut fields);
    let Fields(mut line) = fields;
    line.insert("level".to_owned(), json!(event.metadata().level().as_str()));
    Value::Object(line)
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), json!(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects the lines that `Lines` would write.
    struct Kept(Lines, Arc<Mutex<Vec<Value>>>);

    impl Subscriber for Kept {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            self.0.enabled(metadata)
        }

        fn event(&self, event: &Event<'_>) {
            self.1.lock().unwrap().push(line(event));
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            self.0.new_span(span)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn an_event_is_one_line_with_its_level_and_quieter_ones_are_left_out() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        tracing::subscriber::with_default(Kept(Lines { most: LevelFilter::WARN }, lines.clone()), || {
            tracing::info!("not this");
            let span = tracing::error_span!("an invocation");
            span.in_scope(|| tracing::error!(attempt = 2, name = "a \"b\"", "broke"));
        });
        let expected = json!({"message": "broke", "attempt": "2", "name": "a \"b\"", "level": "ERROR"});
        assert_eq!(*lines.lock().unwrap(), [expected]);
    }
}
