//! Records gathered for one write, put where the bound of the file allows.

use super::file::RotatingFile;
use super::read::{LogFormat, parse};

/// Records gathered before they are written.
pub(crate) const BATCH: usize = 256 << 10;

/// The records of one piece of output on their way into a file.
#[derive(Debug)]
pub(crate) struct Batch {
    file: RotatingFile,
    format: LogFormat,
    records: Vec<u8>,
    dropped: u64,
}

impl Batch {
    pub fn new(file: RotatingFile, format: LogFormat) -> Batch {
        Batch { file, format, records: Vec::new(), dropped: 0 }
    }

    /// Returns the most bytes a record may have.
    pub fn longest_record(&self) -> usize {
        usize::try_from(self.file.max_size()).unwrap_or(usize::MAX).min(BATCH)
    }

    /// Adds a record, given in parts.
    #[inline]
    pub fn add(&mut self, record: &[&[u8]]) {
        let length: usize = record.iter().map(|part| part.len()).sum();
        if (self.records.len() + length) as u64 > self.file.room() {
            self.flush();
            if length as u64 > self.file.room() {
                self.file.rotate();
            }
        }
        for part in record {
            self.records.extend_from_slice(part);
        }
        if self.records.len() >= BATCH {
            self.flush();
        }
    }

    /// Writes what was gathered. What the disk does not take is counted, not kept: memory is not a disk.
    pub fn flush(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let kept = self.file.append(&self.records);
        for record in self.records[kept..].split(|byte| *byte == b'\n') {
            let piece = parse::line(self.format, record);
            self.dropped += piece.map_or(0, |piece| piece.text.len() as u64 + u64::from(!piece.partial));
        }
        self.records.clear();
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
