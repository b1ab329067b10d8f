//! Locks that the kernel releases when their holder ends, whatever ended it (flock(2)).

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Who else may hold a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody.
    Exclusive,
    /// Others who share it.
    Shared,
}

/// A held lock on a file of a directory; dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    file: OwnedFd,
    dir: OwnedFd,
    name: String,
}

impl Lock {
    /// Takes a lock, waiting for it; `waiting` is called once, when somebody else has it.
    pub fn take(dir: impl AsFd, name: &str, sharing: Sharing, waiting: impl FnOnce()) -> Result<Self, Errno> {
        let mut waiting = Some(waiting);
        loop {
            if let Some(lock) = Self::try_take(&dir, name, sharing)? {
                return Ok(lock);
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            let lock = Self::open(&dir, name)?;
            let operation = if sharing == Sharing::Shared { FlockOperation::LockShared } else { FlockOperation::LockExclusive };
            rustix::io::retry_on_intr(|| flock(&lock.file, operation))?;
            if lock.is_current() {
                return Ok(lock);
            }
        }
    }

    /// Takes a lock if nobody has it; `None` if somebody does.
    pub fn try_take(dir: impl AsFd, name: &str, sharing: Sharing) -> Result<Option<Self>, Errno> {
        let operation = match sharing {
            Sharing::Exclusive => FlockOperation::NonBlockingLockExclusive,
            Sharing::Shared => FlockOperation::NonBlockingLockShared,
        };
        loop {
            let lock = Self::open(&dir, name)?;
            match flock(&lock.file, operation) {
                Ok(()) if lock.is_current() => return Ok(Some(lock)),
                Ok(()) | Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Deletes the file of a lock held exclusively, so that nothing is left of it; whoever waits makes a new one.
    pub fn remove(self) {
        let _ = unlinkat(&self.dir, &self.name, AtFlags::empty());
    }

    fn open(dir: impl AsFd, name: &str) -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&dir, name, flags, Mode::RUSR | Mode::WUSR)?;
        let dir = rustix::io::fcntl_dupfd_cloexec(&dir, 0)?;
        Ok(Self { file, dir, name: name.to_owned() })
    }

    /// The file may have been deleted between opening and locking it: then the lock is worth nothing.
    fn is_current(&self) -> bool {
        match (fstat(&self.file), statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW)) {
            (Ok(held), Ok(named)) => (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn one_has_it_others_wait_and_a_deleted_file_is_no_lock() {
        let path = std::env::temp_dir().join(format!("files-lock-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let dir = rustix::fs::open(&path, crate::READ_DIRECTORY, Mode::empty()).unwrap();
        let lock = Lock::take(&dir, "l", Sharing::Exclusive, || panic!("nobody has it")).unwrap();
        assert!(Lock::try_take(&dir, "l", Sharing::Shared).unwrap().is_none());
        let inside = AtomicU32::new(0);
        let (told, hears) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (told, dir, inside) = (told.clone(), &dir, &inside);
                scope.spawn(move || {
                    let lock = Lock::take(dir, "l", Sharing::Exclusive, || told.send(()).unwrap()).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    lock.remove();
                });
            }
            hears.recv().unwrap();
            lock.remove();
        });
        assert!(!path.join("l").exists());
        let shared = || Lock::try_take(&dir, "l", Sharing::Shared).unwrap();
        let both = (shared(), shared());
        assert!(both.0.is_some() && both.1.is_some());
        assert!(Lock::try_take(&dir, "l", Sharing::Exclusive).unwrap().is_none());
        crate::remove_tree(&path).unwrap();
    }
}
