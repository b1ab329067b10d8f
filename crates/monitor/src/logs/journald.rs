//! The `journald` driver: an entry per line, with the fields Podman writes.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use memchr::memchr;
use systemd::journal::{Entry, Journal, field_name};

use super::{LogIdentity, LogWriter};
use crate::Stream;

/// The longest message in one entry, that of journald for its own streams; the rest follows as another.
const PIECE: usize = 48 << 10;

/// Sends lines to the journal.
pub(crate) struct Journald {
    journal: Journal,
    /// What every entry begins with.
    entry: Entry,
    dropped: u64,
}

impl Journald {
    pub fn new(socket: &Path, identity: &LogIdentity) -> io::Result<Journald> {
        let short_id = identity.container_id.get(..12).unwrap_or(&identity.container_id);
        let tag = if identity.tag.is_empty() { short_id } else { &identity.tag };
        let mut entry = Entry::new();
        entry
            .push("CONTAINER_ID", short_id.as_bytes())
            .push("CONTAINER_ID_FULL", identity.container_id.as_bytes())
            .push("CONTAINER_NAME", identity.container_name.as_bytes())
            .push("IMAGE_NAME", identity.image_name.as_bytes())
            .push("CONTAINER_TAG", identity.tag.as_bytes())
            .push("SYSLOG_IDENTIFIER", tag.as_bytes());
        for (name, value) in &identity.labels {
            if let Some(name) = field_name(name) {
                entry.push(&name, value.as_bytes());
            }
        }
        Ok(Journald { journal: Journal::new(socket)?, entry, dropped: 0 })
    }

    fn send(&mut self, stream: Stream, text: &[u8], partial: bool) {
        let beginning = self.entry.as_bytes().len();
        let priority: &[u8] = if stream == Stream::Stdout { b"6" } else { b"3" };
        self.entry.push("PRIORITY", priority).push("MESSAGE", text);
        if partial {
            self.entry.push("CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        if self.journal.send(&self.entry).is_err() {
            self.dropped += text.len() as u64 + u64::from(!partial);
        }
        self.entry.truncate(beginning);
    }
}

impl LogWriter for Journald {
    fn write(&mut self, stream: Stream, bytes: &[u8], _now: SystemTime) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let window = &rest[..rest.len().min(PIECE + 1)];
            if let Some(end) = memchr(b'\n', window) {
                self.send(stream, &rest[..end], false);
                rest = &rest[end + 1..];
            } else {
                let text = &rest[..rest.len().min(PIECE)];
                self.send(stream, text, true);
                rest = &rest[text.len()..];
            }
        }
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn entries_as_podman_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        let identity = LogIdentity {
            container_id: "0123456789abcdef".into(),
            container_name: "web".into(),
            image_name: "docker.io/library/nginx:latest".into(),
            tag: String::new(),
            labels: vec![("com.example".into(), "x".into())],
        };
        let mut driver = Journald::new(&path, &identity).unwrap();
        driver.write(Stream::Stderr, b"one\ntw", SystemTime::now());
        let mut buffer = [0; 4096];
        let mut next = || {
            let count = listener.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..count].to_vec()).unwrap()
        };
        let beginning = "CONTAINER_ID=0123456789ab\nCONTAINER_ID_FULL=0123456789abcdef\nCONTAINER_NAME=web\n\
            IMAGE_NAME=docker.io/library/nginx:latest\nCONTAINER_TAG=\nSYSLOG_IDENTIFIER=0123456789ab\nCOM_EXAMPLE=x\n";
        assert_eq!(next(), format!("{beginning}PRIORITY=3\nMESSAGE=one\n"));
        assert_eq!(next(), format!("{beginning}PRIORITY=3\nMESSAGE=tw\nCONTAINER_PARTIAL_MESSAGE=true\n"));
        drop(listener);
        driver.write(Stream::Stdout, b"lost\n", SystemTime::now());
        assert_eq!(driver.dropped(), 5);
    }
}
