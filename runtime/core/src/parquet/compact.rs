//! Thrift's compact protocol, as far as a footer needs it. Every step consumes at least a byte, so reading always ends.
//!
//! Source: `thrift-compact-protocol.md` of Apache Thrift.

use super::Unreadable;

/// Maximum depth of nested structures to skip.
const DEPTH_MAX: usize = 16;
/// Maximum length of a number in bytes: 64 bits, seven per byte.
const NUMBER_BYTES_MAX: u32 = 10;

/// A type of the protocol, as in a field's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(u8);

const TRUE: Kind = Kind(1);
const FALSE: Kind = Kind(2);
const BYTE: Kind = Kind(3);
const I16: Kind = Kind(4);
const I32: Kind = Kind(5);
const I64: Kind = Kind(6);
const DOUBLE: Kind = Kind(7);
const BINARY: Kind = Kind(8);
const LIST: Kind = Kind(9);
const SET: Kind = Kind(10);
const MAP: Kind = Kind(11);
const STRUCTURE: Kind = Kind(12);
const UUID: Kind = Kind(13);

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number, whatever its width.
    Number(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Any other value, which was skipped.
    Other,
}

/// The remaining input.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The number and type of a structure's next field; `last` is the number of the previous one. `None` at the end of the structure.
    pub fn field(&mut self, last: i16) -> Result<Option<(i16, Kind)>, Unreadable> {
        let header = self.byte()?;
        let (delta, kind) = (i16::from(header >> 4), Kind(header & 0x0f));
        if header == 0 {
            return Ok(None);
        }
        let id = match delta {
            0 => i16::try_from(self.number()?).map_err(|_| Unreadable::Malformed)?,
            delta => last.checked_add(delta).ok_or(Unreadable::Malformed)?,
        };
        Ok(Some((id, kind)))
    }

    /// The length of a list of structures, whose elements follow.
    pub fn list_of_structures(&mut self, kind: Kind) -> Result<usize, Unreadable> {
        match self.list(kind)? {
            (n, STRUCTURE) => Ok(n),
            _ => Err(Unreadable::Malformed),
        }
    }

    /// The number of a union's field; `None` if the union is empty.
    pub fn union(&mut self, kind: Kind) -> Result<Option<i16>, Unreadable> {
        if kind != STRUCTURE {
            return Err(Unreadable::Malformed);
        }
        let Some((id, kind)) = self.field(0)? else { return Ok(None) };
        self.skip(kind)?;
        match self.field(id)? {
            None => Ok(Some(id)),
            Some(_) => Err(Unreadable::Malformed),
        }
    }

    /// The value of a field of this type.
    pub fn value(&mut self, kind: Kind) -> Result<Value<'a>, Unreadable> {
        match kind {
            I16 | I32 | I64 => self.number().map(Value::Number),
            BINARY => self.binary().map(Value::Bytes),
            kind => self.skip(kind).map(|()| Value::Other),
        }
    }

    /// Skips the value of a field of this type.
    pub fn skip(&mut self, kind: Kind) -> Result<(), Unreadable> {
        // The value of a Boolean field is in its header; as a list element it takes a byte.
        if [TRUE, FALSE].contains(&kind) { Ok(()) } else { self.skip_value(kind, DEPTH_MAX) }
    }

    fn skip_value(&mut self, kind: Kind, depth: usize) -> Result<(), Unreadable> {
        let below = depth.checked_sub(1).ok_or(Unreadable::Malformed)?;
        match kind {
            TRUE | FALSE | BYTE => self.byte().map(|_| ()),
            I16 | I32 | I64 => self.number().map(|_| ()),
            DOUBLE => self.take(8).map(|_| ()),
            UUID => self.take(16).map(|_| ()),
            BINARY => self.binary().map(|_| ()),
            LIST | SET => {
                let (n, kind) = self.list(kind)?;
                (0..n).try_for_each(|_| self.skip_value(kind, below))
            }
            MAP => self.skip_map(below),
            STRUCTURE => self.skip_structure(below),
            _ => Err(Unreadable::Malformed),
        }
    }

    fn skip_structure(&mut self, below: usize) -> Result<(), Unreadable> {
        let mut last = 0;
        while let Some((id, kind)) = self.field(last)? {
            if ![TRUE, FALSE].contains(&kind) {
                self.skip_value(kind, below)?;
            }
            last = id;
        }
        Ok(())
    }

    fn skip_map(&mut self, below: usize) -> Result<(), Unreadable> {
        let n = self.unsigned()?;
        if n == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        (0..n).try_for_each(|_| {
            self.skip_value(Kind(kinds >> 4), below)?;
            self.skip_value(Kind(kinds & 0x0f), below)
        })
    }

    fn list(&mut self, kind: Kind) -> Result<(usize, Kind), Unreadable> {
        if ![LIST, SET].contains(&kind) {
            return Err(Unreadable::Malformed);
        }
        let header = self.byte()?;
        let n = match header >> 4 {
            15 => self.unsigned()?,
            short => u64::from(short),
        };
        Ok((usize::try_from(n).map_err(|_| Unreadable::Malformed)?, Kind(header & 0x0f)))
    }

    fn binary(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = usize::try_from(self.unsigned()?).map_err(|_| Unreadable::Malformed)?;
        self.take(length)
    }

    /// Signed numbers are zigzag encoded.
    fn number(&mut self) -> Result<i64, Unreadable> {
        let zigzag = self.unsigned()?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    fn unsigned(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0_u64;
        for position in 0..NUMBER_BYTES_MAX {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unreadable::Malformed)
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        self.take(1).map(|byte| byte[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(taken)
    }
}
