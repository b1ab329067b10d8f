//! `stop`: the stop signal, patience, then KILL; returns when the monitor has written the end.

use super::record::ContainerRecord;
use super::{lock, signal, status};
use crate::error::{Error, Result};
use crate::open::Engine;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Seconds between the stop signal and KILL when nobody says.
pub const DEFAULT_TIMEOUT: u64 = 10;
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// What `stop` was told.
#[derive(Debug, Clone, Copy, Default)]
pub struct StopOptions {
    /// Seconds until KILL; the container's own when absent.
    pub timeout: Option<u64>,
}

/// What `stop` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It ran, and has ended.
    Stopped,
    /// It did not run.
    WasNotRunning,
}

/// Stops a container. One that does not run stays as it is.
pub fn stop(engine: &Engine, record: &ContainerRecord, options: StopOptions) -> Result<Stopped> {
    let look = status::look(engine, &record.id)?;
    if look.run.is_none() {
        return Ok(Stopped::WasNotRunning);
    }
    ask(engine, record)?;
    // From here on the monitor launches nothing any more; one that is just ending does not answer.
    let _ = monitor::attach::announce_stop(&engine.paths.container_run(&record.id).join("attach.sock"));
    // Between the look and the announcement it may have been started again by its policy.
    let Some(run) = status::look(engine, &record.id)?.run else { return Ok(Stopped::Stopped) };
    let seconds = options.timeout.or(record.spec.stop_timeout).unwrap_or(DEFAULT_TIMEOUT);
    if let Some(init) = signal::open_init(&run) {
        super::pause::thaw_if_paused(&run);
        let first = if seconds == 0 { SIGKILL } else { stop_signal(record) };
        signal::send_to(&init, &record.id, first)?;
        if !ended_within(&init, Duration::from_secs(seconds))? {
            signal::send_to(&init, &record.id, SIGKILL)?;
        }
    }
    lock::AliveLock::wait_free(engine, &record.id)?;
    Ok(Stopped::Stopped)
}

/// Leaves word for the monitor that the end is wanted, so that no policy starts it again.
pub(crate) fn ask(engine: &Engine, record: &ContainerRecord) -> Result<()> {
    let path = engine.paths.container_run(&record.id).join("stopping");
    std::fs::write(&path, b"").map_err(|e| Error::io(format!("asking container {:?} to stop", record.name.as_str()), e))
}

/// The stop signal: the user's, the image's, or TERM.
pub fn stop_signal(record: &ContainerRecord) -> i32 {
    let of_image = || {
        let text = record.image.as_ref().map(|image| image.config.stop_signal.as_str()).filter(|text| !text.is_empty())?;
        text.parse::<spec::process::Signal>().ok().map(|signal| signal.0)
    };
    record.spec.stop_signal.map(|signal| signal.0).or_else(of_image).unwrap_or(SIGTERM)
}

fn ended_within(pidfd: &OwnedFd, patience: Duration) -> Result<bool> {
    let deadline = Instant::now().checked_add(patience);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timespec = left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) });
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut fds, timespec.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::io("waiting for a container to end", e)),
        }
    }
}
