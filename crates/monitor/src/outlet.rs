//! Writing to a descriptor that others share, without ever waiting for its reader.
//!
//! O_NONBLOCK belongs to the open file, not to the descriptor: set on a user's stdout it would change the shell's
//! too. So each kind of file gets its own way around.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::net::SendFlags;

/// A pipe that polls writable has room for this much (pipe(7), PIPE_BUF).
const SURE_ROOM: usize = 4096;

/// An output that belongs to somebody else too.
#[derive(Debug)]
pub(crate) struct Outlet {
    fd: OwnedFd,
    manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Our own open file of the same pipe or terminal, not blocking.
    Reopened,
    /// A socket: MSG_DONTWAIT does it per call.
    Socket,
    /// A regular file or a device that never makes one wait for a reader.
    File,
    /// Only ask first and write little.
    Cautious,
}

impl Outlet {
    /// Looks at the descriptor and finds the way to write to it.
    pub fn new(fd: OwnedFd) -> Outlet {
        let manner = match fstat(&fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile) => Manner::File,
            Ok(FileType::Socket) => Manner::Socket,
            Ok(FileType::CharacterDevice) if is_null(fd.as_fd()) => Manner::File,
            Ok(FileType::Fifo | FileType::CharacterDevice) => {
                let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
                return match open(path, flags, Mode::empty()) {
                    Ok(own) => Outlet { fd: own, manner: Manner::Reopened },
                    Err(_) => Outlet { fd, manner: Manner::Cautious },
                };
            }
            _ => Manner::Cautious,
        };
        Outlet { fd, manner }
    }

    /// Returns whether a monitor may write to this itself: what it wrote is then where the user wanted it, and no
    /// terminal setting or job control of the client matters.
    pub fn may_be_handed_over(fd: BorrowedFd<'_>) -> bool {
        match fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile | FileType::Fifo) => true,
            Ok(FileType::CharacterDevice) => is_null(fd),
            _ => false,
        }
    }

    /// Writes what goes without waiting.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.manner {
            Manner::Reopened | Manner::File => rustix::io::write(&self.fd, bytes),
            Manner::Socket => rustix::net::send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Manner::Cautious => {
                let mut fds = [PollFd::new(&self.fd, PollFlags::OUT)];
                match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
                    Ok(0) => Err(rustix::io::Errno::AGAIN),
                    Ok(_) => rustix::io::write(&self.fd, &bytes[..bytes.len().min(SURE_ROOM)]),
                    Err(error) => Err(error),
                }
            }
        };
        Ok(written?)
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn is_null(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|stat| rustix::fs::major(stat.st_rdev) == 1 && rustix::fs::minor(stat.st_rdev) == 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{fcntl_getfl, fcntl_setfl};
    use rustix::pipe::{PipeFlags, pipe_with};

    #[test]
    fn a_full_pipe_says_so_and_the_shared_open_file_still_blocks() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let shared = writer.try_clone().unwrap();
        let outlet = Outlet::new(writer);
        assert_eq!(outlet.manner, Manner::Reopened);
        let big = vec![7; 100_000];
        assert_eq!(outlet.write(&big).unwrap(), 65536);
        assert_eq!(outlet.write(&big).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!fcntl_getfl(&shared).unwrap().contains(OFlags::NONBLOCK));
        drop(reader);
        assert_eq!(outlet.write(&big).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn caution_never_blocks_either() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let outlet = Outlet { fd: writer, manner: Manner::Cautious };
        let mut total = 0;
        loop {
            match outlet.write(&[1; 10_000]) {
                Ok(count) => total += count,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        assert_eq!(total, 65536);
        let flags = fcntl_getfl(&reader).unwrap();
        fcntl_setfl(&reader, flags | OFlags::NONBLOCK).unwrap();
        let mut buffer = vec![0; 65536];
        assert_eq!(rustix::io::read(&reader, &mut buffer[..]).unwrap(), 65536);
        assert_eq!(outlet.write(&[1; 10_000]).unwrap(), SURE_ROOM);
    }

    #[test]
    fn what_may_be_handed_over() {
        let null = std::fs::File::create("/dev/null").unwrap();
        assert!(Outlet::may_be_handed_over(null.as_fd()));
        let full = std::fs::File::create("/dev/full").unwrap();
        assert!(!Outlet::may_be_handed_over(full.as_fd()));
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(!Outlet::may_be_handed_over(one.as_fd()));
        assert!(Outlet::may_be_handed_over(tempfile::tempfile().unwrap().as_fd()));
    }
}
