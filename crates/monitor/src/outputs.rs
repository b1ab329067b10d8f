//! The reading ends of a container's output.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread, read};
use rustix::pipe::fcntl_setpipe_size;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};

use crate::Stream;

/// What one read may bring.
pub(crate) const CHUNK: usize = 128 << 10;
/// What a pipe's size becomes once it was found full: fewer turns of the loop for a flood, while the many quiet
/// containers do not use up the kernel's allowance of pipe pages per user.
const FLOOD_PIPE: usize = 256 << 10;
const DEFAULT_PIPE: usize = 64 << 10;
/// The most that is read from a terminal after init's death.
const LAST_WORDS: u64 = 1 << 20;

/// One output of a container.
#[derive(Debug)]
pub(crate) struct Output {
    fd: OwnedFd,
    pub stream: Stream,
    kind: Kind,
    /// Set at init's death: how much is still to be read. A grandchild that inherited the pipe could write for ever.
    remaining: Option<u64>,
}

#[derive(Debug)]
enum Kind {
    Pipe { grown: bool },
    Terminal { held_open: Option<OwnedFd> },
}

/// What a read came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Bytes(usize),
    Nothing,
    End,
}

impl Output {
    pub fn pipe(fd: OwnedFd, stream: Stream) -> Output {
        set_nonblocking(&fd);
        Output { fd, stream, kind: Kind::Pipe { grown: false }, remaining: None }
    }

    pub fn terminal(master: OwnedFd) -> Output {
        set_nonblocking(&master);
        Output { fd: master, stream: Stream::Stdout, kind: Kind::Terminal { held_open: None }, remaining: None }
    }

    /// Reads a piece; never waits.
    pub fn read(&mut self, buffer: &mut [u8]) -> Got {
        let room = self.remaining.map_or(buffer.len(), |remaining| remaining.min(buffer.len() as u64) as usize);
        if room == 0 {
            return Got::End;
        }
        loop {
            return match read(&self.fd, &mut buffer[..room]) {
                Ok(0) => Got::End,
                Ok(count) => {
                    self.took(count);
                    Got::Bytes(count)
                }
                Err(Errno::INTR) => continue,
                // Init is dead and nothing is left: whoever else holds the other end is not waited for.
                Err(Errno::AGAIN) if self.remaining.is_some() => Got::End,
                Err(Errno::AGAIN) => Got::Nothing,
                Err(_) => self.hung_up(),
            };
        }
    }

    fn took(&mut self, count: usize) {
        if let Some(remaining) = &mut self.remaining {
            *remaining -= count as u64;
        } else if let Kind::Pipe { grown } = &mut self.kind
            && !*grown
            && count >= DEFAULT_PIPE
        {
            *grown = true;
            // Refused when the user's pipe pages are used up; then it stays as it is.
            let _ = fcntl_setpipe_size(&self.fd, FLOOD_PIPE);
        }
    }

    /// A pty master fails with EIO while no process has the terminal open. That is not the end while init lives:
    /// systemd, for one, opens /dev/console anew for each message. Holding the other end ourselves makes it wait.
    fn hung_up(&mut self) -> Got {
        if let Kind::Terminal { held_open } = &mut self.kind
            && held_open.is_none()
            && self.remaining.is_none()
        {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            *held_open = ioctl_tiocgptpeer(&self.fd, flags).ok();
            if held_open.is_some() {
                return Got::Nothing;
            }
        }
        Got::End
    }

    /// From now on only what is there already is read: init is dead.
    pub fn last_words(&mut self) {
        self.remaining = Some(match &mut self.kind {
            Kind::Pipe { .. } => ioctl_fionread(&self.fd).unwrap_or(LAST_WORDS),
            Kind::Terminal { held_open } => {
                *held_open = None;
                LAST_WORDS
            }
        });
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes a descriptor that is ours alone return instead of wait.
pub(crate) fn set_nonblocking(fd: &OwnedFd) {
    if let Ok(flags) = fcntl_getfl(fd) {
        let _ = fcntl_setfl(fd, flags | OFlags::NONBLOCK);
    }
}
