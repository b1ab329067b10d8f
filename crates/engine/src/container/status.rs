//! What a container is doing, derived: a monitor lives while its lock is held; how the last run ended stands
//! in its exit record; a run nobody saw the end of is closed by whoever looks first.

use super::lock::{self, AliveLock};
use super::record::{ContainerRecord, ExitRecord, RunState, Status};
use crate::error::Result;
use crate::json::{self, Durability};
use crate::open::Engine;
use spec::ContainerId;

/// A look at a container.
#[derive(Debug, Clone)]
pub struct Look {
    /// What it is doing.
    pub status: Status,
    /// The run, while it runs.
    pub run: Option<RunState>,
    /// The end of the last run, if there was one.
    pub exit: Option<ExitRecord>,
}

/// Looks at a container.
pub fn look(engine: &Engine, id: &ContainerId) -> Result<Look> {
    let dir = engine.paths.container_run(id);
    if lock::is_alive(engine, id) {
        let run: RunState = json::load(&dir.join("state.json"))?.unwrap_or_default();
        let exit = json::load(&engine.paths.container(id).join("exit.json"))?;
        let status = if run.init_pid == 0 {
            // Being started (its first process is not made yet), or waiting to be started again.
            if run.waiting {
                Status::Exited
            } else if exit.is_some() {
                Status::Exited
            } else {
                Status::Created
            }
        } else if is_paused(&run) {
            Status::Paused
        } else if dir.join("stopping").exists() {
            Status::Stopping
        } else {
            Status::Running
        };
        return Ok(Look { status, run: Some(run), exit });
    }
    if dir.join("state.json").exists() {
        close_unseen(engine, id)?;
    }
    let exit: Option<ExitRecord> = json::load(&engine.paths.container(id).join("exit.json"))?;
    let status = if exit.is_some() { Status::Exited } else { Status::Created };
    Ok(Look { status, run: None, exit })
}

/// Looks at a container that was read already.
pub fn look_at(engine: &Engine, record: &ContainerRecord) -> Result<Look> {
    look(engine, &record.id)
}

/// Closes a run whose monitor died without a word: ends what is left of it and writes an exit record with
/// code -1, unless the monitor had written its own.
fn close_unseen(engine: &Engine, id: &ContainerId) -> Result<()> {
    // Only one closes; whoever comes second finds nothing left to do.
    let Some(_lock) = AliveLock::try_take(engine, id)? else { return Ok(()) };
    settle(engine, id)?;
    clear_run_dir(engine, id);
    Ok(())
}

/// Does so with the lock held.
pub(crate) fn settle(engine: &Engine, id: &ContainerId) -> Result<()> {
    let dir = engine.paths.container_run(id);
    let Some(run) = json::load::<RunState>(&dir.join("state.json")).unwrap_or_default() else { return Ok(()) };
    end_leftovers(&run);
    let exit_path = engine.paths.container(id).join("exit.json");
    let last: Option<ExitRecord> = json::load(&exit_path).unwrap_or(None);
    if run.init_pid != 0 && last.is_none_or(|exit| exit.started < run.started) {
        let exit = ExitRecord {
            code: -1,
            started: run.started,
            finished: crate::host::now(),
            restarts: run.restarts,
            error: "the monitor ended before the container did".to_owned(),
            ..ExitRecord::default()
        };
        json::save(&exit_path, &exit, Durability::Durable)?;
    }
    Ok(())
}

/// Ends processes of a run whose monitor is gone. Start times tell reused pids apart.
pub(crate) fn end_leftovers(run: &RunState) {
    if run.init_pid > 0
        && crate::host::start_time(run.init_pid) == Some(run.init_start_time)
        && let Some(pid) = rustix::process::Pid::from_raw(run.init_pid)
        && let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        && crate::host::start_time(run.init_pid) == Some(run.init_start_time)
    {
        let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
        let mut poll = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
        let _ = rustix::event::poll(&mut poll, Some(&patience));
    }
}

/// Deletes what a run left in the run root; the lock file stays, so that nobody waits on a deleted one.
pub(crate) fn clear_run_dir(engine: &Engine, id: &ContainerId) {
    let dir = engine.paths.container_run(id);
    if let Ok(entries) = std::fs::read_dir(&dir) {
        for entry in entries.flatten().filter(|entry| entry.file_name() != "alive") {
            let _ = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                std::fs::remove_dir_all(entry.path())
            } else {
                std::fs::remove_file(entry.path())
            };
        }
    }
}

fn is_paused(run: &RunState) -> bool {
    match &run.cgroup {
        Some(path) => std::fs::read_to_string(format!("{path}/cgroup.freeze")).is_ok_and(|text| text.trim() == "1"),
        None => run.paused,
    }
}
