//! The number of rows in an ORC file, read from its tail alone.
//!
//! Source: ORC specification v1 ("File Tail", "Compression") and `orc_proto.proto` (`PostScript`, `Footer`). Anything that
//! contradicts the specification is an error.

use std::io::Read;

/// Bytes read first, from the end of the file. In most files they contain the whole footer.
pub const TAIL_BYTES: u64 = 64 * 1024;
/// Maximum bytes of a footer, compressed or inflated. Each stripe takes about a hundred.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the header of a compressed chunk.
const CHUNK_HEADER_BYTES: usize = 3;
const MAGIC: &[u8] = b"ORC";

/// Where the footer of a file is, and how it is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// First byte.
    pub from: u64,
    /// Number of bytes.
    pub length: u64,
    compression: Compression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Zlib,
    Snappy,
    Zstd,
}

/// Reads the end of a file of this size: its last [`TAIL_BYTES`], or all of it.
pub fn tail(end: &[u8], size_bytes: u64) -> Result<Tail, String> {
    const FOOTER_LENGTH: u64 = 1;
    const COMPRESSION: u64 = 2;
    const FILE_MAGIC: u64 = 8000;
    let not_orc = || "its end is not that of an ORC file".to_owned();
    let (last, before) = end.split_last().ok_or_else(not_orc)?;
    let postscript_bytes = usize::from(*last);
    let at = before.len().checked_sub(postscript_bytes).ok_or_else(not_orc)?;
    let (mut length, mut compression, mut is_orc) = (0, 0, false);
    let mut rest = &before[at..];
    while !rest.is_empty() {
        match field(&mut rest).ok_or_else(not_orc)? {
            (FOOTER_LENGTH, Field::Number(number)) => length = number,
            (COMPRESSION, Field::Number(number)) => compression = number,
            (FILE_MAGIC, Field::Bytes(bytes)) => is_orc = bytes == MAGIC,
            _ => {}
        }
    }
    let from = (size_bytes.checked_sub(1 + postscript_bytes as u64)).and_then(|end| end.checked_sub(length));
    let from = from.filter(|_| is_orc && (1..=FOOTER_BYTES_MAX).contains(&length)).ok_or_else(not_orc)?;
    let compression = match compression {
        0 => Compression::None,
        1 => Compression::Zlib,
        2 => Compression::Snappy,
        5 => Compression::Zstd,
        3 => return Err("its footer is compressed with LZO, which is not readable here".to_owned()),
        4 => return Err("its footer is compressed with LZ4, which is not readable here".to_owned()),
        other => return Err(format!("its footer is compressed in an unknown way, `{other}`")),
    };
    Ok(Tail { from, length, compression })
}

/// The footer, if the end of the file that was read, from `end_from` on, contains all of it.
pub fn footer<'a>(end: &'a [u8], end_from: u64, tail: &Tail) -> Option<&'a [u8]> {
    let at = usize::try_from(tail.from.checked_sub(end_from)?).ok()?;
    end.get(at..at.checked_add(usize::try_from(tail.length).ok()?)?)
}

/// The number of rows, from the footer.
pub fn rows(footer: &[u8], tail: &Tail) -> Result<u64, String> {
    const NUMBER_OF_ROWS: u64 = 6;
    let inflated = inflate(footer, tail.compression)?;
    let mut rest = inflated.as_slice();
    while !rest.is_empty() {
        match field(&mut rest).ok_or("its footer breaks off")? {
            (NUMBER_OF_ROWS, Field::Number(rows)) => return Ok(rows),
            (_, Field::Number(_) | Field::Bytes(_)) => {}
        }
    }
    Err("its footer has no number of rows".to_owned())
}

/// Inflates the chunks of a footer. Each begins with a length of three bytes, whose lowest bit marks an uncompressed chunk.
fn inflate(mut footer: &[u8], compression: Compression) -> Result<Vec<u8>, String> {
    if compression == Compression::None {
        return Ok(footer.to_vec());
    }
    let broken = "its footer cannot be decompressed";
    let mut inflated = Vec::new();
    while !footer.is_empty() {
        let (header, rest) = footer.split_first_chunk::<CHUNK_HEADER_BYTES>().ok_or(broken)?;
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let (chunk, rest) = rest.split_at_checked((header >> 1) as usize).ok_or(broken)?;
        footer = rest;
        let done = match compression {
            Compression::None => limited(chunk, &mut inflated),
            _ if header & 1 == 1 => limited(chunk, &mut inflated),
            Compression::Zlib => limited(flate2::read::DeflateDecoder::new(chunk), &mut inflated),
            Compression::Zstd => zstd::Decoder::new(chunk).ok().and_then(|decoder| limited(decoder, &mut inflated)),
            Compression::Snappy => {
                let length = snap::raw::decompress_len(chunk).ok().filter(|length| *length as u64 <= FOOTER_BYTES_MAX);
                let chunk = length.and_then(|_| snap::raw::Decoder::new().decompress_vec(chunk).ok());
                chunk.and_then(|chunk| limited(chunk.as_slice(), &mut inflated))
            }
        };
        done.ok_or(broken)?;
    }
    Ok(inflated)
}

/// Appends everything, or returns `None` if it breaks off or becomes too long.
fn limited(from: impl Read, to: &mut Vec<u8>) -> Option<()> {
    from.take(FOOTER_BYTES_MAX + 1).read_to_end(to).ok()?;
    (to.len() as u64 <= FOOTER_BYTES_MAX).then_some(())
}

/// A field of a protobuf message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The number and value of the next field, or `None` if the message breaks off.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = number(rest)?;
    let value = match key & 7 {
        0 => Field::Number(number(rest)?),
        1 => Field::Bytes(take(rest, 8)?),
        2 => {
            let length = number(rest)?;
            Field::Bytes(take(rest, length)?)
        }
        5 => Field::Bytes(take(rest, 4)?),
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = left;
    Some(taken)
}

/// A varint: seven bits per byte, lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a file that is read in one piece.
    fn read(file: &[u8]) -> Result<u64, String> {
        let tail = tail(file, file.len() as u64)?;
        rows(footer(file, 0, &tail).ok_or("the footer is elsewhere")?, &tail)
    }

    fn real(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/orc");
        std::fs::read(format!("{folder}/seven-rows-{name}.orc")).unwrap()
    }

    /// A footer with a stripe before the number of rows; a postscript that names this compression.
    fn file(footer: &[u8], compression: u8) -> Vec<u8> {
        let postscript =
            [&[0x08, u8::try_from(footer.len()).unwrap(), 0x10, compression, 0x82, 0xf4, 0x03, 3], MAGIC].concat();
        [MAGIC, footer, &postscript, &[u8::try_from(postscript.len()).unwrap()]].concat()
    }

    /// 300 rows.
    const FOOTER: [u8; 11] = [0x08, 3, 0x10, 9, 0x1a, 2, 0x08, 3, 0x30, 0xac, 0x02];

    #[test]
    fn files_of_a_real_writer_say_how_many_rows_they_have() {
        for name in ["zlib", "snappy", "zstd"] {
            let file = real(name);
            assert_eq!(read(&file), Ok(7), "{name}");
            // As its end is read when the file is large.
            let (whole, end) = (file.len() as u64, &file[file.len() - 100..]);
            let found = tail(end, whole).unwrap();
            assert_eq!(Ok(found), tail(&file, whole), "{name}");
            assert_eq!(footer(end, whole - 100, &found), None, "it begins before");
        }
    }

    #[test]
    fn chunks_are_read_as_they_are_or_decompressed() {
        assert_eq!(read(&file(&FOOTER, 0)), Ok(300));
        let original = |chunk: &[u8]| [&[u8::try_from(chunk.len()).unwrap() << 1 | 1, 0, 0], chunk].concat();
        let two = [original(&FOOTER[..5]), original(&FOOTER[5..])].concat();
        for compression in [1, 2, 5] {
            assert_eq!(read(&file(&two, compression)), Ok(300), "{compression}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        assert!(read(&file(&FOOTER, 4)).unwrap_err().contains("LZ4"));
        assert!(read(&file(&FOOTER, 3)).unwrap_err().contains("LZO"));
        assert!(read(&file(&FOOTER, 9)).unwrap_err().contains("`9`"));
        assert_eq!(read(&file(&FOOTER[..8], 0)).unwrap_err(), "its footer has no number of rows");
        assert_eq!(read(&file(&FOOTER[..10], 0)).unwrap_err(), "its footer breaks off");
        for end in [&b""[..], b"PAR1", &[0], &[200, 200, 200]] {
            assert!(read(end).unwrap_err().contains("not that of an ORC file"), "{end:?}");
        }
        for name in ["zlib", "snappy", "zstd"] {
            let whole = real(name);
            for cut in 0..whole.len() {
                assert!(read(&whole[..cut]).is_err(), "{name} {cut}");
                let mut altered = whole.clone();
                altered[cut] ^= 0x55;
                // Whatever it says, nothing panics.
                let _ = read(&altered);
            }
        }
    }
}
