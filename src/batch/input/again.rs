//! Reading an input that will be read once more: a file from its start, and what comes once.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;

use parking_lot::Mutex;

/// A file from its start, by places of its own: other readers of the same file do not move it.
pub(super) struct FromStart {
    file: File,
    at: u64,
    end: u64,
}

impl FromStart {
    /// Reads up to `end`: what is appended meanwhile may be half of a line.
    pub(super) fn of(file: &File, end: u64) -> io::Result<Self> {
        Ok(Self {
            file: file.try_clone()?,
            at: 0,
            end,
        })
    }
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let buffer = &mut buffer[..length];
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&self.file, buffer, self.at)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// What comes once, kept on the disk as far as it was read, so that it can be read from its start again.
pub(super) struct Once {
    rest: Rest,
    kept: File,
}

/// What is not read yet.
#[derive(Clone)]
struct Rest(Arc<Mutex<Box<dyn Read + Send>>>);

impl Once {
    pub(super) fn of(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        Ok(Self {
            rest: Rest(Arc::new(Mutex::new(reader))),
            kept: tempfile::tempfile()?,
        })
    }

    /// Reads on, and keeps what is read.
    pub(super) fn first_time(&self) -> io::Result<impl Read + Send + use<>> {
        Ok(Keeping {
            rest: self.rest.clone(),
            kept: self.kept.try_clone()?,
        })
    }

    /// Reads what was kept, and then the rest.
    pub(super) fn second_time(mut self) -> io::Result<impl Read + Send> {
        self.kept.rewind()?;
        Ok(self.kept.chain(self.rest))
    }
}

struct Keeping {
    rest: Rest,
    kept: File,
}

impl Read for Keeping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.rest.read(buffer)?;
        self.kept.write_all(&buffer[..read])?;
        Ok(read)
    }
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_once_is_read_twice_and_no_further_than_needed() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let once = Once::of(Box::new(io::Cursor::new(text.clone()))).unwrap();
        let mut beginning = vec![0; 5_000];
        once.first_time()
            .unwrap()
            .read_exact(&mut beginning)
            .unwrap();
        assert_eq!(beginning, text[..5_000]);
        assert_eq!(once.kept.metadata().unwrap().len(), 5_000);
        let mut all = Vec::new();
        once.second_time().unwrap().read_to_end(&mut all).unwrap();
        assert_eq!(all, text);
    }

    #[test]
    fn two_readers_of_a_file_do_not_move_each_other() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one two").unwrap();
        let [mut a, mut b] = [(); 2].map(|()| FromStart::of(&file, 7).unwrap());
        let (mut first, mut all) = ([0; 3], String::new());
        a.read_exact(&mut first).unwrap();
        b.read_to_string(&mut all).unwrap();
        assert_eq!((&first, &*all), (b"one", "one two"));
        all.clear();
        file.write_all(b" and more").unwrap(); // which was not there when it was opened
        a.read_to_string(&mut all).unwrap();
        assert_eq!(all, " two");
    }
}
