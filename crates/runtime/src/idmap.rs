//! Id maps: of the container's user namespace, and namespaces that exist only to map the ids of a mount.

use crate::error::{LaunchError, Step};
use oci::runtime::{IdMapping, Linux};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use sys::clone::{Flags, Forked};

/// Writes the maps of a process's new user namespace. Who may not write them himself asks `newuidmap` and
/// `newgidmap`, side by side.
pub(crate) fn write(pid: i32, linux: &Linux) -> Result<(), LaunchError> {
    let doing = |file: &str, e: std::io::Error| LaunchError::new(Step::IdMap, format!("/proc/{pid}/{file}"), e);
    match std::fs::write(format!("/proc/{pid}/uid_map"), text(&linux.uid_mappings)) {
        Ok(()) => {
            return std::fs::write(format!("/proc/{pid}/gid_map"), text(&linux.gid_mappings)).or_else(|e| {
                // Without a privilege over groups the namespace gives up setgroups(2) first (user_namespaces(7)).
                if e.kind() != std::io::ErrorKind::PermissionDenied {
                    return Err(doing("gid_map", e));
                }
                std::fs::write(format!("/proc/{pid}/setgroups"), "deny").map_err(|e| doing("setgroups", e))?;
                std::fs::write(format!("/proc/{pid}/gid_map"), text(&linux.gid_mappings)).map_err(|e| doing("gid_map", e))
            });
        }
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {}
        Err(e) => return Err(doing("uid_map", e)),
    }
    let uids = begin_helper("newuidmap", pid, &linux.uid_mappings)?;
    let gids = begin_helper("newgidmap", pid, &linux.gid_mappings)?;
    end_helper("newuidmap", uids).and(end_helper("newgidmap", gids))
}

fn text(maps: &[IdMapping]) -> String {
    maps.iter().map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size)).collect()
}

/// Looks where systems keep set-user-id programs, not in the user's PATH.
fn begin_helper(name: &str, pid: i32, maps: &[IdMapping]) -> Result<Child, LaunchError> {
    let path = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/wrappers/bin"]
        .iter()
        .map(|dir| format!("{dir}/{name}"))
        .find(|path| std::fs::exists(path).unwrap_or(false))
        .ok_or_else(|| LaunchError::refused(Step::IdMap, name, "it is not installed, and the ids cannot be mapped without it"))?;
    let mut command = Command::new(&path);
    command.arg(pid.to_string());
    for map in maps {
        command.args([map.container_id.to_string(), map.host_id.to_string(), map.size.to_string()]);
    }
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().map_err(|e| LaunchError::new(Step::IdMap, path, e))
}

fn end_helper(name: &str, child: Child) -> Result<(), LaunchError> {
    let output = child.wait_with_output().map_err(|e| LaunchError::new(Step::IdMap, name, e))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(LaunchError::refused(Step::IdMap, name, words.trim().trim_start_matches(name).trim_start_matches(": ").to_owned()))
}

/// Makes a user namespace with the given maps, for id-mapped mounts (mount_setattr(2)). Nobody lives in it.
pub fn user_namespace(uids: &[IdMapping], gids: &[IdMapping]) -> std::io::Result<OwnedFd> {
    let (mut gate, writer) = std::io::pipe()?;
    match sys::clone::fork(Flags::NEW_USER)? {
        Forked::Child => {
            drop(writer);
            let _ = gate.read(&mut [0u8]);
            sys::clone::exit_now(0)
        }
        Forked::Parent(child) => {
            let pid = child.pid;
            let made = std::fs::write(format!("/proc/{pid}/uid_map"), text(uids))
                .and_then(|()| std::fs::write(format!("/proc/{pid}/gid_map"), text(gids)))
                .and_then(|()| std::fs::File::open(format!("/proc/{pid}/ns/user")));
            drop(writer);
            child.wait()?;
            made.map(OwnedFd::from)
        }
    }
}
