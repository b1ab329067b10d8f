//! `wait`: blocks until a container is in a state.

use super::record::{ContainerRecord, Status};
use super::{find, lock, status};
use crate::error::{ErrorKind, Result};
use crate::open::Engine;
use std::time::Duration;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It does not run.
    Stopped,
    /// One of these states.
    States(Vec<Status>),
    /// It is gone.
    Removed,
}

/// Waits and returns the exit code; -1 when it has none or is gone.
pub fn wait(engine: &Engine, record: &ContainerRecord, condition: &Condition, interval: Duration) -> Result<i32> {
    loop {
        let look = match find::load(engine, &record.id) {
            Ok(_) => Some(status::look(engine, &record.id)?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let code = || look.as_ref().and_then(|look| look.exit.as_ref()).map_or(-1, |exit| exit.code);
        let Some(now) = look.as_ref().map(|look| look.status) else { return Ok(exit_of_removed(engine, record)) };
        match condition {
            Condition::Stopped => match now {
                Status::Created | Status::Exited if look.as_ref().is_some_and(|look| look.run.is_none()) => return Ok(code()),
                // The monitor's lock tells without polling; it is let go when everything is written.
                _ => {
                    let known = exit_watcher(engine, record);
                    lock::AliveLock::wait_free(engine, &record.id)?;
                    if let Some(code) = known.and_then(|watcher| watcher.read()) {
                        return Ok(code);
                    }
                    continue;
                }
            },
            Condition::States(states) if states.contains(&now) => return Ok(code()),
            Condition::States(_) | Condition::Removed => std::thread::sleep(interval.max(Duration::from_millis(1))),
        }
    }
}

/// A container started with `--rm` takes its exit record along when it goes; the directory held open still
/// shows it until the last moment.
struct ExitWatcher {
    dir: std::fs::File,
}

fn exit_watcher(engine: &Engine, record: &ContainerRecord) -> Option<ExitWatcher> {
    std::fs::File::open(engine.paths.container_run(&record.id)).ok().map(|dir| ExitWatcher { dir })
}

impl ExitWatcher {
    fn read(&self) -> Option<i32> {
        let fd = rustix::fs::openat(&self.dir, "exit", rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
            .ok()?;
        std::io::read_to_string(std::fs::File::from(fd)).ok()?.trim().parse().ok()
    }
}

fn exit_of_removed(engine: &Engine, record: &ContainerRecord) -> i32 {
    std::fs::read_to_string(engine.paths.container_run(&record.id).join("exit"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(-1)
}
