//! The values of a notification's filter, which S3 compares in URL-encoded form.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>: a space is `+`, every other special
//! character is percent-encoded, and there are no wildcards.

use aws_sdk_s3::types::NotificationConfigurationFilter;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Characters to encode: all except those that S3 calls safe, and `/`. The asterisk is encoded, because it is no wildcard here.
const SPECIAL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'!')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Encodes a folder for a filter.
pub fn encode(prefix: &str) -> String {
    utf8_percent_encode(prefix, SPECIAL).to_string().replace("%20", "+")
}

/// The folder that a filter's value means. A value that is not valid encoded text is used as it is.
pub fn decode(value: &str) -> String {
    let spaces = value.replace('+', " ");
    percent_decode_str(&spaces).decode_utf8().map_or_else(|_| value.to_owned(), Into::into)
}

/// The value of a filter rule as written; empty if there is none.
pub fn value<'a>(filter: Option<&'a NotificationConfigurationFilter>, name: &str) -> &'a str {
    let rules = filter.and_then(|filter| filter.key()).map_or(&[][..], |key| key.filter_rules());
    let rule = rules.iter().find(|rule| rule.name().is_some_and(|found| found.as_str().eq_ignore_ascii_case(name)));
    rule.and_then(|rule| rule.value()).unwrap_or_default()
}

/// The prefix of the keys.
pub fn prefix(filter: Option<&NotificationConfigurationFilter>) -> String {
    decode(value(filter, "prefix"))
}

/// The suffix of the keys.
pub fn suffix(filter: Option<&NotificationConfigurationFilter>) -> String {
    decode(value(filter, "suffix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_encoded_as_s3_requires() {
        for (folder, written) in [
            ("sales/2026/", "sales/2026/"),
            ("new sales/", "new+sales/"),
            ("year=2026/", "year%3D2026/"),
            ("a+b/50%/", "a%2Bb/50%25/"),
            ("Käufe/", "K%C3%A4ufe/"),
            ("a*/", "a%2A/"),
            ("it's_(a)-b.c!/", "it's_(a)-b.c!/"),
        ] {
            assert_eq!(encode(folder), written);
            assert_eq!(decode(written), folder);
        }
    }

    #[test]
    fn text_that_is_not_encoded_is_used_as_it_is() {
        assert_eq!(decode("50%/"), "50%/");
        assert_eq!(decode("%FF+/"), "%FF+/");
    }
}
