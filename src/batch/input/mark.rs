//! Byte order marks, as some editors leave them at the start.

use std::io::{self, BufRead, Read};

pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// The reader without a mark at its start. Waits for as much of it as there may be of one.
pub(super) fn without_mark(
    mut reader: Box<dyn BufRead + Send>,
) -> io::Result<Box<dyn BufRead + Send>> {
    for found in 0..MARK.len() {
        if filled(&mut reader)?.first() != Some(&MARK[found]) {
            return Ok(Box::new(MARK[..found].chain(reader)));
        }
        reader.consume(1);
    }
    Ok(reader)
}

/// `fill_buf`, which is called again when a signal comes in between.
pub(super) fn filled(reader: &mut dyn BufRead) -> io::Result<&[u8]> {
    loop {
        match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Asked twice because what is returned in a loop is borrowed beyond it; the second
            // time it is there.
            Ok(_) => return reader.fill_buf(),
            Err(error) => return Err(error),
        }
    }
}
