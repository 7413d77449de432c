//! S3: the current state of objects, the columns of files, the manifests, and the listing of folders.

use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::timeout::TimeoutConfig;
use loader_core::bulk_request::Position;
use loader_core::copy_options::{CopyOptions, HEAD_BYTES, Header, Naming};
use loader_core::csv_header;
use loader_core::ids::{ObjectVersion, Version, WaitingObject};
use loader_core::json_keys;
use loader_core::parquet::{self, FileColumn, Tail};
use loader_core::tracker::prepare::ObjectState;
use loader_reconcile::ports::{Objects, Page, PortError, PortResult};

use crate::{Aws, errors, list};

/// Longest wait for a part of a file; repeats are in it.
pub(crate) const PART_MAX: Duration = Duration::from_secs(5);

impl Objects for Aws {
    async fn object(&self, bucket: &str, key: &str) -> PortResult<ObjectState> {
        match self.s3.head_object().bucket(bucket).key(key).send().await {
            Ok(head) => Ok(ObjectState::Found {
                version_id: head.version_id().map(ToOwned::to_owned),
                etag: head.e_tag().map(ToOwned::to_owned),
                size_bytes: head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
            }),
            // The response to a HEAD request has no body, so it may have no error code; the HTTP status is enough.
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

    async fn columns(
        &self,
        file: &WaitingObject,
        options: &CopyOptions,
    ) -> PortResult<Result<Vec<FileColumn>, String>> {
        let read = match options.naming() {
            None => self.schema(file).await,
            Some(naming) => self.names(file, &naming).await,
        };
        match read {
            Ok(columns) => Ok(Ok(columns)),
            Err(Unread::Silent(why)) => Ok(Err(why)),
            Err(Unread::Port(error)) => Err(error),
        }
    }

    async fn part(&self, bucket: &str, key: &str, from: u64, length: u64) -> PortResult<Vec<u8>> {
        const OPERATION: &str = "s3:GetObject";
        let range = format!("bytes={from}-{}", (from + length).saturating_sub(1));
        let answer = self.s3.get_object().bucket(bucket).key(key).range(range).send().await;
        let body = answer.map_err(|error| errors::sort(OPERATION, &error))?.body;
        let content = body.collect().await.map_err(|error| errors::lost(OPERATION, error.to_string()))?;
        Ok(content.to_vec())
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

    async fn list(&self, bucket: &str, prefix: &str, after: Option<Position>) -> PortResult<Page> {
        list::page(&self.s3, bucket, prefix, after).await
    }
}

impl Aws {
    /// The number of rows in a Parquet file, from its footer. An error if it cannot be read from exactly this version.
    pub async fn rows(&self, file: &WaitingObject) -> Result<u64, String> {
        self.footer(file, parquet::rows).await.map_err(Unread::words)
    }

    /// The columns of a Parquet file, read once.
    async fn schema(&self, file: &WaitingObject) -> Result<Vec<FileColumn>, Unread> {
        if let Some(columns) = self.footers.of(&file.object) {
            return Ok(columns);
        }
        let columns = self.footer(file, parquet::schema).await?;
        self.footers.keep(&file.object, &columns);
        Ok(columns)
    }

    /// The columns that the beginning of a file names.
    async fn names(&self, file: &WaitingObject, naming: &Naming) -> Result<Vec<FileColumn>, Unread> {
        let head = self.read_part(file, 0, file.size_bytes.min(HEAD_BYTES)).await?;
        let is_whole = file.size_bytes <= HEAD_BYTES;
        let keys = || json_keys::keys(&head, is_whole).map_err(|error| Unread::Silent(error.to_string()));
        match naming {
            Naming::Header(Header { delimiter, quote }) => csv_header::columns(&head, is_whole, *delimiter, *quote)
                .map_err(|error| Unread::Silent(error.to_string())),
            Naming::Keys { .. } => keys(),
            Naming::Paths(place) => {
                Ok(json_keys::along(&self.json_paths(place).await.map_err(Unread::Silent)?, &keys()?))
            }
        }
    }

    /// Reads something from the beginning of a Parquet file's footer.
    async fn footer<T>(
        &self,
        file: &WaitingObject,
        read: fn(&[u8]) -> Result<T, parquet::Unreadable>,
    ) -> Result<T, Unread> {
        let from = file.size_bytes.saturating_sub(parquet::TAIL_BYTES);
        let end = self.read_part(file, from, file.size_bytes - from).await?;
        let found = match parquet::tail(&end, file.size_bytes) {
            Ok(Tail::Footer(footer)) => read(footer),
            Ok(Tail::Before { from, length }) => read(&self.read_part(file, from, length).await?),
            Err(error) => Err(error),
        };
        found.map_err(|error| Unread::Silent(error.to_string()))
    }

    /// Reads a part of exactly this version. An error says why it cannot be read.
    pub async fn part_of(&self, file: &WaitingObject, from: u64, length: u64) -> Result<Vec<u8>, String> {
        self.read_part(file, from, length).await.map_err(Unread::words)
    }

    /// Reads a part of exactly this version. It is optional for most loads, so the timeout is short.
    async fn read_part(&self, file: &WaitingObject, from: u64, length: u64) -> Result<Vec<u8>, Unread> {
        const OPERATION: &str = "s3:GetObject";
        // A range has at least one byte.
        if length == 0 {
            return Ok(Vec::new());
        }
        let ObjectVersion { bucket, key, version } = &file.object;
        let range = format!("bytes={from}-{}", (from + length).saturating_sub(1));
        let short = TimeoutConfig::builder().operation_timeout(PART_MAX).build();
        let impatient = aws_sdk_s3::config::Config::builder().timeout_config(short);
        let request = self.s3.get_object().bucket(bucket).key(key).range(range);
        let answer = request.customize().config_override(impatient).send().await;
        let answer = answer.map_err(|error| match error.as_service_error() {
            Some(GetObjectError::NoSuchKey(_)) => Unread::Silent("it was deleted in the meantime".to_owned()),
            _ => Unread::Port(named(errors::sort(OPERATION, &error), &file.object)),
        })?;
        if Version::new(answer.version_id(), answer.e_tag()).as_ref() != Some(version) {
            return Err(Unread::Silent("it was overwritten in the meantime".to_owned()));
        }
        // A service that ignores the range would send the whole object.
        if answer.content_length().and_then(|found| u64::try_from(found).ok()) != Some(length) {
            return Err(Unread::Silent("S3 sent another part of it".to_owned()));
        }
        let content = tokio::time::timeout(PART_MAX, answer.body.collect()).await;
        let content = content.map_err(|_| Unread::Port(errors::lost(OPERATION, "it did not arrive in time")))?;
        let content = content.map_err(|error| Unread::Port(errors::lost(OPERATION, error.to_string())))?;
        Ok(content.to_vec())
    }
}

/// Why a file's columns or rows are unknown.
#[derive(Debug)]
enum Unread {
    /// This version does not contain them, or no longer exists.
    Silent(String),
    /// The service failed.
    Port(PortError),
}

impl Unread {
    fn words(self) -> String {
        match self {
            Self::Silent(why) => why,
            Self::Port(error) => error.to_string(),
        }
    }
}

/// The error, with the URL of its object.
fn named(mut error: PortError, object: &ObjectVersion) -> PortError {
    error.message = format!("s3://{}/{}: {}", object.bucket, object.key, error.message);
    error
}
