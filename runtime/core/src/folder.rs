//! A folder of S3: a bucket, and what its objects' keys begin with.

/// `s3://bucket/prefix` of the source files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceFolder {
    /// Bucket name.
    pub bucket: String,
    /// Key prefix, may be empty.
    pub prefix: String,
}

impl SourceFolder {
    /// Reads `s3://bucket/prefix`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| format!("`{text}` does not start with `s3://`: write s3://bucket/folder/"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
            return Err(format!(
                "`{bucket}` is no bucket name: 3 to 63 lower case letters, digits, `-` and `.`, as in s3://bucket/folder/"
            ));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// Whether an object lies in it.
    pub fn holds(&self, bucket: &str, key: &str) -> bool {
        self.bucket == bucket && key.starts_with(&self.prefix)
    }
}

/// Whether Hadoop's committers, those of Spark too, wrote an object where they keep what is not final: a part of its key is `_temporary`. They copy it
/// to its place, where it is an object of its own, and remove it.
pub fn is_temporary(key: &str) -> bool {
    key.split('/').any(|part| part == "_temporary")
}
