//! A blob whose connection may break: it goes on where it stopped.
//!
//! Whoever reads verifies the digest over all bytes from the first; here lengths alone are watched.

use crate::http::{Ask, Client};
use crate::PullError;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Less than this in [`SLOW_WINDOW`] of waiting is a dead connection (slow loris).
const SLOW_BYTES: u64 = 16 << 10;
const SLOW_WINDOW: Duration = Duration::from_secs(30);

/// Reads a blob, over as many connections as it takes.
pub(crate) struct Resuming {
    client: Arc<Client>,
    scope: String,
    path: String,
    what: String,
    size: u64,
    at: u64,
    /// Where the last break was: a connection that brought something does not count against the tries.
    broke_at: u64,
    tries_left: u32,
    reader: Box<dyn Read + Send>,
    waited: Duration,
    waited_for: u64,
}

impl Resuming {
    /// Opens the first connection; a registry that does not have the blob says so here.
    pub(crate) fn open(client: &Arc<Client>, scope: String, path: String, what: String, size: u64) -> Result<Self, PullError> {
        let response = client.expect(&path, &Ask::default(), &scope, &what)?;
        let reader = Box::new(response.into_body().into_reader());
        let tries_left = client.options.retries;
        Ok(Self { client: Arc::clone(client), scope, path, what, size, at: 0, broke_at: 0, tries_left, reader, waited: Duration::ZERO, waited_for: 0 })
    }

    fn read_once(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        let got = self.reader.read(buffer)?;
        self.waited += start.elapsed();
        self.waited_for += got as u64;
        if got == 0 && self.at < self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.waited >= SLOW_WINDOW {
            let was_slow = self.waited_for < SLOW_BYTES && self.at + (got as u64) < self.size;
            (self.waited, self.waited_for) = (Duration::ZERO, 0);
            if was_slow {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it sends next to nothing"));
            }
        }
        Ok(got)
    }

    /// Connects again, with growing pauses, until it works or no try is left.
    fn reconnect(&mut self, mut broken: io::Error) -> io::Result<()> {
        // A server that breaks off every few percent still gets us to the end; one that brings nothing does not.
        if self.at - self.broke_at >= (64 << 10).min(self.size / 20).max(1) {
            self.tries_left = self.client.options.retries;
        }
        self.broke_at = self.at;
        loop {
            if self.tries_left == 0 {
                return Err(io::Error::new(broken.kind(), format!("{} of {}: the connection broke at byte {} of {}: {broken}", self.what, self.client.host, self.at, self.size)));
            }
            let tried = self.client.options.retries - self.tries_left;
            self.tries_left -= 1;
            std::thread::sleep(self.client.pause(tried));
            match self.reopen() {
                Ok(()) => return Ok(()),
                Err(error @ (PullError::Unreachable { .. } | PullError::Status { status: 429 | 500.., .. })) => broken = io::Error::new(io::ErrorKind::ConnectionAborted, error.to_string()),
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
    }

    fn reopen(&mut self) -> Result<(), PullError> {
        let range = format!("bytes={}-", self.at);
        let response = self.client.request(&self.path, &Ask { range: Some(&range), ..Ask::default() }, &self.scope)?;
        (self.waited, self.waited_for) = (Duration::ZERO, 0);
        match response.status().as_u16() {
            206 => {
                let given = response.headers().get("content-range").and_then(|value| value.to_str().ok()).unwrap_or_default();
                if !starts_at(given, self.at) {
                    return Err(PullError::invalid(&self.what, format!("{} was asked for the bytes from {} and sent {given:?}", self.client.host, self.at)));
                }
                self.reader = Box::new(response.into_body().into_reader());
            }
            // It does not know ranges: what we have is read again and passed over.
            200 => {
                let mut reader = response.into_body().into_reader();
                let unreachable = |why: String| PullError::Unreachable { registry: self.client.host.clone(), why };
                let skipped = io::copy(&mut Read::by_ref(&mut reader).take(self.at), &mut io::sink()).map_err(|e| unreachable(e.to_string()))?;
                if skipped < self.at {
                    return Err(unreachable("the connection broke again".to_owned()));
                }
                self.reader = Box::new(reader);
            }
            _ => return Err(self.client.refusal(response, &self.what)),
        }
        Ok(())
    }
}

impl Read for Resuming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.read_once(buffer) {
                Ok(got) => {
                    self.at += got as u64;
                    if self.at > self.size {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} of {} is longer than the {} bytes its manifest names", self.what, self.client.host, self.size)));
                    }
                    return Ok(got);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(broken) => self.reconnect(broken)?,
            }
        }
    }
}

/// `bytes START-END/SIZE`
fn starts_at(range: &str, at: u64) -> bool {
    range.trim().strip_prefix("bytes ").and_then(|rest| rest.split_once('-')?.0.trim().parse::<u64>().ok()) == Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_must_be_the_one_asked_for() {
        assert!(starts_at("bytes 10-99/100", 10));
        for bad in ["", "bytes 0-99/100", "bytes */100", "10-99", "bytes 1010-1", "bytes -5/9"] {
            assert!(!starts_at(bad, 10), "{bad}");
        }
    }
}
