//! The stand-in's own calls: S3, as the warehouse makes them, and `EventBridge` and Lambda, as the event bus does.

use std::fmt;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_lambda::Client as Lambda;
use aws_sdk_s3::Client as S3;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use bytes::Bytes;

use crate::Settings;

pub struct Aws {
    pub region: String,
    pub account: String,
    pub events: EventBridge,
    pub lambda: Lambda,
    s3: S3,
}

/// S3's error response.
#[derive(Clone, Debug)]
pub struct S3Failure {
    status: u16,
    code: String,
    message: String,
    request: String,
}

impl S3Failure {
    pub fn is_missing_key(&self) -> bool {
        self.code == "NoSuchKey" || (self.status == 404 && self.code != "NoSuchBucket")
    }
}

impl fmt::Display for S3Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message, request } = self;
        write!(
            formatter,
            "S3ServiceException:{message},Status {status},Error {code},Rid {request},ExtRid {request},CanRetry 1"
        )
    }
}

impl Aws {
    /// Creates the clients, with the credentials of the environment or invented ones; local services accept any.
    pub async fn connect(settings: &Settings) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let credentials = match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => {
                Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment")
            }
            _ => Credentials::new("test", "test", None, None, "stand-in"),
        };
        let shared = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::new(settings.region.clone()))
            .endpoint_url(&settings.aws_endpoint)
            .credentials_provider(credentials)
            .load()
            .await;
        let s3 = aws_sdk_s3::config::Builder::from(&shared).force_path_style(true).build();
        Self {
            region: settings.region.clone(),
            account: settings.account.clone(),
            events: EventBridge::new(&shared),
            lambda: Lambda::new(&shared),
            s3: S3::from_conf(s3),
        }
    }

    pub async fn get(&self, bucket: &str, key: &str) -> Result<Bytes, S3Failure> {
        let answer = self.s3.get_object().bucket(bucket).key(key).send().await.map_err(|error| failure(&error))?;
        let body = answer.body.collect().await.map_err(|error| S3Failure {
            status: 500,
            code: "InternalError".to_owned(),
            message: error.to_string(),
            request: String::new(),
        })?;
        Ok(body.into_bytes())
    }

    /// Lists all keys with this prefix, in order.
    pub async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, S3Failure> {
        let mut pages = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failure(&error))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        Ok(keys)
    }
}

fn failure<E: ProvideErrorMetadata>(error: &SdkError<E>) -> S3Failure {
    let status = error.raw_response().map_or(503, |response| response.status().as_u16());
    let request = error.raw_response().and_then(|response| response.headers().get("x-amz-request-id"));
    let request = request.unwrap_or("0000000000000000").to_owned();
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    let code =
        meta.and_then(|meta| meta.code()).unwrap_or(if status == 404 { "NoSuchKey" } else { "ServiceUnavailable" });
    let message = meta.and_then(|meta| meta.message()).unwrap_or(match code {
        "NoSuchKey" => "The specified key does not exist.",
        "NoSuchBucket" => "The specified bucket does not exist",
        "AccessDenied" => "Access Denied",
        _ => "Please reduce your request rate.",
    });
    S3Failure { status, code: code.to_owned(), message: message.to_owned(), request }
}
