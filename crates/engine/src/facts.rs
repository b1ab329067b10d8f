//! Gathers what planning depends on: the user in the root's own files, namespaces joined, limits of ours.

use crate::container::{ContainerRecord, find, status};
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use crate::plan::{Facts, capabilities};
use crate::user::Accounts;
use oci::runtime::{Device, NamespaceKind};
use rustix::process::{Resource, getrlimit};
use spec::container::{IpcMode, NamespaceMode};
use spec::identity::UserNamespaceMode;
use spec::network::NetworkMode;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

/// Looks everything up. `root` is the container's root file system.
pub fn gather(engine: &Engine, record: &ContainerRecord, root: BorrowedFd<'_>) -> Result<Facts> {
    let spec = &record.spec;
    let accounts = Accounts::read(root)?;
    let user = accounts.resolve(&user_wish(engine, record), &spec.process.groups)?;
    let joined = joined(engine, record)?;
    let host_network = matches!(spec.network.mode, NetworkMode::Host);
    let (uid_size, gid_size) = map_sizes(engine, record);
    if u64::from(user.uid) >= uid_size || u64::from(user.gid) >= gid_size {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("running as user {}:{}: the container's id map ends at {}", user.uid, user.gid, uid_size.min(gid_size) - 1),
        ));
    }
    let (devices, has_tty_group) = (devices(engine, record)?, gid_size > 5);
    Ok(Facts {
        rootless: engine.is_rootless(),
        user,
        host_network,
        hostname: hostname(record, &joined),
        joined,
        proxies: proxies(),
        devices,
        own_rlimits: own_rlimits(),
        has_tty_group,
        own_capabilities: own_capabilities(),
        own_oom_score_adj: std::fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        init_program: spec.init.then(|| "/run/podman-init".to_owned()),
        ..Facts::default()
    })
}

/// `--user`, else the kept id, else the image's USER.
fn user_wish(engine: &Engine, record: &ContainerRecord) -> String {
    if let Some(user) = &record.spec.process.user {
        return user.clone();
    }
    if let UserNamespaceMode::KeepId { uid, gid, .. } = &record.spec.user_namespace.mode {
        return format!("{}:{}", uid.unwrap_or(engine.uid), gid.unwrap_or(engine.gid));
    }
    record.image.as_ref().map(|image| image.config.user.clone()).unwrap_or_default()
}

fn map_sizes(engine: &Engine, record: &ContainerRecord) -> (u64, u64) {
    let end = |maps: &[spec::container::IdMap]| maps.iter().map(|m| u64::from(m.container) + u64::from(m.size)).max().unwrap_or(0);
    match &record.id_maps {
        Some(maps) => (end(&maps.uid), end(&maps.gid)),
        None if engine.is_rootless() => match crate::subids::engine_maps(engine.uid, engine.gid) {
            Ok(maps) => (end(&maps.uid), end(&maps.gid)),
            Err(_) => (1, 1),
        },
        None => (1 << 32, 1 << 32),
    }
}

/// Other containers' namespaces as `/proc/<pid>/ns/<kind>`, and those given by path.
fn joined(engine: &Engine, record: &ContainerRecord) -> Result<BTreeMap<NamespaceKind, String>> {
    let spec = &record.spec;
    let mut joined = BTreeMap::new();
    let of_container = |typed: &str, file: &str| -> Result<String> {
        let other = find::find(engine, typed)?;
        let run = status::look(engine, &other.id)?.run.filter(|run| run.init_pid > 0).ok_or_else(|| {
            Error::new(ErrorKind::WrongState, format!("joining a namespace of container {typed:?}: it is not running"))
                .with_cure(Cure::StartFirst { container: typed.to_owned() })
        })?;
        Ok(format!("/proc/{}/ns/{file}", run.init_pid))
    };
    let simple = |mode: &NamespaceMode, file: &str| -> Result<Option<String>> {
        match mode {
            NamespaceMode::Container(typed) => of_container(typed, file).map(Some),
            NamespaceMode::Path(path) => Ok(Some(path.clone())),
            _ => Ok(None),
        }
    };
    let mut add = |kind, path: Option<String>| {
        if let Some(path) = path {
            joined.insert(kind, path);
        }
    };
    add(NamespaceKind::Pid, simple(&spec.pid_namespace, "pid")?);
    add(NamespaceKind::Uts, simple(&spec.uts_namespace, "uts")?);
    add(NamespaceKind::Cgroup, simple(&spec.cgroup_namespace, "cgroup")?);
    match &spec.ipc_namespace {
        IpcMode::Container(typed) => add(NamespaceKind::Ipc, Some(of_container(typed, "ipc")?)),
        IpcMode::Path(path) => add(NamespaceKind::Ipc, Some(path.clone())),
        _ => {}
    }
    match &spec.network.mode {
        NetworkMode::Container(typed) => add(NamespaceKind::Network, Some(of_container(typed, "net")?)),
        NetworkMode::Path(path) => add(NamespaceKind::Network, Some(path.clone())),
        _ => {}
    }
    match &spec.user_namespace.mode {
        UserNamespaceMode::Container(typed) => {
            if record.id_maps.is_some() {
                add(NamespaceKind::User, Some(of_container(typed, "user")?));
            }
        }
        UserNamespaceMode::Path(path) => add(NamespaceKind::User, Some(path.clone())),
        _ => {}
    }
    Ok(joined)
}

/// The name wished for, else the short id; with the host's UTS namespace the host's.
fn hostname(record: &ContainerRecord, joined: &BTreeMap<NamespaceKind, String>) -> String {
    if let Some(wish) = &record.spec.hostname {
        return wish.clone();
    }
    let shared = matches!(record.spec.uts_namespace, NamespaceMode::Host) || joined.contains_key(&NamespaceKind::Uts);
    if shared || matches!(record.spec.network.mode, NetworkMode::Host) {
        // Podman gives a container in the host's network the host's name too.
        return rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    record.id.short().to_owned()
}

fn proxies() -> Vec<(String, String)> {
    ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok().filter(|value| !value.is_empty())?)))
        .collect()
}

fn own_rlimits() -> BTreeMap<String, (u64, u64)> {
    [("nofile", Resource::Nofile), ("nproc", Resource::Nproc)]
        .into_iter()
        .map(|(name, resource)| {
            let limit = getrlimit(resource);
            (name.to_owned(), (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX)))
        })
        .collect()
}

/// Names of the capabilities in our own bounding set: more than these nobody can have.
fn own_capabilities() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    match bits {
        Some(bits) => {
            capabilities::ALL.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, name)| (*name).to_owned()).collect()
        }
        None => Vec::new(),
    }
}

/// `--device`, directories of devices spelled out, and with `--privileged` all devices of the host.
fn devices(engine: &Engine, record: &ContainerRecord) -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    for wish in &record.spec.devices {
        let stat = rustix::fs::stat(&wish.host).map_err(|e| Error::io(format!("adding device {:?}", wish.host), e))?;
        match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::Directory => walk_devices(&wish.host, &wish.container, &mut devices, 0),
            _ => {
                devices.push(device(&wish.host, &wish.container).ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, format!("adding device {:?}: it is not a device node", wish.host))
                })?)
            }
        }
    }
    if record.spec.security.privileged {
        let mut all = Vec::new();
        walk_devices("/dev", "/dev", &mut all, 0);
        // A user gets those it may open anyway; terminals belong to whoever has them open.
        all.retain(|d| {
            let usable =
                !engine.is_rootless() || rustix::fs::access(&d.path, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK).is_ok();
            usable && !devices.iter().any(|known| known.path == d.path)
        });
        devices.append(&mut all);
    }
    Ok(devices)
}

fn walk_devices(host: &str, container: &str, devices: &mut Vec<Device>, depth: u32) {
    const OWN: [&str; 6] = ["pts", "shm", "fd", "mqueue", "console", ".lxc"];
    let Ok(entries) = std::fs::read_dir(host) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !OWN.contains(name) && !name.starts_with("tty") && *name != "ptmx") else { continue };
        let (host, container) = (format!("{host}/{name}"), format!("{container}/{name}"));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < 8 => walk_devices(&host, &container, devices, depth + 1),
            Ok(kind) if !kind.is_symlink() => devices.extend(device(&host, &container)),
            _ => {}
        }
    }
}

fn device(host: &str, container: &str) -> Option<Device> {
    let stat = rustix::fs::stat(host).ok()?;
    let kind = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::CharacterDevice => "c",
        rustix::fs::FileType::BlockDevice => "b",
        _ => return None,
    };
    Some(Device {
        path: container.to_owned(),
        kind: kind.to_owned(),
        major: Some(i64::from(rustix::fs::major(stat.st_rdev))),
        minor: Some(i64::from(rustix::fs::minor(stat.st_rdev))),
        file_mode: Some(stat.st_mode & 0o7777),
        uid: Some(stat.st_uid),
        gid: Some(stat.st_gid),
    })
}
