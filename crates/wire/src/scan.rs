//! Walks keys and lengths of an encoded message before anything is allocated for it.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::limits::{FIELDS_MAX, Field, Kind, Limits};

/// How much memory a message may take beyond four times its bytes.
const MEMORY_FLOOR: usize = 64 * 1024;
/// What prost allocates for one element of a repeated string or bytes field.
const ELEMENT_SIZE: usize = 32;
const DEPTH_MAX: u32 = 4;
const UNKNOWN_MAX: u32 = 64;

/// Why the scan refuses bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The message is longer than its kind may be.
    #[error("{message} of {len} bytes, more than {max}")]
    TooLong {
        /// The kind of message.
        message: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// It ends inside of a key, a length or a value.
    #[error("{0} is cut off")]
    CutOff(&'static str),
    /// A varint has more than ten bytes.
    #[error("{0} has a varint of more than ten bytes")]
    BadVarint(&'static str),
    /// A key has field number 0, or a wire type that is no longer in use.
    #[error("{0} has a key that no schema can have")]
    BadKey(&'static str),
    /// A field has another wire type than the schema says.
    #[error("field {number} of {message} has another type")]
    WrongType {
        /// The kind of message.
        message: &'static str,
        /// The field's number.
        number: u32,
    },
    /// A field stands more often than it may.
    #[error("field {number} of {message} stands more than {max} times")]
    TooMany {
        /// The kind of message.
        message: &'static str,
        /// The field's number.
        number: u32,
        /// The limit.
        max: u32,
    },
    /// A string or bytes field is too long.
    #[error("field {number} of {message} has {len} bytes, more than {max}")]
    FieldTooLong {
        /// The kind of message.
        message: &'static str,
        /// The field's number.
        number: u32,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// There are more than 64 fields that the schema does not know.
    #[error("{0} has more than 64 unknown fields")]
    TooManyUnknown(&'static str),
    /// It is nested too deeply.
    #[error("{0} is nested more than four deep")]
    TooDeep(&'static str),
    /// Decoding would take more than four times the bytes plus 64 KiB.
    #[error("{0} would take far more memory than bytes")]
    Amplified(&'static str),
}

/// Checks an encoded message against its limits, without allocating.
pub fn scan(bytes: &[u8], limits: &'static Limits) -> Result<(), ScanError> {
    let memory_max = bytes.len().saturating_mul(4).saturating_add(MEMORY_FLOOR);
    let mut scan = Scan { memory: 0, memory_max, unknown: 0 };
    scan.message(bytes, limits, 1)
}

struct Scan {
    memory: usize,
    memory_max: usize,
    unknown: u32,
}

impl Scan {
    fn message(&mut self, bytes: &[u8], limits: &'static Limits, depth: u32) -> Result<(), ScanError> {
        let name = limits.name;
        if bytes.len() > limits.bytes_max {
            return Err(ScanError::TooLong { message: name, len: bytes.len(), max: limits.bytes_max });
        }
        if depth > DEPTH_MAX {
            return Err(ScanError::TooDeep(name));
        }
        let mut counts = [0_u32; FIELDS_MAX];
        let mut rest = Reader { bytes, name };
        while !rest.bytes.is_empty() {
            let (number, value) = rest.field()?;
            let Some((field, count)) = limits.fields.iter().zip(&mut counts).find(|(field, _)| field.number == number)
            else {
                self.unknown = self.unknown.saturating_add(1);
                if self.unknown > UNKNOWN_MAX {
                    return Err(ScanError::TooManyUnknown(name));
                }
                continue;
            };
            *count = count.saturating_add(1);
            if *count > field.count_max {
                return Err(ScanError::TooMany { message: name, number, max: field.count_max });
            }
            self.value(name, field, value, depth)?;
        }
        Ok(())
    }

    fn value(&mut self, name: &'static str, field: &Field, value: Value<'_>, depth: u32) -> Result<(), ScanError> {
        match (field.kind, value) {
            (Kind::Number, Value::Number) => Ok(()),
            (Kind::Bytes { max }, Value::Bytes(bytes)) => {
                if bytes.len() > max {
                    let (number, len) = (field.number, bytes.len());
                    return Err(ScanError::FieldTooLong { message: name, number, len, max });
                }
                self.spend(name, bytes.len().saturating_add(ELEMENT_SIZE))
            }
            (Kind::Message(limits), Value::Bytes(bytes)) => {
                self.spend(name, limits.decoded_size)?;
                self.message(bytes, limits, depth.saturating_add(1))
            }
            (Kind::Number, Value::Bytes(_) | Value::Fixed)
            | (Kind::Bytes { .. } | Kind::Message(_), Value::Number | Value::Fixed) => {
                Err(ScanError::WrongType { message: name, number: field.number })
            }
        }
    }

    fn spend(&mut self, name: &'static str, bytes: usize) -> Result<(), ScanError> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > self.memory_max { Err(ScanError::Amplified(name)) } else { Ok(()) }
    }
}

enum Value<'a> {
    Number,
    Fixed,
    Bytes(&'a [u8]),
}

struct Reader<'a> {
    bytes: &'a [u8],
    name: &'static str,
}

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<(u32, Value<'a>), ScanError> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(ScanError::BadKey(self.name))?;
        let value = match key & 7 {
            0 => self.varint().map(|_| Value::Number)?,
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| ScanError::CutOff(self.name))?;
                Value::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(ScanError::BadKey(self.name)),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, ScanError> {
        let mut value = 0_u64;
        for shift in (0..70_u32).step_by(7) {
            let (first, rest) = self.bytes.split_first().ok_or(ScanError::CutOff(self.name))?;
            self.bytes = rest;
            value |= u64::from(first & 0x7f).checked_shl(shift).unwrap_or(0);
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ScanError::BadVarint(self.name))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], ScanError> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(ScanError::CutOff(self.name))?;
        self.bytes = rest;
        Ok(taken)
    }
}
