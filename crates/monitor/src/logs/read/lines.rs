//! Lines of a chain of files, forwards.

use std::io;

use memchr::memchr;
use rustix::io::{Errno, pread};

use super::chain::Chain;

/// What one read may bring.
const READ: usize = 128 << 10;
/// The longest line taken for one; our drivers end theirs far before.
pub(crate) const LONGEST_LINE: usize = 4 << 20;

/// A place in a log: the file's ordinal and the offset in it.
pub(crate) type Position = (u64, u64);

/// A cursor over the lines of a chain; it lets files go when it has read them.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The file `buffer` comes from.
    ordinal: u64,
    buffer: Vec<u8>,
    /// How much of `buffer` was given out already.
    given: usize,
    /// The offset in the file of what comes after `buffer`.
    offset: u64,
    /// Inside a line that is too long, of which nothing is given out.
    skipping: bool,
}

impl Lines {
    /// Begins at a position; files before it are let go.
    pub fn at(chain: &mut Chain, (ordinal, offset): Position) -> Lines {
        while chain.oldest().is_some_and(|file| file.ordinal < ordinal) && chain.forget_oldest() {}
        Lines { ordinal, buffer: Vec::new(), given: 0, offset, skipping: false }
    }

    /// Returns the next whole line and where it begins; `None` at the end of what there is now.
    pub fn next(&mut self, chain: &mut Chain) -> io::Result<Option<(Position, &[u8])>> {
        loop {
            if let Some(length) = memchr(b'\n', &self.buffer[self.given..]) {
                let start = self.given;
                self.given += length + 1;
                let skipped = std::mem::take(&mut self.skipping);
                if !skipped {
                    let position = (self.ordinal, self.offset - (self.buffer.len() - start) as u64);
                    return Ok(Some((position, &self.buffer[start..start + length])));
                }
            } else if !self.read_more(chain)? {
                return Ok(None);
            }
        }
    }

    /// Reads on, in the next file if this one is at its end and there is one.
    fn read_more(&mut self, chain: &mut Chain) -> io::Result<bool> {
        self.buffer.drain(..self.given);
        self.given = 0;
        if self.buffer.len() > LONGEST_LINE {
            self.buffer.clear();
            self.skipping = true;
        }
        // Files that appeared meanwhile are opened now, before another rotation takes them from us.
        chain.extend()?;
        loop {
            if self.fill(chain)? > 0 {
                return Ok(true);
            }
            // All files that follow were there before this one was found at its end: nothing can be added to it any more.
            if !chain.forget_oldest() {
                return Ok(false);
            }
            self.ordinal = chain.oldest().map_or(self.ordinal + 1, |file| file.ordinal);
            self.offset = 0;
            // The rest of a line whose end the disk had no room for.
            self.buffer.clear();
            self.skipping = false;
        }
    }

    fn fill(&mut self, chain: &Chain) -> io::Result<usize> {
        let Some(file) = chain.oldest() else {
            return Ok(0);
        };
        self.ordinal = file.ordinal;
        let used = self.buffer.len();
        self.buffer.reserve(READ);
        loop {
            match pread(&file.fd, rustix::buffer::spare_capacity(&mut self.buffer), self.offset) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let count = self.buffer.len() - used;
        self.offset += count as u64;
        Ok(count)
    }
}
