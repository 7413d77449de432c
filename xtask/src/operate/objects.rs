//! Objects named on the command line: `s3://bucket/key`, or all with a prefix.

use crate::ground::output::Failure;
use crate::loader::tracker::Keys;

/// Objects in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    pub bucket: String,
    pub keys: Keys,
}

impl Objects {
    /// Reads `s3://bucket/key`. An empty key, or one that ends in `/` or `*`, means all keys with that prefix.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let shape = "write s3://bucket/key, or s3://bucket/folder/ for all below it";
        let wrong = || Failure::usage(format!("`{text}` is not an object address"), shape);
        let (bucket, key) = text.strip_prefix("s3://").ok_or_else(wrong)?.split_once('/').ok_or_else(wrong)?;
        if bucket.is_empty() {
            return Err(wrong());
        }
        let keys = match key.strip_suffix('*') {
            Some(prefix) => Keys::Below(prefix.to_owned()),
            None if key.is_empty() || key.ends_with('/') => Keys::Below(key.to_owned()),
            None => Keys::Exactly(key.to_owned()),
        };
        Ok(Self { bucket: bucket.to_owned(), keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_or_a_star_means_all_keys_that_begin_so() {
        let keys = |text: &str| Objects::parse(text).unwrap().keys;
        assert_eq!(keys("s3://b/a/b.csv"), Keys::Exactly("a/b.csv".into()));
        assert_eq!(keys("s3://b/a/"), Keys::Below("a/".into()));
        assert_eq!(keys("s3://b/a/2026-*"), Keys::Below("a/2026-".into()));
        assert_eq!(keys("s3://b/"), Keys::Below(String::new()));
        for text in ["b/a", "s3://b", "s3:///a", ""] {
            let failure = Objects::parse(text).unwrap_err();
            assert!(failure.message.contains(&format!("`{text}`")), "{failure}");
        }
    }
}
