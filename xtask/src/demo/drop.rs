//! Uploads files to the source buckets: most of them at first, two per table while a load runs, and one of them twice.

use anyhow::{Context, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use loader_core::config::SourceFolder;

use super::data::{Data, DataFile};
use crate::ground::aws::{Aws, failed};
use crate::ground::output::Out;
use crate::loader::deployment::prepared::Prepared;

/// Number of files per table that arrive while a load runs.
pub const LATE_FILES: usize = 2;

/// Uploads the demo's files.
pub struct Dropper<'a> {
    client: Client,
    prepared: &'a Prepared,
    data: &'a Data,
}

impl<'a> Dropper<'a> {
    pub fn new(aws: &Aws, prepared: &'a Prepared, data: &'a Data) -> Self {
        Self { client: aws.s3(), prepared, data }
    }

    /// Uploads all files but the late ones.
    pub async fn first_wave(&self, out: Out) -> Result<()> {
        for table in self.data.tables.keys() {
            let files = self.data.of(table);
            let n_early = files.len().saturating_sub(LATE_FILES);
            let mut rows = 0;
            for file in files.into_iter().take(n_early) {
                self.drop(file).await?;
                rows += file.rows;
            }
            out.line(format!("{} dropped {n_early} files ({rows} rows) for {table}", out.good("->")));
        }
        Ok(())
    }

    /// Uploads the late files, and the last of them a second time: the same bytes under the same key.
    pub async fn second_wave(&self, out: Out) -> Result<()> {
        for table in self.data.tables.keys() {
            let mut late = self.data.of(table);
            late.drain(..late.len().saturating_sub(LATE_FILES));
            for file in &late {
                self.drop(file).await?;
            }
            let names: Vec<_> = late.iter().map(|file| file.name()).collect();
            out.line(format!("{} dropped {} for {table}", out.good("->"), names.join(" and ")));
            if let Some(twice) = late.last() {
                self.drop(twice).await?;
                out.line(format!("{} dropped {} again: it must not be loaded twice", out.good("->"), twice.name()));
            }
        }
        Ok(())
    }

    async fn drop(&self, file: &DataFile) -> Result<()> {
        let SourceFolder { bucket, prefix } = self.source(&file.table)?;
        let request = self.client.put_object().bucket(bucket).key(format!("{prefix}{}", file.name()));
        let request = request.body(ByteStream::from(file.bytes()?));
        request.send().await.map_err(failed(format!("upload `{}`", file.file)))?;
        Ok(())
    }

    fn source(&self, table: &str) -> Result<&SourceFolder> {
        let queue = self.prepared.queues.iter().find(|queue| queue.name == table);
        let source = queue.and_then(|queue| queue.config.source.as_ref());
        source.with_context(|| format!("queues/{table}.json has no `source`: restore it"))
    }
}
