//! The `k8s-file` driver: `2026-11-27T16:17:01.123456789+00:00 stdout F text`, the line format of the Kubernetes CRI.
//!
//! `F` ends a line; `P` is a piece of one whose end had not come yet. A piece is written when it is read, so that a prompt shows.

use std::time::SystemTime;

use memchr::memchr;

use super::LogWriter;
use super::file::RotatingFile;
use super::timestamp;
use crate::Stream;

/// Records gathered before they are written.
const BATCH: usize = 256 << 10;
/// Bytes around the text of a record: time, stream, tag, newline.
const FRAME: usize = timestamp::LENGTH + " stdout F ".len() + 1;

/// Writes the CRI line format.
pub(crate) struct K8sFile {
    file: RotatingFile,
    batch: Vec<u8>,
    batched_text: u64,
    dropped: u64,
}

impl K8sFile {
    pub fn new(file: RotatingFile) -> K8sFile {
        K8sFile { file, batch: Vec::new(), batched_text: 0, dropped: 0 }
    }

    fn add(&mut self, prefix: &[u8], text: &[u8], tag: u8) {
        let length = FRAME + text.len();
        if (self.batch.len() + length) as u64 > self.file.room() {
            self.flush();
            if length as u64 > self.file.room() {
                self.file.rotate();
            }
        }
        self.batch.extend_from_slice(prefix);
        self.batch.extend_from_slice(&[tag, b' ']);
        self.batch.extend_from_slice(text);
        self.batch.push(b'\n');
        self.batched_text += text.len() as u64 + u64::from(tag == b'F');
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.batch.is_empty() && self.file.append(&self.batch).is_err() {
            self.dropped += self.batched_text;
        }
        self.batch.clear();
        self.batched_text = 0;
    }
}

impl LogWriter for K8sFile {
    fn write(&mut self, stream: Stream, bytes: &[u8], now: SystemTime) {
        let mut prefix = [b' '; FRAME - 3];
        prefix[..timestamp::LENGTH].copy_from_slice(&timestamp::format(now));
        prefix[timestamp::LENGTH + 1..FRAME - 4].copy_from_slice(stream.name().as_bytes());
        let longest = usize::try_from(self.file.max_size()).unwrap_or(usize::MAX).min(BATCH) - FRAME;
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr(b'\n', &rest[..rest.len().min(longest + 1)]);
            let (text, tag) = match end {
                Some(end) => (&rest[..end], b'F'),
                None => (&rest[..rest.len().min(longest)], b'P'),
            };
            self.add(&prefix, text, tag);
            rest = &rest[text.len() + usize::from(tag == b'F')..];
        }
        self.flush();
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}
