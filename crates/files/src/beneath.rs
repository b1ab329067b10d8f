//! A directory that nothing leads out of: paths in it are claims, resolved by the kernel below its descriptor.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A held directory, treated as the root of everything below it.
#[derive(Debug)]
pub struct RootDir {
    fd: OwnedFd,
}

impl RootDir {
    /// Takes a directory descriptor.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Opens a directory by a trusted path.
    pub fn open(path: &std::path::Path) -> std::io::Result<Self> {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Opens something inside; links are followed inside, never out, magic ones not at all.
    pub fn find(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        self.resolve(path, flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    }

    /// Opens something inside without following any link.
    pub fn find_plain(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        self.resolve(path, flags | OFlags::NOFOLLOW, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
    }

    fn resolve(&self, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        // The kernel asks to try again when something was renamed at the wrong moment.
        for _ in 0..128 {
            match openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }
}

impl AsFd for RootDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Splits a path of an archive into its parts, without empty ones and dots; `None` if it climbs or has a NUL.
pub fn clean_parts(path: &[u8]) -> Option<Vec<&[u8]>> {
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    (!parts.iter().any(|part| *part == b".." || part.contains(&0))).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_climb() {
        assert_eq!(clean_parts(b"./a//b/.").unwrap(), [b"a".as_slice(), b"b"]);
        assert_eq!(clean_parts(b"/").unwrap(), Vec::<&[u8]>::new());
        assert!(clean_parts(b"a/../b").is_none() && clean_parts(b"a\0").is_none());
    }
}
