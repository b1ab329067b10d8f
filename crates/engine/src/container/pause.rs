//! `pause` and `unpause`: the freezer of the container's cgroup.

use super::record::{ContainerRecord, RunState, Status};
use super::status;
use crate::error::{Error, ErrorKind, Result};
use crate::open::Engine;

/// Freezes a container.
pub fn pause(engine: &Engine, record: &ContainerRecord) -> Result<()> {
    let look = status::look(engine, &record.id)?;
    match (look.status, &look.run) {
        (Status::Running, Some(run)) => set(record, run, true),
        (status, _) => Err(Error::new(
            ErrorKind::WrongState,
            format!("{:?} is not running, can't pause: container state improper", record.name.as_str()),
        )
        .while_doing(format!("pausing container {:?} ({})", record.name.as_str(), status.as_str()))),
    }
}

/// Thaws a container.
pub fn unpause(engine: &Engine, record: &ContainerRecord) -> Result<()> {
    let look = status::look(engine, &record.id)?;
    match (look.status, &look.run) {
        (Status::Paused, Some(run)) => set(record, run, false),
        _ => Err(Error::new(
            ErrorKind::WrongState,
            format!("{:?} is not paused, can't unpause: container state improper", record.name.as_str()),
        )),
    }
}

/// A frozen process cannot die; whoever stops a container thaws it.
pub(crate) fn thaw_if_paused(run: &RunState) {
    if let Some(cgroup) = &run.cgroup {
        let _ = std::fs::write(format!("{cgroup}/cgroup.freeze"), "0");
    }
}

fn set(record: &ContainerRecord, run: &RunState, frozen: bool) -> Result<()> {
    let Some(cgroup) = &run.cgroup else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "freezing container {:?}: it has no cgroup of its own, because no cgroup v2 tree is delegated to us",
                record.name.as_str()
            ),
        ));
    };
    std::fs::write(format!("{cgroup}/cgroup.freeze"), if frozen { "1" } else { "0" })
        .map_err(|e| Error::io(format!("freezing container {:?}", record.name.as_str()), e))
}
