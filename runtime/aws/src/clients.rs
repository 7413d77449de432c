//! The clients: made and connected once, while the execution environment starts.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::settings::Settings;

use crate::{Aws, configs};

/// Tries of one call, the first included; every repeat has the same identity.
const ATTEMPTS_MAX: u32 = 4;
const CONNECT_SECONDS: u64 = 3;
/// An answer that takes longer is lost; the functions' calls take milliseconds.
const ATTEMPT_SECONDS: u64 = 12;
/// The first calls share this time, so that a service that is away does not hold up the start.
const WARM_UP_SECONDS: u64 = 3;

impl Aws {
    /// Reads region, credentials and endpoints from the environment, as every AWS SDK does.
    pub async fn connect(settings: Settings) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            .operation_attempt_timeout(Duration::from_secs(ATTEMPT_SECONDS))
            .build();
        let shared = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts)
            .load()
            .await;
        // A custom endpoint rarely resolves bucket.host.
        let own_endpoint =
            ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"].iter().any(|name| std::env::var_os(name).is_some());
        let s3 = aws_sdk_s3::config::Builder::from(&shared).force_path_style(own_endpoint).build();
        let aws = Self::with_clients(
            settings,
            aws_sdk_dynamodb::Client::new(&shared),
            aws_sdk_s3::Client::from_conf(s3),
            aws_sdk_redshiftdata::Client::new(&shared),
        );
        // TLS takes most of a first call; while the environment starts it costs nobody's file a second.
        let _ = tokio::time::timeout(Duration::from_secs(WARM_UP_SECONDS), aws.warm_up()).await;
        aws
    }

    /// Uses clients that a program has already: of a profile, of the local stack.
    pub fn with_clients(
        settings: Settings,
        dynamodb: aws_sdk_dynamodb::Client,
        s3: aws_sdk_s3::Client,
        redshift_data: aws_sdk_redshiftdata::Client,
    ) -> Self {
        Self { dynamodb, s3, redshift_data, configs: configs::Cache::default(), settings }
    }

    /// One harmless call per service; the results do not matter.
    async fn warm_up(&self) {
        let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let item = self
            .dynamodb
            .get_item()
            .table_name(&self.settings.tracker_table)
            .key(TRACKER_PARTITION_KEY, key("warm-up"))
            .key(TRACKER_SORT_KEY, key("warm-up"))
            .send();
        let object = self
            .s3
            .head_object()
            .bucket(&self.settings.config_bucket)
            .key(format!("{}warm-up", self.settings.config_prefix))
            .send();
        let statement = self.redshift_data.describe_statement().id("00000000-0000-0000-0000-000000000000").send();
        let _ = tokio::join!(item, object, statement);
    }
}
