//! Sending a signal to a container's first process, by a descriptor that cannot mean another process.

use super::record::RunState;
use super::status;
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use spec::ContainerId;
use std::os::fd::OwnedFd;

/// Opens the first process of a run; `None` when it has ended.
pub fn open_init(run: &RunState) -> Option<OwnedFd> {
    let pid = Pid::from_raw(run.init_pid).filter(|_| run.init_pid > 0)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Checked after opening: from here on the descriptor means this process and no other.
    (crate::host::start_time(run.init_pid) == Some(run.init_start_time)).then_some(pidfd)
}

/// Sends a signal to the first process of a run. An ended process is no error.
pub fn send(run: &RunState, id: &ContainerId, signal: i32) -> Result<()> {
    let Some(pidfd) = open_init(run) else { return Ok(()) };
    send_to(&pidfd, id, signal)
}

/// Sends a signal by descriptor.
pub fn send_to(pidfd: &OwnedFd, id: &ContainerId, signal: i32) -> Result<()> {
    // Real-time signals have no name in rustix; they were range-checked by the parser.
    let signal = Signal::from_named_raw(signal)
        .map(Ok)
        .unwrap_or_else(|| Err(Error::new(ErrorKind::InvalidInput, format!("signal {signal} cannot be sent"))));
    match pidfd_send_signal(pidfd, signal?) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(Error::io(format!("sending a signal to container {:?}", id.short()), e)),
    }
}

/// `kill`: sends a signal to a container that runs.
pub fn kill(engine: &Engine, id: &ContainerId, signal: i32) -> Result<()> {
    let look = status::look(engine, id)?;
    match &look.run {
        Some(run) if run.init_pid > 0 && !run.waiting => {
            // Paused processes get a deadly signal when they are thawed; the kernel does so by itself on v2.
            send(run, id, signal)
        }
        _ => Err(Error::new(
            ErrorKind::WrongState,
            format!("can only kill running containers. {} is in state {}: container state improper", id, look.status.as_str()),
        )
        .with_cure(Cure::StartFirst { container: id.short().to_owned() })),
    }
}
