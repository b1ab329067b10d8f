//! A log file that is bounded: when it is full it is renamed to `.1`, `.1` to `.2` and so on.
//!
//! ```text
//! ctr.log      the newest lines; at most max_size bytes
//! ctr.log.1    older
//! ctr.log.2    oldest; overwritten by the next rotation (max_files = 3)
//! ```
//!
//! Rotation is renames only, so a reader that holds a file keeps it to its end and finds the next by inode. Nothing
//! is synced: a log is not worth a disk's write barrier per line, and a program that waits for its output would wait for it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use memchr::memrchr;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, ftruncate, open, openat, renameat, unlinkat};

use super::{LogConfig, OpenLogError};

/// The bound of one file unless the user gives one.
pub const DEFAULT_MAX_SIZE: u64 = 16 << 20;
/// The number of files unless the user gives one.
pub const DEFAULT_MAX_FILES: u32 = 3;
/// Smaller bounds are raised to this: a record has to fit.
const SMALLEST: u64 = 1024;

/// The files of one log, open for appending.
#[derive(Debug)]
pub(crate) struct RotatingFile {
    directory: OwnedFd,
    name: OsString,
    current: Option<OwnedFd>,
    size: u64,
    max_size: u64,
    max_files: u32,
}

impl RotatingFile {
    pub fn open(config: &LogConfig) -> Result<RotatingFile, OpenLogError> {
        let failed = |source: rustix::io::Errno| OpenLogError::File { path: config.path.clone(), source: source.into() };
        let name = config.path.file_name().ok_or(OpenLogError::NotAFile { path: config.path.clone() })?;
        let parent = config.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        let current = open_file(&directory, name).map_err(failed)?;
        let stat = fstat(&current).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(OpenLogError::NotAFile { path: config.path.clone() });
        }
        let max_size = match config.max_size {
            None => DEFAULT_MAX_SIZE,
            Some(bytes) => u64::try_from(bytes).map_or(u64::MAX, |bytes| bytes.max(SMALLEST)),
        };
        Ok(RotatingFile {
            directory,
            name: name.to_owned(),
            current: Some(current),
            size: stat.st_size.unsigned_abs(),
            max_size,
            max_files: config.max_files.unwrap_or(DEFAULT_MAX_FILES).max(1),
        })
    }

    /// Returns the bytes that still go into the current file.
    pub fn room(&self) -> u64 {
        self.max_size.saturating_sub(self.size)
    }

    /// Returns the most a record may have.
    pub fn max_size(&self) -> u64 {
        self.max_size
    }

    /// Appends records, each a line, and returns how many bytes of them the disk took: whole lines only, so that
    /// nothing half is left.
    pub fn append(&mut self, records: &[u8]) -> usize {
        if self.current.is_none() {
            self.current = open_file(&self.directory, &self.name).ok();
            self.size = self.current.as_ref().and_then(|file| fstat(file).ok()).map_or(0, |stat| stat.st_size.unsigned_abs());
        }
        let Some(file) = &self.current else {
            return 0;
        };
        let mut written = 0;
        while written < records.len() {
            match rustix::io::write(file, &records[written..]) {
                Ok(count) => written += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let whole = if written == records.len() { written } else { memrchr(b'\n', &records[..written]).map_or(0, |end| end + 1) };
        self.size += whole as u64;
        if whole < written {
            let _ = ftruncate(file, self.size);
        }
        whole
    }

    /// Puts the full file aside. If the names cannot be changed the next append meets the reason.
    pub fn rotate(&mut self) {
        // The oldest goes first: ext4 writes a file out before it renames it over another. Never truncated: a reader
        // that holds a file keeps it to the end.
        let name_of = |number| if number == 0 { self.name.clone() } else { numbered(&self.name, number) };
        let _ = unlinkat(&self.directory, name_of(self.max_files - 1), AtFlags::empty());
        for number in (1..self.max_files).rev() {
            let _ = renameat(&self.directory, name_of(number - 1), &self.directory, name_of(number));
        }
        self.current = None;
        self.size = 0;
    }
}

/// Returns the name of an older file of a log.
pub(crate) fn numbered(name: &OsStr, number: u32) -> OsString {
    let mut name = name.to_owned();
    name.push(format!(".{number}"));
    name
}

fn open_file(directory: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    // NONBLOCK: opening a FIFO somebody put there must not wait for its reader.
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    openat(directory, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Opens a file of a log for reading, if it is one.
pub(crate) fn open_for_reading(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = openat(CWD, path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(rustix::io::Errno::INVAL);
    }
    Ok(file)
}
