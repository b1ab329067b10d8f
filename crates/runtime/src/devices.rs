//! Device nodes, links of /dev, the terminal (runtime-spec config-linux.md#default-devices).

use crate::error::{LaunchError, Step};
use crate::rootfs::{Hands, Kind, find, find_or_make};
use oci::runtime::{Config, Device, Process};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use std::os::fd::{BorrowedFd, OwnedFd};

/// The devices every container has.
const DEFAULT: [(&str, i64, i64); 6] =
    [("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8), ("/dev/urandom", 1, 9), ("/dev/tty", 5, 0)];

/// Links every container has.
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Makes the default devices and those of the configuration, when /dev is the container's own.
pub(crate) fn make(config: &Config, hands: &mut Hands) -> Result<(), LaunchError> {
    let own_dev = config.mounts.iter().any(|m| crate::options::clean(&m.destination) == "/dev" && m.kind.as_deref() == Some("tmpfs"));
    let linux = config.linux.as_ref();
    if own_dev {
        for (path, major, minor) in DEFAULT {
            let device = Device {
                path: path.to_owned(),
                kind: "c".to_owned(),
                major: Some(major),
                minor: Some(minor),
                file_mode: Some(0o666),
                uid: Some(0),
                gid: Some(0),
            };
            one(&device, hands)?;
        }
        let dev = find(&hands.root, "/dev", OFlags::PATH | OFlags::DIRECTORY).map_err(|e| LaunchError::new(Step::Device, "/dev", e))?;
        for (target, name) in LINKS {
            match rustix::fs::symlinkat(target, &dev, name) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(e) => return Err(LaunchError::new(Step::Device, format!("/dev/{name}"), e)),
            }
        }
    }
    for device in linux.iter().flat_map(|linux| &linux.devices) {
        if !(own_dev && DEFAULT.iter().any(|(path, ..)| *path == device.path)) {
            one(device, hands)?;
        }
    }
    // A /dev wished read-only was kept writable until now.
    for m in config.mounts.iter().filter(|m| m.destination == "/dev" && m.kind.as_deref() == Some("tmpfs")) {
        if m.options.iter().any(|option| option == "ro") {
            let dev = find(&hands.root, "/dev", OFlags::PATH).map_err(|e| LaunchError::new(Step::Device, "/dev", e))?;
            let change = sys::mount::Change { set: sys::mount::attr::RDONLY, ..Default::default() };
            sys::mount::set_attributes(&dev, change, false).map_err(|e| LaunchError::new(Step::Device, "/dev", e))?;
        }
    }
    Ok(())
}

/// Makes one device: a node where we may, else the host's bound over an empty file.
fn one(device: &Device, hands: &Hands) -> Result<(), LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Device, device.path.as_str(), e);
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        other => return Err(LaunchError::refused(Step::Device, device.path.as_str(), format!("kind {other:?} is not known"))),
    };
    let (parent, name) = device.path.rsplit_once('/').unwrap_or(("/", device.path.as_str()));
    if name.is_empty() || name == ".." || name == "." {
        return Err(LaunchError::refused(Step::Device, device.path.as_str(), "it is no name of a device"));
    }
    let parent = find_or_make(&hands.root, if parent.is_empty() { "/" } else { parent }, Kind::Directory).map_err(doing)?;
    let number = rustix::fs::makedev(device.major.unwrap_or(0) as u32, device.minor.unwrap_or(0) as u32);
    let mode = device.file_mode.unwrap_or(0o666) & 0o7777;
    match rustix::fs::mknodat(&parent, name, kind, Mode::from_raw_mode(mode), number) {
        Ok(()) => {
            let (uid, gid) = (rustix::fs::Uid::from_raw(device.uid.unwrap_or(0)), rustix::fs::Gid::from_raw(device.gid.unwrap_or(0)));
            rustix::fs::chownat(&parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(doing)?;
            // The umask took bits away; the node was made by us a moment ago, in our own tmpfs.
            rustix::fs::chmodat(&parent, name, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(doing)
        }
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(rustix::io::Errno::PERM) if kind != FileType::Fifo => bind_host_device(device, hands, &parent, name),
        Err(e) => Err(doing(e)),
    }
}

/// In a user namespace nodes cannot be made; the host's own is bound, after a look that it is the one meant.
fn bind_host_device(device: &Device, hands: &Hands, parent: &OwnedFd, name: &str) -> Result<(), LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Device, device.path.as_str(), e);
    let Some(host_dev) = &hands.host_dev else { return Err(doing(rustix::io::Errno::PERM)) };
    let relative = device.path.strip_prefix("/dev/").unwrap_or(name);
    let source = rustix::fs::openat(host_dev, relative, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map_err(doing)?;
    let stat = rustix::fs::fstat(&source).map_err(doing)?;
    let number = (i64::from(rustix::fs::major(stat.st_rdev)), i64::from(rustix::fs::minor(stat.st_rdev)));
    if number != (device.major.unwrap_or(0), device.minor.unwrap_or(0)) {
        return Err(LaunchError::refused(Step::Device, device.path.as_str(), "the host has another device there"));
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o666)) {
        Ok(_) | Err(rustix::io::Errno::EXIST) => {}
        Err(e) => return Err(doing(e)),
    }
    let target = rustix::fs::openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map_err(doing)?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&source, "", clone).map_err(doing)?;
    move_mount(&tree, "", &target, "", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH).map_err(doing)
}

/// Both ends of a terminal.
pub(crate) struct Terminal {
    pub(crate) master: OwnedFd,
    pub(crate) slave: OwnedFd,
}

/// Makes a terminal in the container's own devpts, and /dev/console of its slave; by descriptors alone, since
/// paths in the container may lead anywhere (runc CVE-2025-52565).
pub(crate) fn terminal(devpts: BorrowedFd<'_>, hands: &Hands, process: &Process) -> Result<Terminal, LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Terminal, "", e);
    let terminal = open_terminal(devpts, process)?;
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dev = find(&hands.root, "/dev", OFlags::PATH | OFlags::DIRECTORY).map_err(doing)?;
    rustix::fs::openat(&dev, "console", flags, Mode::from_raw_mode(0o600)).map_err(doing)?;
    let target = rustix::fs::openat(&dev, "console", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map_err(doing)?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&terminal.slave, "", clone).map_err(doing)?;
    move_mount(&tree, "", &target, "", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH).map_err(doing)?;
    Ok(terminal)
}

/// Opens a new terminal of a devpts.
pub(crate) fn open_terminal(devpts: BorrowedFd<'_>, process: &Process) -> Result<Terminal, LaunchError> {
    let doing = |e: rustix::io::Errno| LaunchError::new(Step::Terminal, "", e);
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let master = rustix::fs::openat(devpts, "ptmx", flags, Mode::empty()).map_err(doing)?;
    rustix::pty::unlockpt(&master).map_err(doing)?;
    let peer = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY | rustix::pty::OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, peer).map_err(doing)?;
    if process.user.uid != 0 {
        rustix::fs::fchown(&slave, Some(rustix::fs::Uid::from_raw(process.user.uid)), None).map_err(doing)?;
    }
    if let Some(size) = &process.console_size {
        let size = rustix::termios::Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).map_err(doing)?;
    }
    Ok(Terminal { master, slave })
}
