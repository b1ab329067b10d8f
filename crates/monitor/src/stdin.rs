//! The writing end of a container's stdin.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::backlog::Backlog;
use crate::outputs::set_nonblocking;
use crate::supervise::StdinPolicy;

/// Beyond this, clients are not read from until the container has taken its input.
const ENOUGH: usize = 128 << 10;

/// A container's stdin, as far as it is open.
#[derive(Debug)]
pub(crate) struct Stdin {
    fd: Option<OwnedFd>,
    terminal: bool,
    policy: StdinPolicy,
    waiting: Backlog,
    ending: bool,
}

impl Stdin {
    pub fn new(fd: Option<OwnedFd>, terminal: bool, policy: StdinPolicy) -> Stdin {
        // Input nobody may give must not look as if it could still come.
        let fd = fd.filter(|_| terminal || policy != StdinPolicy::Closed);
        if let Some(fd) = &fd {
            set_nonblocking(fd);
        }
        Stdin { fd, terminal, policy, waiting: Backlog::default(), ending: false }
    }

    pub fn is_open(&self) -> bool {
        self.fd.is_some() && !self.ending && self.policy != StdinPolicy::Closed
    }

    pub fn takes_more(&self) -> bool {
        self.waiting.len() < ENOUGH
    }

    /// Returns the descriptor to poll for room, when something waits for it.
    pub fn waiting_for_room(&self) -> Option<BorrowedFd<'_>> {
        if self.waiting.is_empty() { None } else { self.fd.as_ref().map(AsFd::as_fd) }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_open() {
            self.waiting.push(bytes);
            self.flush();
        }
    }

    /// A client's input has ended. A terminal has no end of its own; its user types it.
    pub fn eof(&mut self) {
        if !self.terminal {
            self.ending = true;
            self.flush();
        }
    }

    /// A client that gave input is gone.
    pub fn client_left(&mut self) {
        if self.policy == StdinPolicy::Once {
            self.eof();
        }
    }

    pub fn flush(&mut self) {
        if let Some(fd) = &self.fd
            && self.waiting.flush(|bytes| Ok(rustix::io::write(fd, bytes)?)).is_err()
        {
            // Nobody reads it any more.
            self.close();
        }
        if self.ending && self.waiting.is_empty() {
            self.close();
        }
    }

    pub fn close(&mut self) {
        self.fd = None;
        self.waiting.clear();
    }
}
