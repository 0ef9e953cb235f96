//! The only place that asks the system for chance.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Bytes that nobody can guess.
pub(crate) fn bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += getrandom(rest, GetRandomFlags::empty())?;
    }
    Ok(bytes)
}
