//! Waiting for a log to grow, without looking again and again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::chain::File;

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There may be more, or the container ended.
    LookAgain,
    /// The time asked for has come.
    TimeIsUp,
}

/// Changes to a log: its newest file, and the names beside it.
pub(crate) struct Changes<'a> {
    inotify: OwnedFd,
    /// The file watched, by ordinal, and the watch.
    watched: Option<(u64, i32)>,
    ended: BorrowedFd<'a>,
    over: bool,
    until: Option<SystemTime>,
}

impl<'a> Changes<'a> {
    pub fn of(path: &Path, ended: BorrowedFd<'a>, until: Option<SystemTime>) -> io::Result<Changes<'a>> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        inotify::add_watch(&inotify, directory, WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR)?;
        Ok(Changes { inotify, watched: None, ended, over: false, until })
    }

    /// Returns whether the container has ended: what is there now is all there will be.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Watches this file from now on; false if it was watched already.
    pub fn watch(&mut self, newest: Option<&File>) -> io::Result<bool> {
        let Some(file) = newest.filter(|file| self.watched.is_none_or(|(ordinal, _)| ordinal != file.ordinal)) else {
            return Ok(false);
        };
        if let Some((_, watch)) = self.watched.take() {
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
        // By descriptor: the name may be another file's by now.
        let path = format!("/proc/self/fd/{}", file.fd.as_raw_fd());
        self.watched = Some((file.ordinal, inotify::add_watch(&self.inotify, path, WatchFlags::MODIFY)?));
        Ok(true)
    }

    /// Waits for the next change.
    pub fn wait(&mut self) -> io::Result<Woken> {
        loop {
            let timeout = match self.until.map(|until| until.duration_since(SystemTime::now())) {
                None => None,
                Some(Err(_)) => return Ok(Woken::TimeIsUp),
                Some(Ok(left)) => Some(Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }),
            };
            let mut fds = [PollFd::new(&self.inotify, PollFlags::IN), PollFd::from_borrowed_fd(self.ended, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            self.over = !fds[1].revents().is_empty();
            self.forget_events();
            return Ok(Woken::LookAgain);
        }
    }

    /// What changed is seen by looking; the events only wake us.
    fn forget_events(&self) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        while matches!(rustix::io::read(self.inotify.as_fd(), &mut buffer), Ok((bytes, _)) if !bytes.is_empty()) {}
    }
}
