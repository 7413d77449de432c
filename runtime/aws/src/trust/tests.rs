//! A server with a certificate of our own shows what is accepted and what is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loader_core::settings::Settings;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;
use crate::Aws;

/// SHA-256 of the public keys, as the repository of Amazon Trust Services publishes them.
const KEYS: [&str; 5] = [
    "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2",
    "7f4296fc5b6a4e3b35d3c369623e364ab1af381d8fa7121533c9d6c633ea2461",
    "36abc32656acfc645c61b71613c4bf21c787f5cabbee48348d58597803d7abc9",
    "f7ecded5c66047d28ed6466b543c40e0743abe81d109254dcf845d4c2c7853c5",
    "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92",
];

fn choose(region: &str, variables: &[(&str, &str)]) -> Roots {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Roots::choose(region, |name| variables.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn amazons_roots_are_for_the_partition_aws_unless_the_environment_names_others() {
    for region in ["us-east-1", "eu-central-2", "ap-southeast-7", "mx-central-1"] {
        assert_eq!(choose(region, &[]), Roots::Amazon, "{region}");
    }
    for region in
        ["cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1", ""]
    {
        assert_eq!(choose(region, &[]), Roots::System, "{region}");
    }
    assert_eq!(choose("us-east-1", &[("SSL_CERT_FILE", "/c.pem")]), Roots::System);
    assert_eq!(choose("us-east-1", &[("AWS_ENDPOINT_URL_S3", "https://s3.example")]), Roots::System);
    assert_eq!(choose("us-east-1", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")]), Roots::Amazon);
    assert_eq!(choose("cn-north-1", &[("AWS_CA_BUNDLE", "/b.pem")]), Roots::Bundle("/b.pem".to_owned()));
}

/// A changed or exchanged certificate is noticed here, not when it is needed.
#[test]
fn the_pinned_certificates_have_the_published_keys() {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(AMAZON) {
        roots.add(certificate.expect("PEM")).expect("a root");
    }
    // An anchor has what is inside the SEQUENCE of its key; what was hashed has the SEQUENCE, too.
    let sequence = |content: &[u8]| match u16::try_from(content.len()).expect("a key is short").to_be_bytes() {
        [0, short @ ..0x80] => [&[0x30, short], content].concat(),
        [0, medium] => [&[0x30, 0x81, medium], content].concat(),
        [high, low] => [&[0x30, 0x82, high, low], content].concat(),
    };
    let keys = roots.roots.iter().map(|anchor| hex::encode(Sha256::digest(sequence(&anchor.subject_public_key_info))));
    assert_eq!(keys.collect::<Vec<_>>(), KEYS);
}

#[test]
fn a_bundle_that_cannot_be_used_is_named_with_the_variable() {
    let said = Roots::Bundle("/no/such.pem".to_owned()).client().unwrap_err();
    assert!(said.starts_with("AWS_CA_BUNDLE: cannot read `/no/such.pem`: "), "{said}");
    let empty = Roots::Bundle("/dev/null".to_owned()).client().unwrap_err();
    assert!(empty.starts_with("AWS_CA_BUNDLE: `/dev/null` holds no certificate; "), "{empty}");
}

/// A service whose certificate is signed by our own root.
struct Service {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Service {
    async fn start() -> Self {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("test-localhost.pem")).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("test-localhost.key")).expect("PEM");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("they belong together")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        let service = Self { url, connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (service.connections.clone(), service.requests.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let (acceptor, requests) = (acceptor.clone(), requests.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let _ = stream.read(&mut [0; 4096]).await?;
                    requests.fetch_add(1, Ordering::Relaxed);
                    stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await
                });
            }
        });
        service
    }

    async fn connect(&self, roots: Roots) -> (usize, usize) {
        let variable = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some(self.url.clone()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            _ => None,
        };
        let settings = Settings::read(|name| {
            Some(name.to_lowercase()).filter(|_| !name.ends_with("SECONDS") && !name.ends_with("DAYS"))
        });
        Aws::connect_with(settings.expect("complete"), "us-east-1", roots, &variable).await.expect("connects");
        (self.connections.load(Ordering::Relaxed), self.requests.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_bundle_is_accepted() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/trust/test-root.pem").to_owned();
    let (_, requests) = Service::start().await.connect(Roots::Bundle(root)).await;
    assert_eq!(requests, 3);
}

#[tokio::test]
async fn the_systems_store_is_used_if_amazons_roots_do_not_match() {
    let (pinned, system) = (Service::start().await, Service::start().await);
    let (connections, requests) = system.connect(Roots::System).await;
    assert_eq!(requests, 0, "our root is not in the system's store");
    assert_eq!(pinned.connect(Roots::Amazon).await, (2 * connections, 0));
}
