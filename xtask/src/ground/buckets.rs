//! Creating buckets that a command needs.

use anyhow::Result;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use crate::ground::aws::{Aws, failed};

/// Creates a bucket in the client's Region.
pub async fn create_bucket(aws: &Aws, name: &str) -> Result<()> {
    let mut request = aws.s3().create_bucket().bucket(name);
    if aws.region != "us-east-1" {
        let constraint = BucketLocationConstraint::from(aws.region.as_str());
        request = request
            .create_bucket_configuration(CreateBucketConfiguration::builder().location_constraint(constraint).build());
    }
    request.send().await.map_err(failed(format!("create the bucket `{name}`")))?;
    Ok(())
}

/// Whether an error's code says that a bucket or object does not exist.
pub fn is_missing(code: &str) -> bool {
    matches!(code, "NotFound" | "NoSuchBucket" | "NoSuchKey" | "404")
}
