//! Bytes that could not be written yet.

/// A queue of bytes waiting for a descriptor; it holds no memory while empty.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: Vec<u8>,
    sent: usize,
}

impl Backlog {
    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn clear(&mut self) {
        *self = Backlog::default();
    }

    /// Hands bytes to `write` until all are gone or it would block; returns whether any went.
    pub fn flush(&mut self, mut write: impl FnMut(&[u8]) -> std::io::Result<usize>) -> std::io::Result<bool> {
        let before = self.sent;
        while self.sent < self.bytes.len() {
            match write(&self.bytes[self.sent..]) {
                Ok(0) => break,
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let progress = self.sent != before;
        if self.is_empty() {
            self.clear();
        }
        Ok(progress)
    }
}
