//! The AWS clients of an account or of the local stack. Only this module distinguishes the two.

use std::fmt;

use anyhow::{Context, Result, anyhow};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::error::SdkError;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use clap::Args;
use local_client::StackInfo;

use crate::ground::output::Failure;
use crate::ground::{profile, running};

/// The target: the account of the ambient credentials, or the local stack.
#[derive(Args, Clone, Debug, Default)]
pub struct AwsArgs {
    /// Use the local stack on this machine instead of an AWS account
    #[arg(long)]
    pub local: bool,
    /// Profile of the AWS configuration files; only its credentials and Region are used [default: $AWS_PROFILE]
    #[arg(long, conflicts_with = "local", value_name = "NAME")]
    pub profile: Option<String>,
    /// Region, e.g. us-east-1 [default: $AWS_REGION, or the profile's]
    #[arg(long, conflicts_with = "local", value_name = "REGION")]
    pub region: Option<String>,
}

/// The clients for one account and Region.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    /// Region of all clients.
    pub region: String,
    /// The local stack, if the clients use it.
    pub local: Option<StackInfo>,
}

impl Aws {
    /// Clients for an account, or for the running local stack.
    pub async fn new(args: &AwsArgs) -> Result<Self> {
        if args.local { Self::of_stack(running::stack()?).await } else { Self::of_account(args).await }
    }

    /// Clients for the account of the profile, or of the ambient credentials.
    async fn of_account(args: &AwsArgs) -> Result<Self> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https());
        let region = args.region.clone().map(Region::new);
        if let Some(name) = &args.profile {
            loader = profile::only(loader, name, region).await?;
        } else if let Some(region) = region {
            loader = loader.region(region);
        }
        let config = loader.load().await;
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(
                Failure::usage("no AWS Region is configured", "add --region us-east-1, or set AWS_REGION").into()
            );
        };
        Ok(Self { config, region, local: None })
    }

    pub async fn of_stack(stack: StackInfo) -> Result<Self> {
        let credentials = Credentials::new(&stack.access_key_id, &stack.secret_access_key, None, None, "local stack");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(https())
            .region(Region::new(stack.region.clone()))
            .endpoint_url(&stack.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .load()
            .await;
        Ok(Self { config, region: stack.region.clone(), local: Some(stack) })
    }

    pub fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.config)
    }

    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.config)
    }

    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.config)
    }

    pub fn redshift_data(&self) -> aws_sdk_redshiftdata::Client {
        aws_sdk_redshiftdata::Client::new(&self.config)
    }

    /// S3 client. Uses path style if the endpoint is overridden, because bucket names do not resolve there.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(self.endpoint().is_some());
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// The endpoint that replaces the service's own, if any.
    pub fn endpoint(&self) -> Option<String> {
        let of_environment = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let of_config = self.config.endpoint_url().map(str::to_owned);
        of_config.or_else(|| of_environment("AWS_ENDPOINT_URL_S3")).or_else(|| of_environment("AWS_ENDPOINT_URL"))
    }

    /// The account of the credentials. This is the first call, so missing credentials are reported here.
    pub async fn place(&self) -> Result<Place> {
        // An identity has no Region; everything that is deployed is in the client's.
        Ok(Place { region: self.region.clone(), ..Place::of_arn(&self.caller().await?)? })
    }

    /// The ARN of the credentials, as audit records name the operator.
    pub async fn caller(&self) -> Result<String> {
        let identity = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await.map_err(|error| {
            let hint = "sign in (`aws login`, `aws sso login`), or choose credentials with --profile NAME; for this machine only, add --local";
            Failure::new(format!("AWS does not accept the credentials, or there are none: {}", Cause(&error)), hint)
        })?;
        Ok(identity.arn().context("the identity has no ARN")?.to_owned())
    }
}

/// An HTTP client that accepts the certificates of the system's store.
pub fn https() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// Partition, Region and account of resources. Partition and account can be read from any ARN of the same stack.
#[derive(Clone, Debug)]
pub struct Place {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    pub region: String,
    /// Account number.
    pub account: String,
}

impl Place {
    pub fn of_arn(arn: &str) -> Result<Self> {
        match arn.splitn(6, ':').collect::<Vec<_>>().as_slice() {
            ["arn", partition, _, region, account, _] => {
                Ok(Self { partition: (*partition).into(), region: (*region).into(), account: (*account).into() })
            }
            _ => Err(anyhow!("`{arn}` is not an ARN: it has six parts, as in arn:aws:s3:::bucket")),
        }
    }

    pub fn queue_arn(&self, name: &str) -> String {
        format!("arn:{}:sqs:{}:{}:{name}", self.partition, self.region, self.account)
    }
}

/// A short form of a service's error: its code and message, or the chain of causes if the service did not respond.
pub struct Cause<'a, E>(pub &'a E);

impl<E: ProvideErrorMetadata + std::error::Error> fmt::Display for Cause<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.message()) {
            (Some(code), Some(message)) => write!(f, "{message} ({code})"),
            (Some(code), None) => f.write_str(code),
            _ => {
                let chain = format!("{}", DisplayErrorContext(self.0));
                f.write_str(chain.split(" (").next().unwrap_or(&chain))
            }
        }
    }
}

/// Converts a service's error to one that says what could not be done.
pub fn failed<E: ProvideErrorMetadata + std::error::Error>(
    wanted: impl fmt::Display,
) -> impl FnOnce(E) -> anyhow::Error {
    move |error| anyhow!("cannot {wanted}: {}", Cause(&error))
}

/// The same for a HEAD request, whose response has no error text, only a status and perhaps the Region of the bucket.
pub fn failed_head<E>(wanted: impl fmt::Display, error: &SdkError<E>) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let response = error.raw_response();
    let region = response.and_then(|response| response.headers().get("x-amz-bucket-region"));
    match (response.map(|response| response.status().as_u16()), region) {
        (Some(301 | 400), Some(region)) => anyhow!("cannot {wanted}: it is in {region}, another Region"),
        (Some(403), _) => {
            anyhow!("cannot {wanted}: HTTP 403: it belongs to another account, or these credentials have no permission")
        }
        (Some(status), _) => anyhow!("cannot {wanted}: HTTP {status}"),
        (None, _) => anyhow!("cannot {wanted}: {}", Cause(error)),
    }
}

/// The error's code, e.g. `NoSuchKey`.
pub fn code<E: ProvideErrorMetadata>(error: &E) -> &str {
    error.code().unwrap_or_default()
}
