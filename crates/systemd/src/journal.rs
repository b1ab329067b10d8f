//! Entries for the journal, in its native protocol: one datagram each, or a sealed memory file when one is too big.
//!
//! See <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendmsg_addr, socket_with,
};

/// Where the journal listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// How long a journal that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A way to the journal.
#[derive(Debug)]
pub struct Journal {
    socket: OwnedFd,
    address: PathBuf,
}

impl Journal {
    /// Prepares to send to a journal; whether one listens shows when something is sent.
    pub fn new(address: &Path) -> io::Result<Journal> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        Ok(Journal { socket, address: address.to_owned() })
    }

    /// Sends an entry; waits at most a second for a journal that is behind.
    pub fn send(&self, entry: &Entry) -> io::Result<()> {
        // The address anew each time: the journal may have been restarted.
        let address = SocketAddrUnix::new(&self.address)?;
        let mut nothing = SendAncillaryBuffer::default();
        let payload = [IoSlice::new(&entry.bytes)];
        match sendmsg_addr(&self.socket, &address, &payload, &mut nothing, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(Errno::MSGSIZE | Errno::NOBUFS) => self.send_as_file(&address, &entry.bytes),
            Err(error) => Err(error.into()),
        }
    }

    fn send_as_file(&self, address: &SocketAddrUnix, bytes: &[u8]) -> io::Result<()> {
        let file = memfd_create("journal-entry", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match rustix::io::write(&file, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = [file.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&files));
        sendmsg_addr(&self.socket, address, &[], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Fields of an entry, as they go over the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    /// Starts without a field.
    pub fn new() -> Entry {
        Entry::default()
    }

    /// Adds a field. The name has to be one the journal takes ([`field_name`]); the value may be any bytes.
    pub fn push(&mut self, name: &str, value: &[u8]) -> &mut Entry {
        self.bytes.extend_from_slice(name.as_bytes());
        if value.contains(&b'\n') {
            self.bytes.push(b'\n');
            self.bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
        self
    }

    /// Goes back to an earlier length, to put other fields behind the same beginning.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Returns the bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Makes a field name the journal takes: capitals, digits and underscores, beginning with a letter, at most 64.
pub fn field_name(text: &str) -> Option<String> {
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_uppercase());
    let end = name.len().min(64);
    (end > 0).then(|| name[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    use std::io::{IoSliceMut, Read, Seek};
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn fields_on_the_wire() {
        let mut entry = Entry::new();
        entry.push("MESSAGE", b"hello").push("PRIORITY", b"6").push("TWO", b"a\nb").push("EMPTY", b"");
        assert_eq!(entry.as_bytes(), b"MESSAGE=hello\nPRIORITY=6\nTWO\n\x03\0\0\0\0\0\0\0a\nb\nEMPTY=\n");
    }

    #[test]
    fn names() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(field_name(text).as_deref(), expected, "{text}");
        check("com.example.role", Some("COM_EXAMPLE_ROLE"));
        check("_private", Some("PRIVATE"));
        check("1st", Some("ST"));
        check("ümlaut", Some("MLAUT"));
        check("", None);
        check("=\n", None);
        assert_eq!(field_name(&"x".repeat(100)).unwrap().len(), 64);
    }

    #[test]
    fn small_entries_are_datagrams_and_big_ones_sealed_files() {
        let directory = std::env::temp_dir().join(format!("journal-test-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::new(&path).unwrap();

        let mut entry = Entry::new();
        entry.push("MESSAGE", b"small");
        journal.send(&entry).unwrap();
        let mut buffer = [0; 100];
        let count = listener.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"MESSAGE=small\n");

        let mut entry = Entry::new();
        entry.push("MESSAGE", &vec![b'x'; 4 << 20]);
        journal.send(&entry).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(&listener, &mut [IoSliceMut::new(&mut buffer)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
        assert_eq!(got.bytes, 0);
        let mut files = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let mut file = std::fs::File::from(files.next().unwrap());
        assert!(rustix::fs::fcntl_get_seals(&file).unwrap().contains(SealFlags::WRITE | SealFlags::SHRINK));
        file.rewind().unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        assert_eq!(text, entry.as_bytes());
        drop(listener);
        assert!(journal.send(&Entry::new()).is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
