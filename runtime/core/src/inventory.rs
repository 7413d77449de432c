//! S3 Inventory: the list of a bucket's objects that S3 publishes each day or week, read line by line.
//!
//! Sources: S3 user guide, "Locating your inventory list" (folders, `manifest.json`) and "Amazon S3 Inventory list" (fields). A list is a
//! snapshot, hours old and only eventually consistent: it says which objects to check, never what is there now.

use std::collections::BTreeSet;
use std::io::Write as _;

use flate2::write::MultiGzDecoder;
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::folder::{SourceFolder, is_temporary};
use crate::ids::{Listed, Millis, ObjectVersion, Version, WaitingObject};
use crate::s3_event::decode_key;

/// Bytes read from a data file at a time.
pub const PART_BYTES: u64 = 1 << 20;
/// Maximum bytes of a manifest, enough for about 80,000 data files.
pub const MANIFEST_BYTES_MAX: u64 = 16 << 20;
/// Compressed bytes inflated at a time. They usually become about 1 MiB, and cannot become more than 64 MiB.
const INFLATE_BYTES: usize = 64 << 10;
/// Maximum bytes of a line: an encoded key takes up to 3 KiB, an access control list a few KiB.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Characters of the folder of a list: `YYYY-MM-DDTHH-MMZ`.
const DATE_CHARACTERS: usize = 17;
const MANIFEST: &str = "/manifest.json";
const CHECKSUM: &str = "/manifest.checksum";

/// Parses the folder in which the inventories of a bucket are published: `s3://bucket/[prefix/]source-bucket/configuration/`.
pub fn parse_folder(text: &str, source_bucket: &str) -> Result<SourceFolder, String> {
    let rule =
        format!("write s3://bucket/prefix/{source_bucket}/configuration/, below which S3 publishes the inventory");
    let folder = SourceFolder::parse(text)?;
    let mut parts = folder.prefix.strip_suffix('/').unwrap_or_default().rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(id), Some(bucket)) if !id.is_empty() && bucket == source_bucket => Ok(folder),
        _ => Err(format!("`{text}` does not end in the bucket of `source` and the inventory's name: {rule}")),
    }
}

/// The key after which the manifests of inventories started at or after this time are listed.
pub fn key_of(folder: &SourceFolder, started: Millis) -> String {
    let at = Timestamp::from_millisecond(started).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{}{}", folder.prefix, at.strftime("%Y-%m-%dT%H-%MZ"))
}

/// Prefix of all manifests. It includes the first digits of the year, which the folder of the data files does not begin with.
pub fn prefix_of_all(folder: &SourceFolder) -> String {
    format!("{}20", folder.prefix)
}

/// The manifest key of the newest complete inventory among these keys, that is, one whose checksum exists too.
pub fn newest(folder: &SourceFolder, keys: &BTreeSet<String>) -> Option<String> {
    let is_list = |key: &&String| {
        let date = key.strip_prefix(&folder.prefix).and_then(|rest| rest.strip_suffix(MANIFEST));
        date.is_some_and(|date| date.len() == DATE_CHARACTERS && date.ends_with('Z') && !date.contains('/'))
    };
    keys.iter().rev().filter(is_list).find(|key| keys.contains(&checksum_key(key))).cloned()
}

/// The key of a manifest's checksum.
pub fn checksum_key(manifest_key: &str) -> String {
    format!("{}{CHECKSUM}", manifest_key.strip_suffix(MANIFEST).unwrap_or(manifest_key))
}

/// The manifest of an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// When S3 began to scan the bucket.
    pub started_millis: Millis,
    columns: Columns,
    files: Vec<DataFile>,
}

/// A data file of an inventory: CSV, compressed with gzip.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct DataFile {
    key: String,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    source_bucket: String,
    creation_timestamp: String,
    file_format: String,
    file_schema: String,
    files: Vec<DataFile>,
}

impl Inventory {
    /// Parses a manifest after comparing it with its checksum. An error says what makes the inventory unusable.
    pub fn read(manifest: &[u8], checksum: &[u8], source_bucket: &str) -> Result<Self, String> {
        if !hex::encode(Md5::digest(manifest)).as_bytes().eq_ignore_ascii_case(checksum.trim_ascii()) {
            return Err("its manifest does not match its checksum".to_owned());
        }
        let read: Manifest = serde_json::from_slice(manifest).map_err(|error| format!("its manifest: {error}"))?;
        if read.source_bucket != source_bucket {
            return Err(format!("it lists the bucket `{}`, and `source` is in `{source_bucket}`", read.source_bucket));
        }
        if read.file_format != "CSV" {
            return Err(format!("its format is `{}`: let S3 write it as CSV", read.file_format));
        }
        let started_millis = read.creation_timestamp.parse();
        let started_millis = started_millis.map_err(|_| {
            format!("its `creationTimestamp` is `{}`, not a number of milliseconds", read.creation_timestamp)
        })?;
        Ok(Self { started_millis, columns: Columns::read(&read.file_schema)?, files: read.files })
    }

    /// Number of data files.
    pub fn n_files(&self) -> usize {
        self.files.len()
    }
}

/// The positions of the fields in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Columns {
    bucket: usize,
    key: usize,
    size: usize,
    modified: usize,
    etag: usize,
    version_id: Option<usize>,
    is_latest: Option<usize>,
    is_delete_marker: Option<usize>,
}

impl Columns {
    /// Reads `Bucket, Key, …`.
    fn read(schema: &str) -> Result<Self, String> {
        let find = |name: &str| schema.split(',').position(|column| column.trim() == name);
        let need =
            |name: &str| find(name).ok_or_else(|| format!("it has no `{name}`: add Size, LastModifiedDate and ETag"));
        Ok(Self {
            bucket: need("Bucket")?,
            key: need("Key")?,
            size: need("Size")?,
            modified: need("LastModifiedDate")?,
            etag: need("ETag")?,
            version_id: find("VersionId"),
            is_latest: find("IsLatest"),
            is_delete_marker: find("IsDeleteMarker"),
        })
    }

    /// The loadable object below the source that a line describes, if it describes one.
    fn object(&self, line: &str, source: &SourceFolder) -> Result<Option<Listed>, UnexpectedLine> {
        let fields = fields(line)?;
        let field = |index: usize| fields.get(index).copied().ok_or(UnexpectedLine);
        let is = |index: Option<usize>, otherwise: bool| match index.map(field).transpose()? {
            None | Some("") => Ok(otherwise),
            Some(text) => Ok(text.eq_ignore_ascii_case("true")),
        };
        if !is(self.is_latest, true)? || is(self.is_delete_marker, false)? || field(self.bucket)? != source.bucket {
            return Ok(None);
        }
        let key = decode_key(field(self.key)?).map_err(|_| UnexpectedLine)?;
        if !key.starts_with(&source.prefix) || is_temporary(&key) {
            return Ok(None);
        }
        let size_bytes = field(self.size)?.parse().map_err(|_| UnexpectedLine)?;
        if size_bytes == 0 {
            return Ok(None);
        }
        let modified_millis = field(self.modified)?.parse::<Timestamp>().map_err(|_| UnexpectedLine)?.as_millisecond();
        let version_id = self.version_id.map(field).transpose()?;
        let version = Version::new(version_id, Some(field(self.etag)?)).ok_or(UnexpectedLine)?;
        let object = ObjectVersion { bucket: source.bucket.clone(), key, version };
        Ok(Some(Listed { waiting: WaitingObject { object, size_bytes }, modified_millis }))
    }
}

/// A line that does not have the fields that the manifest names.
struct UnexpectedLine;

/// The fields of a line. They are quoted and contain no quotes or commas, because keys are URL-encoded.
fn fields(line: &str) -> Result<Vec<&str>, UnexpectedLine> {
    let field = |text| {
        let bare = str::strip_prefix(text, '"').map_or(Some(text), |rest| rest.strip_suffix('"'));
        bare.filter(|bare| !bare.contains('"')).ok_or(UnexpectedLine)
    };
    line.split(',').map(field).collect()
}

/// A position in an inventory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
pub struct Line {
    /// Index of the data file, from 0.
    pub file: usize,
    /// Index of its next line, from 0.
    pub line: u64,
}

/// The next step of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An object below the source.
    Object(Listed),
    /// A line that describes nothing to load.
    Other,
    /// These bytes are needed first.
    Part {
        /// Key of the data file.
        key: String,
        /// First byte.
        from: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Nothing is left.
    End,
}

/// Reads an inventory from a position on. Data files are inflated piece by piece, so memory does not grow with them. To continue inside a
/// data file, it is inflated again from its beginning, because gzip has no random access.
pub struct Scan {
    inventory: Inventory,
    source: SourceFolder,
    at: Line,
    /// Lines of the data file before this one were returned by an earlier scan.
    skipped: u64,
    inflating: Inflating,
}

/// A data file that is being inflated.
struct Inflating {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// Bytes of the file received so far.
    fed: u64,
    /// The bytes received last.
    input: Vec<u8>,
    /// Number of these that are inflated.
    used: usize,
    /// Start of the next line in the inflated text.
    text_at: usize,
    /// Whether the whole file is inflated and its gzip checksum is correct.
    is_whole: bool,
}

impl Inflating {
    fn begin() -> Self {
        let decoder = MultiGzDecoder::new(Vec::new());
        Self { decoder, fed: 0, input: Vec::new(), used: 0, text_at: 0, is_whole: false }
    }

    fn text(&self) -> &[u8] {
        self.decoder.get_ref().get(self.text_at..).unwrap_or_default()
    }

    fn inflate(&mut self) -> std::io::Result<()> {
        let text = self.decoder.get_mut();
        text.drain(..self.text_at.min(text.len()));
        self.text_at = 0;
        if self.used == self.input.len() {
            self.is_whole = true;
            return if self.fed > 0 { self.decoder.try_finish() } else { Ok(()) };
        }
        let until = self.input.len().min(self.used + INFLATE_BYTES);
        let piece = &self.input[self.used..until];
        self.used = until;
        self.decoder.write_all(piece)
    }
}

impl Scan {
    /// Begins at this position.
    pub fn new(inventory: Inventory, source: SourceFolder, from: Line) -> Self {
        let at = Line { file: from.file, line: 0 };
        Self { inventory, source, at, skipped: from.line, inflating: Inflating::begin() }
    }

    /// The position of the next line.
    pub fn position(&self) -> Line {
        Line { file: self.at.file, line: self.at.line.max(self.skipped) }
    }

    /// Receives the bytes that [`Next::Part`] asked for.
    pub fn feed(&mut self, part: Vec<u8>) {
        let inflating = &mut self.inflating;
        inflating.fed += part.len() as u64;
        (inflating.input, inflating.used) = (part, 0);
    }

    /// Returns the next line, or the bytes needed to reach it. After an error the scan cannot continue.
    pub fn advance(&mut self) -> Result<Next, String> {
        loop {
            let Some(file) = self.inventory.files.get(self.at.file) else { return Ok(Next::End) };
            let Inflating { fed, input, used, is_whole, .. } = &self.inflating;
            let text = self.inflating.text();
            let end = text.iter().position(|byte| *byte == b'\n');
            let end = end.or_else(|| (*is_whole && !text.is_empty()).then_some(text.len()));
            if let Some(end) = end {
                if let Some(next) = self.line(end)? {
                    return Ok(next);
                }
            } else if *is_whole {
                self.at = Line { file: self.at.file + 1, line: 0 };
                (self.skipped, self.inflating) = (0, Inflating::begin());
            } else if text.len() > LINE_BYTES_MAX {
                return Err(self.broken("has no end"));
            } else if *used == input.len() && *fed < file.size {
                return Ok(Next::Part { key: file.key.clone(), from: *fed, length: PART_BYTES.min(file.size - fed) });
            } else if let Err(error) = self.inflating.inflate() {
                return Err(self.broken(&format!("and what follows cannot be inflated: {error}")));
            }
        }
    }

    /// The next line, which has this length; `None` if it is skipped.
    fn line(&mut self, length: usize) -> Result<Option<Next>, String> {
        let at = self.inflating.text_at;
        (self.inflating.text_at, self.at.line) = (at + length + 1, self.at.line + 1);
        if self.at.line <= self.skipped {
            return Ok(None);
        }
        let line = &self.inflating.decoder.get_ref()[at..at + length];
        let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line));
        let line = line.map_err(|_| self.broken("is not UTF-8"))?;
        match self.inventory.columns.object(line, &self.source) {
            Ok(object) => Ok(Some(object.map_or(Next::Other, Next::Object))),
            Err(UnexpectedLine) => Err(self.broken("does not have the fields that the manifest names")),
        }
    }

    fn broken(&self, what: &str) -> String {
        let key = self.inventory.files.get(self.at.file).map_or("", |file| &file.key);
        format!("line {} of `{key}` {what}", self.at.line)
    }
}

#[cfg(test)]
mod tests;
