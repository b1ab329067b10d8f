//! Signal masks, dispositions and `signalfd(2)`: signals as something a poll loop can read.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// A set of signals (`sigset_t`).
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// The set with nothing in it.
    pub fn empty() -> SignalSet {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the whole object it is given and cannot fail on a valid pointer.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            SignalSet(set.assume_init())
        }
    }

    /// The set with every signal in it (the kernel keeps KILL and STOP out of masks by itself).
    pub fn full() -> SignalSet {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset initialises the whole object it is given and cannot fail on a valid pointer.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            SignalSet(set.assume_init())
        }
    }

    /// Adds a signal; a number that is no signal changes nothing.
    pub fn with(mut self, signal: i32) -> SignalSet {
        // SAFETY: `self.0` is an initialised set; an invalid number yields EINVAL and leaves it alone.
        unsafe { libc::sigaddset(&mut self.0, signal) };
        self
    }

    /// Takes a signal out; a number that is no signal changes nothing.
    pub fn without(mut self, signal: i32) -> SignalSet {
        // SAFETY: as in `with`.
        unsafe { libc::sigdelset(&mut self.0, signal) };
        self
    }

    /// Returns whether the signal is in the set.
    pub fn contains(&self, signal: i32) -> bool {
        // SAFETY: `self.0` is an initialised set.
        unsafe { libc::sigismember(&self.0, signal) == 1 }
    }
}

/// Replaces the calling thread's mask and returns the old one (`pthread_sigmask(3)`).
pub fn set_mask(set: &SignalSet) -> io::Result<SignalSet> {
    change_mask(libc::SIG_SETMASK, set)
}

/// Adds to the calling thread's mask and returns the old one.
pub fn block(set: &SignalSet) -> io::Result<SignalSet> {
    change_mask(libc::SIG_BLOCK, set)
}

fn change_mask(how: libc::c_int, set: &SignalSet) -> io::Result<SignalSet> {
    let mut old = SignalSet::empty();
    // SAFETY: both pointers are to initialised sets that outlive the call.
    match unsafe { libc::pthread_sigmask(how, &set.0, &mut old.0) } {
        0 => Ok(old),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Opens a descriptor, close-on-exec and not blocking, that yields the blocked signals of `set` (`signalfd(2)`).
pub fn signalfd(set: &SignalSet) -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised and only read; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &set.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just handed us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes one signal off a descriptor of [`signalfd`]; `None` when none is pending.
pub fn next_signal(fd: impl AsFd) -> io::Result<Option<i32>> {
    const SIZE: usize = size_of::<libc::signalfd_siginfo>();
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    // SAFETY: the buffer has room for the one record asked for.
    let got = unsafe { libc::read(fd.as_fd().as_raw_fd(), info.as_mut_ptr().cast(), SIZE) };
    if got < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        };
    }
    if got as usize != SIZE {
        return Ok(None);
    }
    // SAFETY: signalfd writes whole records, and the length was just compared.
    Ok(Some(unsafe { info.assume_init() }.ssi_signo as i32))
}

/// Gives a signal its default action again.
pub fn set_default(signal: i32) -> io::Result<()> {
    set_disposition(signal, libc::SIG_DFL)
}

/// Makes the process ignore a signal.
pub fn ignore(signal: i32) -> io::Result<()> {
    set_disposition(signal, libc::SIG_IGN)
}

fn set_disposition(signal: i32, disposition: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: the dispositions passed are SIG_DFL and SIG_IGN only: no handler code runs.
    match unsafe { libc::signal(signal, disposition) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Sends a signal to the calling thread (`raise(3)`); a blocked one stays pending.
pub fn raise(signal: i32) -> io::Result<()> {
    // SAFETY: raise has no memory-safety preconditions.
    match unsafe { libc::raise(signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_is_read_from_the_descriptor() {
        let set = SignalSet::empty().with(libc::SIGUSR2);
        let old = block(&set).unwrap();
        assert!(!old.contains(libc::SIGUSR2));
        let fd = signalfd(&set).unwrap();
        assert_eq!(next_signal(&fd).unwrap(), None);
        raise(libc::SIGUSR2).unwrap();
        assert_eq!(next_signal(&fd).unwrap(), Some(libc::SIGUSR2));
        assert_eq!(next_signal(&fd).unwrap(), None);
        set_mask(&old).unwrap();
    }

    #[test]
    fn sets_are_sets() {
        let set = SignalSet::full().without(libc::SIGTERM);
        assert!(set.contains(libc::SIGHUP) && !set.contains(libc::SIGTERM));
        assert!(!SignalSet::empty().with(9999).contains(9999));
    }
}
