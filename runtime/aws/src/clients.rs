//! The clients: created and connected once, while the execution environment starts.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
// Selects its version: host names of services are ASCII, so the Unicode tables need not be linked.
use idna_adapter as _;
use loader_core::contract::{TRACKER_PARTITION_KEY, TRACKER_SORT_KEY};
use loader_core::settings::Settings;

use crate::calls::Calls;
use crate::trust::Roots;
use crate::{Aws, configs, footers, json_paths, log};

/// Number of attempts for one call, including the first; every repeat has the same identity.
const ATTEMPTS_MAX: u32 = 4;
const CONNECT_SECONDS: u64 = 3;
/// Timeout of an attempt, in seconds. A response that takes longer counts as lost; the functions' calls take milliseconds.
const ATTEMPT_SECONDS: u64 = 12;
/// Total time for the first calls, in seconds, so that an unavailable service does not delay the start.
const WARM_UP_SECONDS: u64 = 3;
/// Text of the TLS library's error about a certificate that it does not accept.
const REFUSED: &str = "invalid peer certificate";

/// Looks up environment variables that are not empty.
type Variables<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

impl Aws {
    /// Reads Region, credentials and endpoints from the environment, where Lambda puts them. Profiles and metadata services are not used,
    /// because Lambda has none. An error names the variable that cannot be used.
    pub async fn connect(settings: Settings) -> Result<Self, String> {
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).unwrap_or_default();
        let roots = Roots::choose(&region, variable);
        Self::connect_with(settings, &region, roots, &variable).await
    }

    /// Connects with these roots, or with the system's if a service's certificate does not have one of Amazon's roots.
    pub(crate) async fn connect_with(
        settings: Settings,
        region: &str,
        roots: Roots,
        variable: Variables<'_>,
    ) -> Result<Self, String> {
        let aws = Self::with_config(settings, &shared_config(region, &roots, variable)?, variable);
        // The TLS handshake takes most of a first call. Done while the environment starts, it delays no file.
        let accepted = Box::pin(aws.warm_up()).await;
        if accepted || roots != Roots::Amazon {
            return Ok(aws);
        }
        log::warn("a service's certificate has none of Amazon's five roots: the system's store is used instead");
        let aws = Self::with_config(aws.settings, &shared_config(region, &Roots::System, variable)?, variable);
        Box::pin(aws.warm_up()).await;
        Ok(aws)
    }

    fn with_config(settings: Settings, shared: &SdkConfig, variable: Variables) -> Self {
        let endpoint =
            |service: &str| variable(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| variable("AWS_ENDPOINT_URL"));
        let calls = Calls::default();
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(shared).interceptor(calls.clone());
        let mut redshift_data = aws_sdk_redshiftdata::config::Builder::from(shared).interceptor(calls.clone());
        // A custom endpoint rarely resolves `bucket.host`.
        let mut s3 = aws_sdk_s3::config::Builder::from(shared).interceptor(calls.clone());
        s3.set_force_path_style(Some(endpoint("S3").is_some()));
        dynamodb.set_endpoint_url(endpoint("DYNAMODB"));
        redshift_data.set_endpoint_url(endpoint("REDSHIFT_DATA"));
        s3.set_endpoint_url(endpoint("S3"));
        let aws = Self::with_clients(
            settings,
            aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            aws_sdk_s3::Client::from_conf(s3.build()),
            aws_sdk_redshiftdata::Client::from_conf(redshift_data.build()),
        );
        Self { calls, ..aws }
    }

    /// Uses existing clients, for example with a profile or for the local stack. Their calls are not counted.
    pub fn with_clients(
        settings: Settings,
        dynamodb: aws_sdk_dynamodb::Client,
        s3: aws_sdk_s3::Client,
        redshift_data: aws_sdk_redshiftdata::Client,
    ) -> Self {
        Self {
            dynamodb,
            s3,
            redshift_data,
            configs: configs::Cache::default(),
            json_paths: json_paths::Cache::default(),
            footers: footers::Footers::default(),
            calls: Calls::default(),
            settings,
        }
    }

    /// Makes one harmless call per service and ignores the results. Returns whether the services' certificates were accepted.
    async fn warm_up(&self) -> bool {
        let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let item = self
            .dynamodb
            .get_item()
            .table_name(&self.settings.tracker_table)
            .key(TRACKER_PARTITION_KEY, key("warm-up"))
            .key(TRACKER_SORT_KEY, key("warm-up"))
            .customize()
            .config_override(aws_sdk_dynamodb::config::Config::builder().retry_config(RetryConfig::disabled()))
            .send();
        let object = self
            .s3
            .head_object()
            .bucket(&self.settings.config_bucket)
            .key(format!("{}warm-up", self.settings.config_prefix))
            .customize()
            .config_override(aws_sdk_s3::config::Config::builder().retry_config(RetryConfig::disabled()))
            .send();
        let statement = self
            .redshift_data
            .describe_statement()
            .id("00000000-0000-0000-0000-000000000000")
            .customize()
            .config_override(aws_sdk_redshiftdata::config::Config::builder().retry_config(RetryConfig::disabled()))
            .send();
        let calls = async { tokio::join!(item, object, statement) };
        match tokio::time::timeout(Duration::from_secs(WARM_UP_SECONDS), calls).await {
            Ok((item, object, statement)) => !(refused(&item) || refused(&object) || refused(&statement)),
            Err(_) => true,
        }
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn shared_config(region: &str, roots: &Roots, variable: Variables) -> Result<SdkConfig, String> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
        .operation_attempt_timeout(Duration::from_secs(ATTEMPT_SECONDS))
        .build();
    let is_on = |name: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts)
        .http_client(roots.client()?);
    if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        let credentials = Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
        config.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
    }
    Ok(config.build())
}

/// Whether a call failed because the service's certificate was not accepted.
fn refused<T, E: Error + 'static>(outcome: &Result<T, E>) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = outcome.as_ref().err().map(|error| error as _);
    while let Some(error) = cause {
        if error.to_string().contains(REFUSED) {
            return true;
        }
        cause = error.source();
    }
    false
}
