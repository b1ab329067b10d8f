//! How a container ended, and what the engine decides about it.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use crate::supervise::Channels;

/// The end of one run of a container's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The program's code; 128 + n when signal n ended it; [`Exit::UNKNOWN`] when nobody could tell us.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed something in it for want of memory, as [`Lifecycle::oom_killed`] told.
    pub oom_killed: bool,
    /// When we learnt of it.
    pub finished_at: SystemTime,
    /// How often the monitor has launched it again so far.
    pub restarts: u32,
    /// Whether the restart policy asks for another run (and no stop was asked for).
    pub restart_due: bool,
    /// Bytes of output, of all runs, that the log could not take (a full disk); final in [`Lifecycle::finished`].
    pub output_dropped: u64,
}

impl Exit {
    /// The code of a run whose end nobody saw.
    pub const UNKNOWN: i32 = -1;
}

/// What is to happen after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It stays ended, whatever the restart policy says.
    Done,
    /// It runs again if the restart policy says so ([`Exit::restart_due`]).
    Restart,
}

/// A container launched again.
#[derive(Debug)]
pub struct Relaunched {
    /// Its new ends of stdin, stdout and stderr.
    pub channels: Channels,
    /// A pidfd of the new init.
    pub init: OwnedFd,
    /// Its pid as this process sees it.
    pub init_pid: i32,
}

/// The engine's side of supervision.
///
/// All signals are blocked while these run; a child must clear its mask before it executes anything.
pub trait Lifecycle {
    /// Records the end of a run, as soon as init is reaped (output may still be on its way to clients).
    fn ended(&mut self, exit: &Exit) -> Next;

    /// Launches the container again, with the same name and files.
    fn relaunch(&mut self) -> Result<Relaunched, String>;

    /// Cleans up after the last run: all output is logged and shown, but no client has been told of the end yet,
    /// so that `run --rm` returns only when nothing is left.
    fn finished(&mut self, exit: &Exit);

    /// Tells whether the kernel killed something for want of memory; asked once per run, before [`Lifecycle::ended`].
    fn oom_killed(&mut self) -> bool {
        false
    }

    /// Hears of the end of any other child of this process (network helpers, orphans it inherited).
    fn child_ended(&mut self, _pid: i32) {}
}
