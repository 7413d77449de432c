//! S3 locations.

/// A bucket with a key or a key prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub bucket: String,
    pub key: String,
}

impl Location {
    pub fn parse(url: &str) -> Option<Self> {
        let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
        (!bucket.is_empty() && !key.is_empty()).then(|| Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    /// The URL of the file in Spectrum's messages.
    pub fn https(&self, region: &str) -> String {
        format!("https://s3.{region}.amazonaws.com/{}/{}", self.bucket, self.key)
    }
}
