//! Telling a service manager how we are (`sd_notify(3)`), and hearing it from others.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, recv, sendto, socket_with};

/// The longest message that is heard; systemd's own bound.
const LONGEST: usize = 4096;

/// A way to the service manager that started us.
#[derive(Debug)]
pub struct Notifier {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl Notifier {
    /// Prepares to send to the value of `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    pub fn new(address: &OsStr) -> io::Result<Notifier> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            [b'/', ..] => SocketAddrUnix::new(address)?,
            // vsock addresses and typing errors.
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        Ok(Notifier { socket, address })
    }

    /// Sends a state, lines of `NAME=value`.
    pub fn send(&self, state: &str) -> io::Result<()> {
        sendto(&self.socket, state.as_bytes(), SendFlags::NOSIGNAL, &self.address)?;
        Ok(())
    }

    /// Says that the service is ready and that this is its main process.
    pub fn ready(&self, main_pid: i32) -> io::Result<()> {
        self.send(&format!("MAINPID={main_pid}\nREADY=1"))
    }
}

/// A socket that hears what a container says of itself (`--sdnotify=container`, health-gated readiness).
#[derive(Debug)]
pub struct NotifyListener {
    socket: OwnedFd,
}

impl NotifyListener {
    /// Listens at a path, which must not exist yet.
    pub fn bind(path: &Path) -> io::Result<NotifyListener> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(NotifyListener { socket })
    }

    /// Takes the next message; `None` when there is none yet. What is not text is passed over.
    pub fn next_message(&self) -> io::Result<Option<String>> {
        let mut buffer = [0; LONGEST];
        loop {
            match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok((_, length)) if length > LONGEST => {}
                Ok((count, _)) => {
                    if let Ok(text) = std::str::from_utf8(&buffer[..count]) {
                        return Ok(Some(text.to_owned()));
                    }
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for NotifyListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Returns the value a message gives to a name.
pub fn value_of<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let path = std::env::temp_dir().join(format!("notify-test-{}", std::process::id()));
        let listener = NotifyListener::bind(&path).unwrap();
        assert_eq!(listener.next_message().unwrap(), None);
        let notifier = Notifier::new(path.as_os_str()).unwrap();
        notifier.ready(42).unwrap();
        notifier.send("STATUS=half way").unwrap();
        let message = listener.next_message().unwrap().unwrap();
        assert_eq!((value_of(&message, "READY"), value_of(&message, "MAINPID"), value_of(&message, "MAIN")), (Some("1"), Some("42"), None));
        assert_eq!(listener.next_message().unwrap().as_deref(), Some("STATUS=half way"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn addresses() {
        assert!(Notifier::new(OsStr::new("@abstract")).is_ok());
        for bad in ["", "relative", "vsock:2:1234"] {
            assert!(Notifier::new(OsStr::new(bad)).is_err(), "{bad}");
        }
    }
}
