//! The files of a log in their order, held open so that rotation cannot take them from a reader.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Stat, fstat, lstat};
use rustix::io::Errno;

use crate::logs::file::{numbered, open_for_reading};

/// Files beyond this number are not looked for.
const MOST_FILES: u32 = 10_000;

/// One file of a log.
#[derive(Debug)]
pub(crate) struct File {
    pub fd: OwnedFd,
    /// Counts up with each file that is found, oldest first.
    pub ordinal: u64,
    /// Its size and last change when it was opened.
    pub size: u64,
    pub modified: SystemTime,
    identity: (u64, u64),
}

/// The files of a log that are not read to their end yet, oldest first.
#[derive(Debug)]
pub(crate) struct Chain {
    path: PathBuf,
    files: VecDeque<File>,
    next_ordinal: u64,
}

impl Chain {
    /// Opens all there are.
    pub fn open(path: &Path) -> io::Result<Chain> {
        let mut chain = Chain { path: path.to_owned(), files: VecDeque::new(), next_ordinal: 0 };
        chain.extend()?;
        if chain.files.is_empty() {
            // Between a rotation and the next line the newest file does not exist; then an older one was found.
            open_for_reading(path)?;
        }
        Ok(chain)
    }

    pub fn files(&self) -> impl DoubleEndedIterator<Item = &File> {
        self.files.iter()
    }

    pub fn oldest(&self) -> Option<&File> {
        self.files.front()
    }

    pub fn newest(&self) -> Option<&File> {
        self.files.back()
    }

    /// Lets the oldest file go and returns whether another is left; the newest stays.
    pub fn forget_oldest(&mut self) -> bool {
        let more = self.files.len() > 1;
        if more {
            self.files.pop_front();
        }
        more
    }

    /// Finds files that are newer than the newest held.
    ///
    /// Names change under us: so a name that leads to a file seen a moment ago is passed over, and missing names
    /// are no end yet (between the two renames of a rotation `.1` is missing).
    pub fn extend(&mut self) -> io::Result<()> {
        let newest = self.files.back().map(|file| file.identity);
        if newest.is_some() && lstat(&self.path).is_ok_and(|stat| Some(identity(&stat)) == newest) {
            return Ok(());
        }
        let mut found: Vec<(OwnedFd, Stat)> = Vec::new();
        let mut missing = 0;
        for number in 0..MOST_FILES {
            let fd = match open_for_reading(&self.name(number)) {
                Ok(fd) => fd,
                Err(Errno::NOENT) if missing < 2 => {
                    missing += 1;
                    continue;
                }
                Err(Errno::NOENT) => break,
                // The same name with something else behind it is no part of the log; nor is what may not be read.
                Err(_) if number > 0 => continue,
                Err(error) => return Err(error.into()),
            };
            let stat = fstat(&fd)?;
            if Some(identity(&stat)) == newest {
                break;
            }
            if !found.iter().any(|(_, other)| identity(other) == identity(&stat)) {
                found.push((fd, stat));
            }
        }
        for (fd, stat) in found.into_iter().rev() {
            let ordinal = self.next_ordinal;
            self.next_ordinal += 1;
            let size = stat.st_size.unsigned_abs();
            self.files.push_back(File { fd, ordinal, size, modified: modified(&stat), identity: identity(&stat) });
        }
        Ok(())
    }

    fn name(&self, number: u32) -> PathBuf {
        match self.path.file_name() {
            Some(name) if number > 0 => self.path.with_file_name(numbered(name, number)),
            _ => self.path.clone(),
        }
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn modified(stat: &Stat) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0) + 1)
}
