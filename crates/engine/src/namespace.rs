//! The engine namespace: the user namespace in which an ordinary user's coracle is root over its sub-ids.
//!
//! It is made for each monitor and for each piece of work that needs foreign ids, and ends with it: no pause
//! process keeps it. `newuidmap` and `newgidmap` run side by side, about 2 ms together.

use crate::error::{Cure, Error, ErrorKind, Result, WireError};
use crate::open::Engine;
use crate::subids::{self, EngineMaps};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use sys::clone::{Flags, Forked};

/// Set in a process that has entered; inherited by what it forks.
static INSIDE: AtomicBool = AtomicBool::new(false);

/// Tells whether this process is root over the store: in the engine namespace, or real root.
pub fn is_inside() -> bool {
    INSIDE.load(Ordering::Relaxed) || rustix::process::geteuid().is_root()
}

#[derive(Serialize, Deserialize)]
enum Reply<T> {
    Done(T),
    Failed(WireError),
}

/// Does a piece of work inside the engine namespace, in a child process, and brings its result back.
/// As root, or when already inside, it is done right here.
pub fn inside<T, F>(engine: &Engine, work: F) -> Result<T>
where
    T: Serialize + for<'de> Deserialize<'de>,
    F: FnOnce() -> Result<T>,
{
    if is_inside() {
        return work();
    }
    let maps = subids::engine_maps(engine.uid, engine.gid)?;
    let (mut reply_reader, reply_writer) = std::io::pipe().map_err(|e| Error::io("entering the user namespace", e))?;
    let gate = Gate::new()?;
    match fork_into_namespace()? {
        Forked::Child => {
            drop(reply_reader);
            let reply = match gate.pass() {
                Ok(()) => match work() {
                    Ok(value) => Reply::Done(value),
                    Err(error) => Reply::Failed(error.to_wire()),
                },
                Err(error) => Reply::Failed(error.to_wire()),
            };
            let text = serde_json::to_vec(&reply).unwrap_or_default();
            let mut writer = reply_writer;
            let written = writer.write_all(&text).is_ok();
            sys::clone::exit_now(if written { 0 } else { 1 });
        }
        Forked::Parent(child) => {
            drop(reply_writer);
            let mapped = write_maps(child.pid, &maps);
            gate.open(mapped.is_ok());
            let mut text = Vec::new();
            let read = reply_reader.read_to_end(&mut text);
            let status = child.wait();
            mapped?;
            read.map_err(|e| Error::io("working in the user namespace", e))?;
            match serde_json::from_slice::<Reply<T>>(&text) {
                Ok(Reply::Done(value)) => Ok(value),
                Ok(Reply::Failed(wire)) => Err(wire.into()),
                Err(_) => Err(Error::new(
                    ErrorKind::Internal,
                    format!(
                        "working in the user namespace: the process ended early ({})",
                        status.map_or_else(|e| e.to_string(), |s| s.to_string())
                    ),
                )),
            }
        }
    }
}

/// Runs a program inside the engine namespace with our own descriptors, as `unshare` does; returns its exit
/// code.
pub fn run_program(engine: &Engine, program: &std::ffi::OsStr, args: &[std::ffi::OsString]) -> Result<i32> {
    inside(engine, || {
        let status = Command::new(program).args(args).status().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::because(ErrorKind::ProgramNotFound, format!("running {program:?}"), e),
            _ => Error::because(ErrorKind::ProgramNotExecutable, format!("running {program:?}"), e),
        })?;
        use std::os::unix::process::ExitStatusExt;
        Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    })
}

/// Forks into a new user and mount namespace; the child has no ids until [`write_maps`] is done.
pub(crate) fn fork_into_namespace() -> Result<Forked> {
    sys::clone::fork(Flags::NEW_USER | Flags::NEW_MOUNT).map_err(|e| {
        let switch = off_switch();
        let error = Error::io("making a user namespace", e);
        match switch {
            Some(switch) => error.with_cure(Cure::UserNamespacesOff { switch }),
            None => error.with_cure(Cure::Doctor),
        }
    })
}

/// Finds out what switched user namespaces off.
fn off_switch() -> Option<String> {
    let is = |path: &str, value: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    [
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/user/max_user_namespaces", "0"),
    ]
    .into_iter()
    .find(|(path, value)| is(path, value))
    .map(|(path, _)| path.to_owned())
}

/// A door between parent and child: the child waits until the maps are written.
pub(crate) struct Gate {
    reader: std::io::PipeReader,
    writer: std::io::PipeWriter,
}

impl Gate {
    pub(crate) fn new() -> Result<Self> {
        let (reader, writer) = std::io::pipe().map_err(|e| Error::io("entering the user namespace", e))?;
        Ok(Self { reader, writer })
    }

    /// The parent's side: tells the child whether it may go on.
    pub(crate) fn open(self, good: bool) {
        drop(self.reader);
        let mut writer = self.writer;
        // A child that died meanwhile is noticed by its silence.
        let _ = writer.write_all(&[u8::from(good)]);
    }

    /// The child's side: waits, then becomes root of the namespace.
    pub(crate) fn pass(self) -> Result<()> {
        drop(self.writer);
        let mut byte = [0u8];
        let mut reader = self.reader;
        let told = reader.read(&mut byte).map_err(|e| Error::io("entering the user namespace", e))?;
        if told == 0 || byte[0] == 0 {
            return Err(Error::new(ErrorKind::Internal, "entering the user namespace: the ids were not mapped"));
        }
        become_root()
    }
}

fn become_root() -> Result<()> {
    let doing = |e: std::io::Error| Error::io("becoming root of the user namespace", e);
    sys::identity::set_gids(0, 0, 0).map_err(doing)?;
    sys::identity::set_uids(0, 0, 0).map_err(doing)?;
    INSIDE.store(true, Ordering::Relaxed);
    // What we mount stays here; what the host mounts later still arrives.
    rustix::mount::mount_change("/", rustix::mount::MountPropagationFlags::DOWNSTREAM | rustix::mount::MountPropagationFlags::REC)
        .map_err(|e| Error::io("separating our mounts from the host's", e))
}

/// Maps the ids of a child: both helpers at the same time.
pub(crate) fn write_maps(pid: i32, maps: &EngineMaps) -> Result<()> {
    let uid = spawn_helper("newuidmap", pid, &maps.uid)?;
    let gid = spawn_helper("newgidmap", pid, &maps.gid);
    let uid = finish_helper("newuidmap", uid);
    let gid = gid.and_then(|child| finish_helper("newgidmap", child));
    uid.and(gid)
}

fn spawn_helper(program: &str, pid: i32, maps: &[spec::container::IdMap]) -> Result<Child> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for map in maps {
        command.args([map.container.to_string(), map.host.to_string(), map.size.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|e| {
        if e.kind() == std::io::ErrorKind::NotFound {
            Error::new(ErrorKind::Unsupported, format!("cannot set up namespace using {program}: it is not installed"))
                .with_cure(Cure::UidmapMissing)
        } else {
            Error::io(format!("cannot set up namespace using {program}"), e)
        }
    })
}

fn finish_helper(program: &str, child: Child) -> Result<()> {
    let output = child.wait_with_output().map_err(|e| Error::io(format!("waiting for {program}"), e))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().lines().next().unwrap_or("it gave no reason").to_owned();
    let cure = if said.contains("not allowed") { Cure::Doctor } else { Cure::UidmapPowerless };
    Err(Error::new(ErrorKind::NotPermitted, format!("cannot set up namespace using {program}: {said}")).with_cure(cure))
}

/// Tells whether we are root of the host's own user namespace.
pub fn is_real_root() -> bool {
    rustix::process::geteuid().is_root() && !INSIDE.load(Ordering::Relaxed)
}

/// A private copy of the mounts for a process of root's: what it mounts dies with it.
pub(crate) fn separate_mounts() -> Result<()> {
    rustix::mount::mount_change("/", rustix::mount::MountPropagationFlags::DOWNSTREAM | rustix::mount::MountPropagationFlags::REC)
        .map_err(|e| Error::io("separating our mounts from the host's", e))
}

/// Enters the engine namespace of another container's monitor: who shares a namespace of a container must be root
/// where that namespace belongs to.
pub(crate) fn join_monitor(pid: i32) -> Result<()> {
    let path = format!("/proc/{pid}/ns/user");
    let doing = |e: std::io::Error| Error::io(format!("joining {path:?}"), e);
    let namespace = std::fs::File::open(&path).map_err(doing)?;
    sys::process::join_namespace(&namespace).map_err(doing)?;
    sys::process::unshare_mounts().map_err(doing)?;
    become_root()
}
