//! Error responses in the services' formats, for toxics and refused calls.

use hyper::Response;
use hyper::header::HeaderValue;
use serde_json::json;

use super::classify::Operation;
use super::forward::{Answer, whole};
use super::json;

/// An error response of the operation's service.
pub fn error(operation: &Operation, status: u16, code: &str, message: &str) -> Answer {
    match operation.service.as_str() {
        "s3" => {
            xml(status, &format!("<Error><Code>{}</Code><Message>{}</Message></Error>", escape(code), escape(message)))
        }
        "iam" | "sts" | "cloudformation" | "sns" | "monitoring" => xml(
            status,
            &format!(
                "<ErrorResponse><Error><Type>{}</Type><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>",
                if status < 500 { "Sender" } else { "Receiver" },
                escape(code),
                escape(message)
            ),
        ),
        _ => {
            let mut answer = json(status, &json!({ "__type": code, "message": message }));
            if let Ok(value) = HeaderValue::from_str(code) {
                answer.headers_mut().insert("x-amzn-errortype", value);
            }
            answer
        }
    }
}

/// The service's throttling error.
pub fn throttled(operation: &Operation) -> Answer {
    let (status, code, message) = match operation.service.as_str() {
        "s3" => (503, "SlowDown", "Please reduce your request rate."),
        "dynamodb" => (400, "ThrottlingException", "Rate of requests exceeds the allowed throughput."),
        "lambda" => (429, "TooManyRequestsException", "Rate exceeded"),
        "sqs" => (403, "RequestThrottled", "Request is throttled."),
        _ => (400, "ThrottlingException", "Rate exceeded"),
    };
    error(operation, status, code, message)
}

fn xml(status: u16, text: &str) -> Answer {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}");
    let mut answer = Response::new(whole(text.into()));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
    answer
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
