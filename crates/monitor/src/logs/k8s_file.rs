//! The `k8s-file` driver: `2026-11-27T16:17:01.123456789+00:00 stdout F text`, the line format of the Kubernetes CRI.
//!
//! `F` ends a line; `P` is a piece of one whose end had not come yet. A piece is written when it is read, so that a prompt shows.

use std::time::SystemTime;

use memchr::memchr;

use super::batch::Batch;
use super::file::RotatingFile;
use super::read::LogFormat;
use super::{LogWriter, timestamp};
use crate::Stream;

/// `time stream F `: both streams' names have six letters.
const PREFIX: usize = timestamp::LENGTH + " stdout F ".len();
/// Bytes around the text of a record.
const FRAME: usize = PREFIX + "\n".len();

/// Writes the CRI line format.
pub(crate) struct K8sFile {
    batch: Batch,
}

impl K8sFile {
    pub fn new(file: RotatingFile) -> K8sFile {
        K8sFile { batch: Batch::new(file, LogFormat::K8sFile) }
    }
}

impl LogWriter for K8sFile {
    fn write(&mut self, stream: Stream, bytes: &[u8], now: SystemTime) {
        let mut line = [b' '; PREFIX];
        line[..timestamp::LENGTH].copy_from_slice(&timestamp::format(now));
        line[timestamp::LENGTH + 1..PREFIX - 3].copy_from_slice(stream.name().as_bytes());
        line[PREFIX - 2] = b'F';
        let mut piece = line;
        piece[PREFIX - 2] = b'P';
        let longest = self.batch.longest_record() - FRAME;
        let mut rest = bytes;
        while !rest.is_empty() {
            let window = &rest[..rest.len().min(longest + 1)];
            if let Some(end) = memchr(b'\n', window) {
                self.batch.add(&[&line, &rest[..=end]]);
                rest = &rest[end + 1..];
            } else {
                let text = &rest[..rest.len().min(longest)];
                self.batch.add(&[&piece, text, b"\n"]);
                rest = &rest[text.len()..];
            }
        }
        self.batch.flush();
    }

    fn dropped(&self) -> u64 {
        self.batch.dropped()
    }
}
