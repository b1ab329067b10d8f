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

    /// Opens the directory of a path too long for one call, step by step in chunks the kernel takes. No link is followed.
    pub fn find_long(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        const CHUNK: usize = 3000;
        let mut rest = path;
        let mut here: Option<Self> = None;
        while rest.len() > CHUNK {
            let cut = rest[..CHUNK].iter().rposition(|b| *b == b'/').ok_or(Errno::NAMETOOLONG)?;
            let step = here.as_ref().unwrap_or(self).find_plain(&rest[..cut], OFlags::PATH | OFlags::DIRECTORY)?;
            here = Some(Self::new(step));
            rest = &rest[cut + 1..];
        }
        here.as_ref().unwrap_or(self).find_plain(rest, flags)
    }

    /// Opens the directory something lies in, and returns its last name; links before that are followed inside.
    /// `None` when the path names the root itself, or ends in `..`.
    pub fn find_parent<'p>(&self, path: &'p [u8]) -> Result<Option<(OwnedFd, &'p [u8])>, Errno> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let (parent, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&path[..slash + 1], &path[slash + 1..]),
            None => (b"".as_slice(), path),
        };
        if matches!(name, b"" | b"." | b"..") {
            return Ok(None);
        }
        Ok(Some((self.find(parent, OFlags::PATH | OFlags::DIRECTORY)?, name)))
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

    #[test]
    fn nothing_leads_out() {
        let base = std::env::temp_dir().join(format!("files-beneath-{}", std::process::id()));
        std::fs::create_dir_all(base.join("root/inside")).unwrap();
        std::fs::write(base.join("canary"), "untouched").unwrap();
        for (link, target) in [("up", "../.."), ("abs", "/inside"), ("loop", "loop"), ("out", "../canary"), ("proc", "/proc/self/root")] {
            std::os::unix::fs::symlink(target, base.join("root").join(link)).unwrap();
        }
        let root = RootDir::open(&base.join("root")).unwrap();
        // `..` of the root is the root, and absolute links start there.
        assert!(root.find(b"up/inside", OFlags::PATH).is_ok() && root.find(b"up/root", OFlags::PATH).is_err());
        assert!(root.find(b"abs", OFlags::PATH | OFlags::DIRECTORY).is_ok());
        assert_eq!(root.find(b"loop", OFlags::RDONLY).unwrap_err(), Errno::LOOP);
        assert_eq!(root.find(b"out", OFlags::RDONLY).unwrap_err(), Errno::NOENT);
        assert!(root.find(b"proc", OFlags::PATH).is_err());
        assert!(root.find_plain(b"abs", OFlags::RDONLY).is_err() && root.find_long(b"abs/x", OFlags::PATH).is_err());
        assert!(root.find_parent(b"..").unwrap().is_none() && root.find_parent(b"/").unwrap().is_none());
        let (parent, name) = root.find_parent(b"up/abs/x/").unwrap().unwrap();
        assert_eq!(name, b"x");
        rustix::fs::mkdirat(&parent, name, Mode::RWXU).unwrap();
        assert!(base.join("root/inside/x").is_dir());
        crate::remove_tree(&base).unwrap();
    }
}
