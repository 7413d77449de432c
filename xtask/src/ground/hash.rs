//! The hash that identifies the content of files.

use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal digits.
pub fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}
