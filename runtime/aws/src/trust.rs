//! Which certificates the functions accept, and the HTTP client that checks them: docs/decisions/0007-pinned-roots.md.

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// The five roots of Amazon Trust Services: <https://www.amazontrust.com/repository/>, "Trust store and pinning recommendations".
const AMAZON: &[u8] = include_bytes!("../roots/amazon.pem");
/// Variable with a file of certificates that replaces all others, as in other SDKs.
const BUNDLE: &str = "AWS_CA_BUNDLE";
/// Variables with the location of the system's store.
const SYSTEM: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// Variables with custom endpoints.
const ENDPOINTS: &[&str] =
    &["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_REDSHIFT_DATA", "AWS_ENDPOINT_URL_S3"];
/// Prefixes of the Regions in the partition `aws`, and those of other partitions that also match.
const AWS_REGIONS: &[&str] = &["af-", "ap-", "ca-", "eu-", "il-", "me-", "mx-", "sa-", "us-"];
const OTHER_REGIONS: &[&str] = &["us-gov-", "us-iso", "eu-iso"];

/// Root certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Amazon's own roots.
    Amazon,
    /// The system's store.
    System,
    /// The certificates in this file.
    Bundle(String),
}

impl Roots {
    /// Chooses Amazon's roots for the endpoints of the partition `aws`, unless the environment names other certificates or HTTPS endpoints.
    pub fn choose(region: &str, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(path) = variable(BUNDLE) {
            return Self::Bundle(path);
        }
        let starts_with_one = |prefixes: &[&str]| prefixes.iter().any(|prefix| region.starts_with(prefix));
        let in_aws = starts_with_one(AWS_REGIONS) && !starts_with_one(OTHER_REGIONS);
        let system_named = SYSTEM.iter().any(|name| variable(name).is_some());
        // Plain HTTP uses no certificate.
        let own_https = ENDPOINTS.iter().filter_map(|name| variable(name)).any(|url| url.starts_with("https:"));
        if in_aws && !system_named && !own_https { Self::Amazon } else { Self::System }
    }

    /// An HTTP client that accepts only these roots. An error names the file that cannot be used.
    pub fn client(&self) -> Result<SharedHttpClient, String> {
        let store = match self {
            Self::Amazon => TrustStore::empty().with_pem_certificate(AMAZON),
            Self::System => TrustStore::default(),
            Self::Bundle(path) => TrustStore::empty().with_pem_certificate(bundle(path)?),
        };
        let tls = TlsContext::builder().with_trust_store(store).build().map_err(|error| error.to_string())?;
        Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https())
    }
}

fn bundle(path: &str) -> Result<Vec<u8>, String> {
    let remedy = "name a file of PEM certificates, or leave the variable out";
    let pem = std::fs::read(path).map_err(|error| format!("{BUNDLE}: cannot read `{path}`: {error}; {remedy}"))?;
    if pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----") {
        Ok(pem)
    } else {
        Err(format!("{BUNDLE}: `{path}` holds no certificate; {remedy}"))
    }
}

#[cfg(test)]
mod tests;
