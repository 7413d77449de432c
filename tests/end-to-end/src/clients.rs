//! SDK clients of the stack's root user, and a small JSON client for the stand-in's own administration.

use anyhow::{Context, Result, bail};
use aws_sdk_s3::config::RequestChecksumCalculation;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local_stack::StackInfo;
use serde_json::Value;

/// Everything a test may call.
#[derive(Debug, Clone)]
pub struct Clients {
    /// CloudFormation.
    pub cloudformation: aws_sdk_cloudformation::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Lambda.
    pub lambda: aws_sdk_lambda::Client,
    /// Redshift Data API.
    pub redshift_data: aws_sdk_redshiftdata::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Where all of them are sent to.
    pub endpoint: String,
    /// The stand-in's administration.
    pub standin: Standin,
}

macro_rules! client {
    ($sdk:ident, $info:expr $(, $set:ident($value:expr))*) => {{
        use $sdk::config::{BehaviorVersion, Credentials, Region};
        let credentials = Credentials::new(&$info.access_key_id, &$info.secret_access_key, None, None, "local stack");
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new($info.region.clone()))
            .credentials_provider(credentials)
            .endpoint_url(&$info.endpoint)
            $(.$set($value))*;
        $sdk::Client::from_conf(config.build())
    }};
}

impl Clients {
    /// For the stack that `info` describes.
    pub fn new(info: &StackInfo) -> Self {
        Self {
            cloudformation: client!(aws_sdk_cloudformation, info),
            dynamodb: client!(aws_sdk_dynamodb, info),
            lambda: client!(aws_sdk_lambda, info),
            redshift_data: client!(aws_sdk_redshiftdata, info),
            s3: client!(
                aws_sdk_s3,
                info,
                force_path_style(true),
                request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            ),
            sqs: client!(aws_sdk_sqs, info),
            endpoint: info.endpoint.clone(),
            standin: Standin::new(info),
        }
    }
}

/// The paths under `/_standin/`.
#[derive(Debug, Clone)]
pub struct Standin {
    http: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Standin {
    fn new(info: &StackInfo) -> Self {
        Self { http: Client::builder(TokioExecutor::new()).build_http(), base: format!("{}/_standin", info.endpoint) }
    }

    /// Changes settings.
    pub async fn set(&self, change: Value) -> Result<()> {
        let uri = format!("{}/settings", self.base);
        self.send(Request::post(uri).body(Full::new(Bytes::from(change.to_string())))?).await.map(drop)
    }

    /// All statements it remembers, newest first.
    pub async fn statements(&self) -> Result<Vec<Value>> {
        let uri = format!("{}/statements", self.base);
        let answer = self.send(Request::get(uri).body(Full::default())?).await?;
        answer.as_array().cloned().context("no list of statements")
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Value> {
        let answer = self.http.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("the stand-in answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
