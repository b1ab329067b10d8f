//! Records gathered for one write, put where the bound of the file allows.

use super::file::RotatingFile;

/// Records gathered before they are written.
pub(crate) const BATCH: usize = 256 << 10;

/// The records of one piece of output on their way into a file.
#[derive(Debug)]
pub(crate) struct Batch {
    file: RotatingFile,
    records: Vec<u8>,
    /// Bytes of the container's output in `records`.
    text: u64,
    dropped: u64,
}

impl Batch {
    pub fn new(file: RotatingFile) -> Batch {
        Batch { file, records: Vec::new(), text: 0, dropped: 0 }
    }

    /// Returns the most bytes a record may have.
    pub fn longest_record(&self) -> usize {
        usize::try_from(self.file.max_size()).unwrap_or(usize::MAX).min(BATCH)
    }

    /// Adds a record that stands for `text` bytes of output.
    pub fn add(&mut self, record: &[&[u8]], text: usize) {
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
        self.text += text as u64;
        if self.records.len() >= BATCH {
            self.flush();
        }
    }

    /// Writes what was gathered. What the disk does not take is counted, not kept: memory is not a disk.
    pub fn flush(&mut self) {
        if !self.records.is_empty() && self.file.append(&self.records).is_err() {
            self.dropped += self.text;
        }
        self.records.clear();
        self.text = 0;
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
