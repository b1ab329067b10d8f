//! Mounts, made as detached trees and then moved to their places (runtime-spec config.md#mounts).

use crate::error::{LaunchError, Step};
use crate::options::{self, Options};
use crate::rootfs::{Hands, Kind, find, find_or_make};
use crate::sources::Trees;
use oci::runtime::{Config, Mount};
use rustix::fs::{FileType, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount, open_tree,
};
use std::os::fd::OwnedFd;
use sys::mount::{Change, attr, set_attributes};

/// Descriptors of mounts that later steps use.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// The container's own procfs, as it was mounted: a proven one.
    pub(crate) proc: Option<OwnedFd>,
    /// Its devpts.
    pub(crate) devpts: Option<OwnedFd>,
}

/// Files of procfs that may be covered: what lxcfs and friends provide (as runc allows).
const COVERABLE: [&str; 9] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
];

/// Makes all mounts of a configuration, in order.
pub(crate) fn make(config: &Config, hands: &mut Hands, mut trees: Trees) -> Result<Placed, LaunchError> {
    let mut placed = Placed::default();
    for (index, mount) in config.mounts.iter().enumerate() {
        let doing = |e: std::io::Error| LaunchError::new(Step::Mount, mount.destination.as_str(), e);
        check_place(mount)?;
        let options = options::parse(&mount.options)
            .map_err(|word| LaunchError::refused(Step::Mount, mount.destination.as_str(), format!("option {word:?} is not known")))?;
        let tree = match trees.remove(&index) {
            Some(tree) => bind(tree, &options).map_err(doing)?,
            None => match new_tree(mount, &options, config)? {
                Some(tree) => tree,
                None => continue,
            },
        };
        let kind = kind_of(&tree).map_err(doing)?;
        let point = |e: rustix::io::Errno| LaunchError::new(Step::MountPoint, mount.destination.as_str(), e);
        if is_kernel_file_system(mount) {
            refuse_link(&hands.root, &mount.destination)?;
        }
        let target = find_or_make(&hands.root, &mount.destination, kind).map_err(point)?;
        if options.copy_up {
            copy_up(&target, &tree, options.data.iter().any(|(key, _)| key == "mode")).map_err(doing)?;
            if options.set & attr::RDONLY != 0 {
                set_attributes(&tree, Change { set: attr::RDONLY, ..Change::default() }, false).map_err(doing)?;
            }
        }
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&tree, "", &target, "", flags).map_err(|e| doing(e.into()))?;
        if options.propagation != 0 {
            set_attributes(&tree, Change { propagation: options.propagation, ..Change::default() }, options.recursive_propagation)
                .map_err(doing)?;
        }
        match mount.destination.as_str() {
            "/proc" if mount.kind.as_deref() == Some("proc") => placed.proc = Some(tree),
            "/dev/pts" if mount.kind.as_deref() == Some("devpts") => placed.devpts = Some(tree),
            _ => {}
        }
    }
    Ok(placed)
}

/// Confinement rests on a true /proc; nothing may lie over it or in it (runc CVE-2019-19921, CVE-2025-52881).
fn check_place(mount: &Mount) -> Result<(), LaunchError> {
    let place = options::clean(&mount.destination);
    let refuse = |why: &str| Err(LaunchError::refused(Step::Mount, mount.destination.as_str(), why));
    if !mount.destination.starts_with('/') {
        return refuse("it is not absolute");
    }
    let is_bind = matches!(mount.kind.as_deref(), Some("bind") | None) || mount.options.iter().any(|o| o == "bind" || o == "rbind");
    if place == "/proc" && mount.kind.as_deref() != Some("proc") {
        let is_host_proc = is_bind && mount.source.as_deref() == Some("/proc");
        return if is_host_proc { Ok(()) } else { refuse("nothing but procfs can be mounted there") };
    }
    if place.starts_with("/proc/") && !COVERABLE.contains(&place.as_str()) {
        return refuse("mounts inside /proc are not allowed");
    }
    Ok(())
}

fn is_kernel_file_system(mount: &Mount) -> bool {
    matches!(mount.kind.as_deref(), Some("proc" | "sysfs"))
}

/// A root whose /proc or /sys is a link sends our mounts elsewhere (youki CVE-2025-54867).
fn refuse_link(root: &OwnedFd, path: &str) -> Result<(), LaunchError> {
    match find(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(fd) => match rustix::fs::fstat(&fd) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Ok(()),
            Ok(_) => Err(LaunchError::refused(Step::MountPoint, path, "the image has something else than a directory there")),
            Err(e) => Err(LaunchError::new(Step::MountPoint, path, e)),
        },
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(e) => Err(LaunchError::new(Step::MountPoint, path, e)),
    }
}

fn kind_of(tree: &OwnedFd) -> std::io::Result<Kind> {
    let stat = rustix::fs::fstat(tree)?;
    Ok(if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { Kind::Directory } else { Kind::File })
}

/// Sets what was asked for on a bind; what the source's mount has locked stays as it is, because bits are only
/// set or, when named, cleared.
fn bind(tree: OwnedFd, options: &Options) -> std::io::Result<OwnedFd> {
    if options.set != 0 || options.clear != 0 {
        set_attributes(&tree, Change { set: options.set, clear: options.clear, ..Change::default() }, false)?;
    }
    if options.recursive_set != 0 || options.recursive_clear != 0 {
        set_attributes(&tree, Change { set: options.recursive_set, clear: options.recursive_clear, ..Change::default() }, true)?;
    }
    Ok(tree)
}

/// Makes a new file system; `None` when there is none to be had and that is no error.
fn new_tree(mount: &Mount, options: &Options, config: &Config) -> Result<Option<OwnedFd>, LaunchError> {
    let kind = mount.kind.as_deref().unwrap_or("none");
    let made = match kind {
        "cgroup" | "cgroup2" => return cgroup(mount, options, config),
        "sysfs" => file_system(kind, mount, options, config).or_else(|e| {
            // With the host's network namespace sysfs cannot be mounted in a user namespace; the host's is bound.
            if e.kind() == std::io::ErrorKind::PermissionDenied { bind_of_host("/sys", options) } else { Err(e) }
        }),
        "mqueue" => match file_system(kind, mount, options, config) {
            // A kernel may have none.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => return Ok(None),
            other => other,
        },
        _ => file_system(kind, mount, options, config),
    };
    made.map(Some).map_err(|e| LaunchError::new(Step::Mount, mount.destination.as_str(), e))
}

fn file_system(kind: &str, mount: &Mount, options: &Options, config: &Config) -> std::io::Result<OwnedFd> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some(source) = mount.source.as_deref().filter(|source| !source.is_empty()) {
        fsconfig_set_string(&fs, "source", source)?;
    }
    for (key, value) in &options.data {
        match value {
            Some(value) => fsconfig_set_string(&fs, key.as_str(), value.as_str())?,
            None => fsconfig_set_flag(&fs, key.as_str())?,
        }
    }
    let label = config.linux.as_ref().and_then(|linux| linux.mount_label.as_deref());
    if let Some(label) = label.filter(|_| matches!(kind, "tmpfs" | "devpts" | "mqueue" | "ramfs")) {
        // Kernels without SELinux do not know the word.
        let _ = fsconfig_set_string(&fs, "context", label);
    }
    fsconfig_create(&fs)?;
    // A tmpfs that is filled first becomes read-only afterwards; so does /dev, when its devices are made.
    let late = options.copy_up || (kind == "tmpfs" && mount.destination == "/dev");
    let now = if late { options.set & !attr::RDONLY } else { options.set };
    let tree = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain((now & !attr::ATIME_MASK) as u32))?;
    if now & attr::ATIME_MASK != 0 {
        set_attributes(&tree, Change { set: now & attr::ATIME_MASK, clear: attr::ATIME_MASK, ..Change::default() }, false)?;
    }
    Ok(tree)
}

fn bind_of_host(path: &str, options: &Options) -> std::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(rustix::fs::CWD, path, flags)?;
    set_attributes(&tree, Change { set: options.set & !attr::ATIME_MASK, ..Change::default() }, true)?;
    Ok(tree)
}

/// The cgroup tree: version 2 if the host has it; on older hosts an empty read-only directory, so that nothing
/// of the host's hierarchies can be touched.
fn cgroup(mount: &Mount, options: &Options, config: &Config) -> Result<Option<OwnedFd>, LaunchError> {
    let doing = |e: std::io::Error| LaunchError::new(Step::Mount, mount.destination.as_str(), e);
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    let is_v2 = rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|stat| stat.f_type as u64 == CGROUP2_SUPER_MAGIC);
    let plain = Options { set: options.set, ..Options::default() };
    if is_v2 {
        let named = Mount { kind: Some("cgroup2".to_owned()), source: Some("cgroup".to_owned()), ..mount.clone() };
        return match file_system("cgroup2", &named, &plain, config) {
            Ok(tree) => Ok(Some(tree)),
            Err(_) => bind_of_host("/sys/fs/cgroup", options).map(Some).map_err(doing),
        };
    }
    let mut empty = plain;
    empty.set |= attr::RDONLY;
    empty.data.push(("mode".to_owned(), Some("755".to_owned())));
    empty.data.push(("size".to_owned(), Some("0".to_owned())));
    file_system("tmpfs", &Mount { source: Some("tmpfs".to_owned()), ..mount.clone() }, &empty, config).map(Some).map_err(doing)
}

/// `tmpcopyup`: what lies below is copied into the new tmpfs, never through a link.
fn copy_up(below: &OwnedFd, tree: &OwnedFd, keep_mode: bool) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = rustix::fs::openat(below, ".", flags, rustix::fs::Mode::empty())?;
    let to = rustix::fs::openat(tree, ".", flags, rustix::fs::Mode::empty())?;
    let mode = rustix::fs::fstat(&to)?.st_mode & 0o7777;
    copy_directory(&from, &to, 0)?;
    if keep_mode {
        rustix::fs::fchmod(&to, rustix::fs::Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

fn copy_directory(from: &OwnedFd, to: &OwnedFd, depth: u32) -> std::io::Result<()> {
    use rustix::fs::{AtFlags, Mode, chmodat, chownat, mkdirat, openat, readlinkat, statat, symlinkat};
    if depth > 256 {
        return Err(std::io::Error::from(rustix::io::Errno::NAMETOOLONG));
    }
    let stat = rustix::fs::fstat(from)?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let owner = |stat: &rustix::fs::Stat| (Some(rustix::fs::Uid::from_raw(stat.st_uid)), Some(rustix::fs::Gid::from_raw(stat.st_gid)));
    let (uid, gid) = owner(&stat);
    rustix::fs::fchown(to, uid, gid)?;
    let names: Vec<_> = rustix::fs::Dir::read_from(from)?.flatten().map(|entry| entry.file_name().to_owned()).collect();
    for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let (uid, gid) = owner(&stat);
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                mkdirat(to, name, Mode::RWXU)?;
                copy_directory(
                    &openat(from, name, flags | OFlags::DIRECTORY, Mode::empty())?,
                    &openat(to, name, flags | OFlags::DIRECTORY, Mode::empty())?,
                    depth + 1,
                )?;
            }
            FileType::RegularFile => {
                let mut source = std::fs::File::from(openat(from, name, flags, Mode::empty())?);
                let target = openat(to, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
                let mut target = std::fs::File::from(target);
                std::io::copy(&mut source, &mut target)?;
                rustix::fs::fchown(&target, uid, gid)?;
                rustix::fs::fchmod(&target, mode)?;
            }
            FileType::Symlink => {
                symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
                chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            FileType::Fifo | FileType::Socket => {
                rustix::fs::mknodat(to, name, FileType::from_raw_mode(stat.st_mode), mode, 0)?;
                chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                chmodat(to, name, mode, AtFlags::empty())?;
            }
            _ => {}
        }
    }
    Ok(())
}
