"""ministack, with one difference from AWS less: values in the filters of S3 notifications are URL-encoded."""

from urllib.parse import unquote_plus

from ministack.app import app  # noqa: F401: what the server runs
from ministack.services import s3

matches = s3._key_matches_filter


def matches_decoded(key, prefix, suffix):
    return matches(key, *(value and unquote_plus(value) for value in (prefix, suffix)))


s3._key_matches_filter = matches_decoded
