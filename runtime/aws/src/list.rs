//! Pages of a folder's objects in S3, and the keys in them.
//!
//! XML 1.0 has no form for some characters that a key may contain, such as U+0001, and a page that contains one as it is cannot be read at
//! all. S3 is therefore asked to URL-encode keys (S3 API reference, `ListObjectVersions`: `encoding-type`).

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{EncodingType, ObjectVersion as ListedVersion};
use loader_core::bulk_request::Position;
use loader_core::folder::is_temporary;
use loader_core::ids::{ObjectVersion, Version, WaitingObject};
use loader_core::s3_event::decode_key;
use loader_reconcile::ports::{Listed, Page, PortResult};

use crate::errors;

/// A key, prefix or marker from a response with this `EncodingType`. It is decoded only if the response says that it is encoded: not every
/// service that speaks S3's protocol follows the request. An error shows a key that is not encoded as announced.
pub fn key_of(encoding: Option<&EncodingType>, key: &str) -> Result<String, String> {
    if encoding == Some(&EncodingType::Url) { decode_key(key) } else { Ok(key.to_owned()) }
}

/// A page of the current versions below a prefix. Versions are listed, so that an object has the same identity as in its notification.
pub(crate) async fn page(client: &Client, bucket: &str, prefix: &str, after: Option<Position>) -> PortResult<Page> {
    const OPERATION: &str = "s3:ListObjectVersions";
    let (seen, version) = after.map_or((None, None), |after| (Some(after.key), after.version_id));
    let request = client.list_object_versions().bucket(bucket).prefix(prefix).encoding_type(EncodingType::Url);
    let request = request.set_key_marker(seen.clone()).set_version_id_marker(version);
    let page = request.send().await.map_err(|error| errors::sort(OPERATION, &error))?;
    let decoded = |key| key_of(page.encoding_type(), key).map_err(|why| errors::unexpected(OPERATION, why));
    let mut objects = Vec::new();
    for version in page.versions().iter().filter(|version| version.is_latest() == Some(true)) {
        let Some(key) = version.key() else { continue };
        let key = decoded(key)?;
        // The current version of a key comes first, so versions of the previous page's last key are older ones.
        if seen.as_ref() != Some(&key) {
            objects.extend(listed(bucket, key, version));
        }
    }
    if page.is_truncated() != Some(true) {
        return Ok(Page { objects, next: None });
    }
    let Some(key) = page.next_key_marker() else {
        return Err(errors::unexpected(OPERATION, "a truncated page without a marker"));
    };
    let version_id = page.next_version_id_marker().filter(|marker| !marker.is_empty()).map(ToOwned::to_owned);
    Ok(Page { objects, next: Some(Position { key: decoded(key)?, version_id, line: None }) })
}

/// An object of a page. Empty objects are skipped, because consoles create them as folders, and so are temporary files.
fn listed(bucket: &str, key: String, version: &ListedVersion) -> Option<Listed> {
    let size_bytes = version.size().and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0)?;
    let identity = Version::new(version.version_id(), version.e_tag())?;
    if is_temporary(&key) {
        return None;
    }
    let object = ObjectVersion { bucket: bucket.to_owned(), key, version: identity };
    let modified_millis = version.last_modified().and_then(|at| at.to_millis().ok()).unwrap_or(0);
    Some(Listed { waiting: WaitingObject { object, size_bytes }, modified_millis })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A page of two objects and a marker, as S3 encodes it if asked.
    const ENCODED: &str = "<EncodingType>url</EncodingType><NextKeyMarker>in/%01+%2B%25%EF%BF%BE</NextKeyMarker>\
        <Version><Key>in/a+b%20c%2B%25.csv</Key><IsLatest>true</IsLatest><VersionId>v</VersionId><Size>1</Size></Version>\
        <Version><Key>in/%01+%2B%25%EF%BF%BE</Key><IsLatest>true</IsLatest><VersionId>v</VersionId><Size>1</Size></Version>";
    /// The same with the characters as they are, which no parser of XML accepts.
    const PLAIN: &str = "<NextKeyMarker>in/\u{1} +%\u{fffe}</NextKeyMarker>\
        <Version><Key>in/a b c+%.csv</Key><IsLatest>true</IsLatest><VersionId>v</VersionId><Size>1</Size></Version>\
        <Version><Key>in/\u{1} +%\u{fffe}</Key><IsLatest>true</IsLatest><VersionId>v</VersionId><Size>1</Size></Version>";
    /// A service that does not know `encoding-type`, with a key that looks encoded.
    const UNAWARE: &str = "<NextKeyMarker>in/a+b%20c</NextKeyMarker>\
        <Version><Key>in/a+b%20c</Key><IsLatest>true</IsLatest><VersionId>v</VersionId><Size>1</Size></Version>";

    /// Lists a page from a service that returns one of these, and also returns the line of the request.
    async fn list(encoded: &str, plain: &str, after: Option<Position>) -> (PortResult<Page>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (encoded, plain) = (encoded.to_owned(), plain.to_owned());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 8192];
            let length = stream.read(&mut request).await.expect("a request");
            let line = String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_owned();
            let page = if line.contains("encoding-type=url") { encoded } else { plain };
            let body = format!("<ListVersionsResult><IsTruncated>true</IsTruncated>{page}</ListVersionsResult>");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.expect("sent");
            line
        });
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("a", "b", None, None, "test"))
            .force_path_style(true)
            .http_client(crate::trust::Roots::System.client().expect("a client"))
            .endpoint_url(url);
        let page = page(&Client::from_conf(config.build()), "b", "in/", after).await;
        (page, served.await.expect("served"))
    }

    fn keys(page: &Page) -> Vec<&str> {
        page.objects.iter().map(|listed| listed.waiting.object.key.as_str()).collect()
    }

    fn position(key: &str) -> Position {
        Position { key: key.to_owned(), version_id: None, line: None }
    }

    const ODD: &str = "in/\u{1} +%\u{fffe}";

    #[tokio::test]
    async fn a_key_that_xml_cannot_hold_does_not_keep_the_others_from_being_listed() {
        let (page, _) = list(ENCODED, PLAIN, None).await;
        let page = page.expect("a page");
        assert_eq!(keys(&page), ["in/a b c+%.csv", ODD]);
        assert_eq!(page.next, Some(position(ODD)));
    }

    #[tokio::test]
    async fn the_next_page_begins_after_the_decoded_marker() {
        let (page, line) = list(ENCODED, PLAIN, Some(position(ODD))).await;
        assert_eq!(keys(&page.expect("a page")), ["in/a b c+%.csv"], "the last key of the previous page is known");
        assert!(line.contains("key-marker=in%2F%01%20%2B%25%EF%BF%BE&"), "{line}");
    }

    #[tokio::test]
    async fn keys_of_a_service_that_does_not_encode_them_are_not_decoded() {
        let (page, _) = list(UNAWARE, UNAWARE, None).await;
        let page = page.expect("a page");
        assert_eq!((keys(&page), page.next.clone()), (vec!["in/a+b%20c"], Some(position("in/a+b%20c"))));
    }
}
