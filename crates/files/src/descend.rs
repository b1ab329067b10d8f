//! Going down a tree and up again by descriptors, however deep it is.
//!
//! A tree may be deeper than a path may be long and than a process may have descriptors. Only the lower end of the
//! way is held open; what was let go is opened again through `..` and must be the directory it was.

use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Directories held open at the same time.
const HELD: usize = 48;

/// Flags that open a directory for reading, and nothing but a directory.
pub const READ_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A way down from a directory.
#[derive(Debug)]
pub struct Descent {
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    fd: Option<OwnedFd>,
    identity: (u64, u64),
}

impl Descent {
    /// Starts at a directory.
    pub fn new(top: OwnedFd) -> Result<Self, Errno> {
        let identity = identity(top.as_fd())?;
        Ok(Self { levels: vec![Level { fd: Some(top), identity }] })
    }

    /// The directory it stands in.
    pub fn here(&self) -> BorrowedFd<'_> {
        self.levels.last().and_then(|level| level.fd.as_ref()).expect("the lowest level is always open").as_fd()
    }

    /// How many steps below the top it stands.
    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// Goes into a directory; a link is not followed.
    pub fn enter(&mut self, name: impl rustix::path::Arg) -> Result<(), Errno> {
        let fd = openat(self.here(), name, READ_DIRECTORY, Mode::empty())?;
        self.enter_open(fd)
    }

    /// Goes into a directory of the one it stands in that is open already.
    pub fn enter_open(&mut self, fd: OwnedFd) -> Result<(), Errno> {
        let identity = identity(fd.as_fd())?;
        // The top is never let go: what lies above it may be anybody's.
        if let Some(index) = self.levels.len().checked_sub(HELD).filter(|index| *index > 0) {
            self.levels[index].fd = None;
        }
        self.levels.push(Level { fd: Some(fd), identity });
        Ok(())
    }

    /// Goes up one step; not above the top.
    pub fn leave(&mut self) -> Result<(), Errno> {
        let Some(index) = self.levels.len().checked_sub(2) else { return Err(Errno::XDEV) };
        if self.levels[index].fd.is_none() {
            let fd = openat(self.here(), "..", READ_DIRECTORY, Mode::empty())?;
            // Somebody moved it meanwhile: we are not where we came from.
            if identity(fd.as_fd())? != self.levels[index].identity {
                return Err(Errno::XDEV);
            }
            self.levels[index].fd = Some(fd);
        }
        self.levels.pop();
        Ok(())
    }
}

fn identity(fd: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    let stat = fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}
