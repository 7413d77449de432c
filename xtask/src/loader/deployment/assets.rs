//! What a deployment uploads: the functions' zips under the hash of their content, and a template that is too large for a request.

use anyhow::{Context, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use synth::names::{assets_bucket_name, zip_key};

use crate::ground::aws::{Aws, code, failed, failed_head};
use crate::ground::buckets::{create_bucket, is_missing};
use crate::ground::hash::sha256;
use crate::ground::output::{Out, counted, size};
use crate::loader::functions::Asset;

const HASH_DIGITS: usize = 16;
/// Metadata key of an object: SHA-256 of its content.
const HASH: &str = "sha256";

/// The bucket of the zips.
#[derive(Clone, Debug)]
pub struct AssetsBucket {
    client: Client,
    pub name: String,
}

impl AssetsBucket {
    /// The default bucket of an account and Region unless a name is given. The template has the same default.
    pub fn new(aws: &Aws, account: &str, given: Option<&String>) -> Self {
        let name = given.cloned().unwrap_or_else(|| assets_bucket_name(account, &aws.region));
        Self { client: aws.s3(), name }
    }

    /// Creates the bucket if it is missing: private, and encrypted by S3 like every bucket.
    pub async fn ensure(&self, aws: &Aws, out: Out) -> Result<()> {
        match self.client.head_bucket().bucket(&self.name).send().await {
            Ok(_) => return Ok(()),
            Err(error) if is_missing(code(&error)) => {}
            Err(error) => return Err(failed_head(format!("use the bucket `{}`", self.name), &error)),
        }
        create_bucket(aws, &self.name).await?;
        let private = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .block_public_policy(true)
            .ignore_public_acls(true)
            .restrict_public_buckets(true)
            .build();
        let request =
            self.client.put_public_access_block().bucket(&self.name).public_access_block_configuration(private);
        request.send().await.map_err(failed(format!("make the bucket `{}` private", self.name)))?;
        out.ok(format!("created the bucket {} for the functions' zips", self.name));
        Ok(())
    }

    /// Uploads the zips that are missing. Those under the plain names, which are the template's defaults, become the ones of this
    /// deployment.
    pub async fn upload(&self, out: Out, assets: &[Asset]) -> Result<()> {
        let step = out.step(format!("uploading to s3://{}", self.name));
        let (mut n_new, mut bytes) = (0, 0);
        for asset in assets {
            let (key, plain) = (hashed_key(asset), zip_key(asset.function));
            let is_new = self.hash(&key).await?.is_none();
            let is_refreshed = self.hash(&plain).await?.as_ref() != Some(&asset.sha256);
            if !is_new && !is_refreshed {
                continue;
            }
            step.now(&key);
            let zip = std::fs::read(&asset.path).with_context(|| format!("cannot read `{}`", asset.path.display()))?;
            if is_refreshed {
                self.put(&plain, zip.clone(), &asset.sha256).await?;
            }
            if is_new {
                self.put(&key, zip, &asset.sha256).await?;
                n_new += 1;
                bytes += asset.bytes;
            }
        }
        step.done(match n_new {
            0 => format!("s3://{} has these zips already", self.name),
            n => format!("uploaded {}, {} to s3://{}", counted(n, "zip"), size(bytes), self.name),
        });
        Ok(())
    }

    /// Uploads a template and returns the URL for CloudFormation.
    pub async fn upload_template(&self, aws: &Aws, template: String) -> Result<String> {
        let hash = sha256(template.as_bytes());
        let key = format!("template-{}.json", &hash[..HASH_DIGITS]);
        self.put(&key, template.into_bytes(), &hash).await?;
        if let Some(endpoint) = aws.endpoint() {
            return Ok(format!("{endpoint}/{}/{key}", self.name));
        }
        let suffix = if aws.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        Ok(format!("https://{}.s3.{}.{suffix}/{key}", self.name, aws.region))
    }

    /// Hash of an object's content, as recorded when it was uploaded; `None` if the object does not exist.
    async fn hash(&self, key: &str) -> Result<Option<String>> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(found) => Ok(Some(found.metadata().and_then(|all| all.get(HASH)).cloned().unwrap_or_default())),
            Err(error) if is_missing(code(&error)) => Ok(None),
            Err(error) => Err(failed_head(format!("look for s3://{}/{key}", self.name), &error)),
        }
    }

    async fn put(&self, key: &str, body: Vec<u8>, hash: &str) -> Result<()> {
        let request =
            self.client.put_object().bucket(&self.name).key(key).body(ByteStream::from(body)).metadata(HASH, hash);
        request.send().await.map_err(failed(format!("upload s3://{}/{key}", self.name)))?;
        Ok(())
    }
}

/// Key of a zip. It contains the hash of the content, because CloudFormation recognizes new code only by a new key.
pub fn hashed_key(asset: &Asset) -> String {
    format!("{}-{}.zip", asset.function.package(), &asset.sha256[..HASH_DIGITS])
}
