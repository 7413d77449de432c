//! Checks that the source buckets exist, and are in the Region of the queues that they notify.

use anyhow::{Result, bail};
use loader_core::config::SourceFolder;
use synth::{QueueFile, workspace};

use crate::ground::aws::{Aws, code, failed_head};
use crate::ground::buckets::{create_bucket, is_missing};
use crate::ground::output::{Failure, Out};

/// Checks every source bucket before anything is changed. In the local stack, missing ones are created, except in a dry run.
pub async fn check(aws: &Aws, out: Out, queues: &[QueueFile], dry_run: bool) -> Result<()> {
    let client = aws.s3();
    let mut checked = Vec::new();
    for queue in queues {
        let Some(source) = &queue.config.source else { continue };
        if checked.contains(&source.bucket.as_str()) {
            continue;
        }
        checked.push(&source.bucket);
        match client.head_bucket().bucket(&source.bucket).send().await {
            Ok(found) => check_region(aws, queue, source, found.bucket_region())?,
            Err(error) if is_missing(code(&error)) && aws.local.is_some() && dry_run => {
                out.line(format!("   the source bucket {} will be created", source.bucket));
            }
            Err(error) if is_missing(code(&error)) && aws.local.is_some() => {
                create_bucket(aws, &source.bucket).await?;
                out.ok(format!("created the source bucket {}", source.bucket));
            }
            Err(error) if is_missing(code(&error)) => {
                let message =
                    format!("{}: `source`: there is no bucket `{}`", workspace::shown(&queue.path), source.bucket);
                let hint =
                    format!("create it (`aws s3 mb s3://{}`), or correct `source`, or remove the file", source.bucket);
                return Err(Failure::new(message, hint).into());
            }
            Err(error) => {
                let wanted = format!("use the source bucket `{}` of {}", source.bucket, workspace::shown(&queue.path));
                return Err(failed_head(wanted, &error));
            }
        }
    }
    Ok(())
}

fn check_region(aws: &Aws, queue: &QueueFile, source: &SourceFolder, region: Option<&str>) -> Result<()> {
    match region {
        Some(region) if region != aws.region && aws.local.is_none() => bail!(
            "{}: `source`: the bucket `{}` is in {region} and the deployment in {}: S3 notifies queues of its own Region only",
            workspace::shown(&queue.path),
            source.bucket,
            aws.region
        ),
        _ => Ok(()),
    }
}
