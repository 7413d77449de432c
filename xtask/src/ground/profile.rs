//! `--profile`: uses the credentials and Region of one profile, whatever the environment contains, so that a deployment cannot reach the
//! wrong account.

use anyhow::Result;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};

use crate::ground::aws::https;
use crate::ground::output::Failure;

/// Makes a profile of the AWS configuration files the only source of credentials, and of the Region unless one is given.
pub async fn only(loader: ConfigLoader, name: &str, region: Option<Region>) -> Result<ConfigLoader> {
    check(name).await?;
    let region = match region {
        Some(region) => region,
        None => region_of(name).await?,
    };
    let provider = ProviderConfig::without_region()
        .with_http_client(https())
        .with_behavior_version(Some(BehaviorVersion::latest()))
        .with_region(Some(region.clone()));
    let credentials = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(name).build();
    Ok(loader.profile_name(name).region(region).credentials_provider(credentials))
}

/// Fails if there is no such profile.
#[allow(clippy::default_trait_access)] // Naming the three types would take two more dependencies.
async fn check(name: &str) -> Result<()> {
    let files = (Default::default(), Default::default(), Default::default());
    let profiles = aws_config::profile::load(&files.0, &files.1, &files.2, Some(name.to_owned().into())).await;
    let profiles = profiles.map_err(|error| {
        let message = format!("cannot read the AWS configuration files: {error}");
        Failure::usage(message, "correct ~/.aws/config and ~/.aws/credentials, or the file that $AWS_CONFIG_FILE names")
    })?;
    if profiles.get_profile(name).is_some() {
        return Ok(());
    }
    let mut known: Vec<&str> = profiles.profiles().collect();
    known.sort_unstable();
    let hint = match known.as_slice() {
        [] => format!("add it with `aws configure --profile {name}` or `aws configure sso --profile {name}`"),
        known => format!("use one of these, or add it with `aws configure --profile {name}`: {}", known.join(", ")),
    };
    Err(Failure::usage(format!("there is no profile `{name}` in the AWS configuration files"), hint).into())
}

async fn region_of(name: &str) -> Result<Region> {
    let region = ProfileFileRegionProvider::builder().profile_name(name).build().region().await;
    region.ok_or_else(|| {
        let hint = format!("add --region us-east-1, or `aws configure set region us-east-1 --profile {name}`");
        Failure::usage(format!("the profile `{name}` has no Region"), hint).into()
    })
}
