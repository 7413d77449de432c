//! Takes the place of the crate `crc-fast` in the S3 SDK, by `[patch]` in the workspace's Cargo.toml.
//!
//! The original links 0.55 MB of tables for 80 algorithms, a fifth of each function's zip; S3 uses three of them. These take 4 KB and are
//! slower, which does not matter: the functions send manifests of a few KB. Only what `aws-smithy-checksums` calls is here. If a later
//! version of it calls more, the build fails and names what is missing.

#![warn(missing_docs)]

use std::fmt;

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc};

static ISO_HDLC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
static ISCSI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
static NVME: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

/// The algorithms of S3's checksums
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// CRC-32.
    Crc32IsoHdlc,
    /// CRC-32C.
    Crc32Iscsi,
    /// CRC-64/NVME.
    Crc64Nvme,
}

/// A checksum of bytes that come in parts.
#[derive(Clone)]
pub struct Digest(Width);

#[derive(Clone)]
enum Width {
    Bits32(crc::Digest<'static, u32>),
    Bits64(crc::Digest<'static, u64>),
}

impl Digest {
    /// The checksum of no bytes yet.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => Width::Bits32(ISO_HDLC.digest()),
            CrcAlgorithm::Crc32Iscsi => Width::Bits32(ISCSI.digest()),
            CrcAlgorithm::Crc64Nvme => Width::Bits64(NVME.digest()),
        })
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Width::Bits32(digest) => digest.update(bytes),
            Width::Bits64(digest) => digest.update(bytes),
        }
    }

    /// The checksum, in the low bits if it has 32.
    pub fn finalize(self) -> u64 {
        match self.0 {
            Width::Bits32(digest) => digest.finalize().into(),
            Width::Bits64(digest) => digest.finalize(),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Digest").finish_non_exhaustive()
    }
}

/// The checksum of bytes that are in memory.
pub fn checksum(algorithm: CrcAlgorithm, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(algorithm);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of CRC algorithms (<https://reveng.sourceforge.io/crc-catalogue/>), in two parts as from a stream.
    #[test]
    fn the_checksums_are_those_of_the_catalogue() {
        let values = [
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ];
        for (algorithm, value) in values {
            let mut digest = Digest::new(algorithm);
            digest.update(b"1234");
            digest.update(b"56789");
            assert_eq!((digest.finalize(), checksum(algorithm, b"123456789")), (value, value), "{algorithm:?}");
        }
    }
}
