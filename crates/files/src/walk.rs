//! Walking a tree in a fixed order, by descriptors, on one file system.

use crate::descend::Descent;
use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Something found in a tree.
#[derive(Debug)]
pub struct Found<'a> {
    /// The directory it lies in.
    pub parent: BorrowedFd<'a>,
    /// Its name there.
    pub name: &'a CStr,
    /// Its path from the top of the tree, without a slash in front.
    pub path: &'a [u8],
    /// What it is; of a link, the link.
    pub stat: &'a Stat,
}

impl Found<'_> {
    /// What kind of file it is.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// What to do with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look into it.
    Into,
    /// Go on without.
    Over,
}

/// What is done with a tree.
pub trait Visit {
    /// Why it could not be done.
    type Error: From<Errno>;

    /// Sees something, directories before what is in them. The answer counts for directories only.
    fn visit(&mut self, found: &Found<'_>) -> Result<Step, Self::Error>;

    /// Sees a directory that was looked into again, after all that is in it.
    fn leave(&mut self, _found: &Found<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
}

struct Level {
    names: std::vec::IntoIter<CString>,
    /// Length of the path of this directory.
    path: usize,
    /// What the directory is called, and what it was when it was entered; nothing for the top.
    own: Option<(CString, Stat)>,
}

/// Shows everything below a directory to a visitor, sorted by name in each directory. What is mounted in it is
/// shown and not looked into.
pub fn walk<V: Visit>(top: OwnedFd, visitor: &mut V) -> Result<(), V::Error> {
    let device = rustix::fs::fstat(&top)?.st_dev;
    let mut descent = Descent::new(top)?;
    let mut path = Vec::new();
    let mut levels = vec![Level { names: names(descent.here())?.into_iter(), path: 0, own: None }];
    while let Some(level) = levels.last_mut() {
        path.truncate(level.path);
        let Some(name) = level.names.next() else {
            let own = levels.pop().and_then(|level| level.own);
            if let Some((name, stat)) = own {
                descent.leave()?;
                visitor.leave(&Found { parent: descent.here(), name: &name, path: &path, stat: &stat })?;
            }
            continue;
        };
        let stat = match statat(descent.here(), &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Gone since the directory was read: containers go on while we look.
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(e.into()),
        };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        let step = visitor.visit(&Found { parent: descent.here(), name: &name, path: &path, stat: &stat })?;
        if step == Step::Into && FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_dev == device {
            match descent.enter(&name) {
                Ok(()) => {}
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e.into()),
            }
            levels.push(Level { names: names(descent.here())?.into_iter(), path: path.len(), own: Some((name, stat)) });
        }
    }
    Ok(())
}

/// Reads the names in a directory, sorted, without dots.
pub fn names(dir: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What a tree takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeSize {
    /// Bytes in files and links.
    pub bytes: u64,
    /// Bytes allocated on disk.
    pub disk: u64,
    /// Files, links, directories and the rest.
    pub entries: u64,
}

/// Counts what a tree takes; files with several names count once.
pub fn tree_size(top: OwnedFd) -> Result<TreeSize, Errno> {
    #[derive(Default)]
    struct Count {
        size: TreeSize,
        seen: HashSet<u64>,
    }
    impl Visit for Count {
        type Error = Errno;
        fn visit(&mut self, found: &Found<'_>) -> Result<Step, Errno> {
            let stat = found.stat;
            if found.kind() == FileType::Directory || stat.st_nlink == 1 || self.seen.insert(stat.st_ino) {
                self.size.entries += 1;
                self.size.disk += stat.st_blocks as u64 * 512;
                if matches!(found.kind(), FileType::RegularFile | FileType::Symlink) {
                    self.size.bytes += stat.st_size as u64;
                }
            }
            Ok(Step::Into)
        }
    }
    let mut count = Count::default();
    walk(top, &mut count)?;
    Ok(count.size)
}
