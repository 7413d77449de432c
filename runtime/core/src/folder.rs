//! A folder in S3: a bucket and a key prefix.

/// The location of source files, `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceFolder {
    /// Bucket name.
    pub bucket: String,
    /// Key prefix; may be empty.
    pub prefix: String,
}

impl SourceFolder {
    /// Reads `s3://bucket/prefix`. An error says how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| format!("`{text}` does not start with `s3://`: write s3://bucket/folder/"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
            return Err(format!(
                "`{bucket}` is not a bucket name: 3 to 63 lower case letters, digits, `-` and `.`, as in s3://bucket/folder/"
            ));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// Whether the folder contains an object.
    pub fn holds(&self, bucket: &str, key: &str) -> bool {
        self.bucket == bucket && key.starts_with(&self.prefix)
    }
}

/// Whether an object is a temporary file of Hadoop's committers (Spark uses them too): a part of its key is `_temporary`. They later copy
/// the file to its final key, which is an object of its own, and delete it.
pub fn is_temporary(key: &str) -> bool {
    key.split('/').any(|part| part == "_temporary")
}
