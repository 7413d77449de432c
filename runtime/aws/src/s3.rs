//! S3: what is under a key, the manifests, the objects of a folder.

use aws_sdk_s3::primitives::ByteStream;
use loader_core::ids::{ObjectVersion, Version, WaitingObject};
use loader_core::tracker::prepare::ObjectState;
use loader_reconcile::ports::{Objects, PortResult};

use crate::{Aws, errors};

impl Objects for Aws {
    async fn object(&self, bucket: &str, key: &str) -> PortResult<ObjectState> {
        match self.s3.head_object().bucket(bucket).key(key).send().await {
            Ok(head) => Ok(ObjectState::Found {
                version_id: head.version_id().map(ToOwned::to_owned),
                etag: head.e_tag().map(ToOwned::to_owned),
                size_bytes: head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
            }),
            // HEAD has no body, so the code may be missing: the status says it.
            Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 404) => {
                Ok(ObjectState::Missing)
            }
            Err(error) => {
                let mut sorted = errors::sort("s3:HeadObject", &error);
                let forbidden = error.raw_response().is_some_and(|response| response.status().as_u16() == 403);
                let permission = if forbidden { ": the role needs s3:GetObject on it" } else { "" };
                sorted.message = format!("s3://{bucket}/{key}: {}{permission}", sorted.message);
                Err(sorted)
            }
        }
    }

    async fn put_manifest(&self, key: &str, content: &str) -> PortResult<()> {
        let put = self
            .s3
            .put_object()
            .bucket(&self.settings.manifest_bucket)
            .key(format!("{}{key}", self.settings.manifest_prefix))
            .content_type("application/json")
            .body(ByteStream::from(content.as_bytes().to_vec()));
        put.send().await.map(|_| ()).map_err(|error| errors::sort("s3:PutObject", &error))
    }

    fn manifest_root(&self) -> String {
        format!("s3://{}/{}", self.settings.manifest_bucket, self.settings.manifest_prefix)
    }

    /// Versions are listed, so that an object has the identity here that its notification has.
    async fn list(&self, bucket: &str, prefix: &str) -> PortResult<Vec<WaitingObject>> {
        let mut objects = Vec::new();
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            let page = self
                .s3
                .list_object_versions()
                .bucket(bucket)
                .prefix(prefix)
                .set_key_marker(key_marker)
                .set_version_id_marker(version_marker)
                .send()
                .await
                .map_err(|error| errors::sort("s3:ListObjectVersions", &error))?;
            for version in page.versions().iter().filter(|version| version.is_latest() == Some(true)) {
                let size_bytes = version.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                let identity = Version::new(version.version_id(), version.e_tag());
                if let (Some(key), Some(version), true) = (version.key(), identity, size_bytes > 0) {
                    let object = ObjectVersion { bucket: bucket.to_owned(), key: key.to_owned(), version };
                    objects.push(WaitingObject { object, size_bytes });
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(objects);
            }
            key_marker = page.next_key_marker().map(ToOwned::to_owned);
            version_marker = page.next_version_id_marker().map(ToOwned::to_owned);
            if key_marker.is_none() {
                return Err(errors::unexpected("s3:ListObjectVersions", "a truncated page without a marker"));
            }
        }
    }
}
