//! `logs`: reading what a container wrote.

use super::record::ContainerRecord;
use super::{lock, status};
use crate::error::{Error, ErrorKind, Result};
use crate::open::Engine;
use monitor::logs::{LogFormat, LogSource, ReadOptions, Record};
use spec::log::LogDriver;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

/// What of a log is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogsWish {
    /// The last so many lines.
    pub tail: Option<u64>,
    /// Written since.
    pub since: Option<SystemTime>,
    /// Written until.
    pub until: Option<SystemTime>,
    /// Go on until the container ends.
    pub follow: bool,
}

/// Reads the log of a container, record by record.
pub fn read(engine: &Engine, record: &ContainerRecord, wish: &LogsWish, mut sink: impl FnMut(&Record) -> ControlFlow<()>) -> Result<()> {
    let driver = record.spec.log.driver.unwrap_or(LogDriver::K8sFile);
    let path = Path::new(record.log_path.as_deref().unwrap_or_default());
    let source = match driver {
        LogDriver::Journald => LogSource::Journal { container_id: record.id.as_str() },
        LogDriver::K8sFile => LogSource::File { path, format: LogFormat::K8sFile },
        LogDriver::JsonFile => LogSource::File { path, format: LogFormat::JsonFile },
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "this container is using the {:?} log driver, cannot read logs: this container is not logging output",
                    other.as_str()
                ),
            ));
        }
    };
    let monitor = if wish.follow { monitor_of(engine, record)? } else { None };
    let options = ReadOptions { tail: wish.tail, since: wish.since, until: wish.until, follow: monitor.as_ref().map(AsFd::as_fd) };
    monitor::logs::read(source, options, &mut sink)
        .map_err(|e| Error::because(ErrorKind::Unavailable, format!("reading the log of container {:?}", record.name.as_str()), e))
}

/// The monitor of a container that runs; its end is the end of the log.
fn monitor_of(engine: &Engine, record: &ContainerRecord) -> Result<Option<OwnedFd>> {
    let Some(run) = status::look(engine, &record.id)?.run else { return Ok(None) };
    let pid = rustix::process::Pid::from_raw(run.monitor_pid);
    let pidfd = pid.and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
    Ok(pidfd.filter(|_| lock::is_alive(engine, &record.id)))
}
