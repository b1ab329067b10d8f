//! Who the program is: limits, labels, user, capabilities.

use crate::error::{LaunchError, Step};
use oci::runtime::Process;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::os::fd::OwnedFd;

/// Capabilities by number (linux/capability.h).
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A label ready to be written: the file was opened through a proven procfs while it could be found.
#[derive(Debug)]
pub(crate) struct Label {
    file: std::fs::File,
    text: String,
}

/// Opens the files of the labels asked for.
pub(crate) fn open_labels(process: &Process, proc: Option<&OwnedFd>) -> Result<Vec<Label>, LaunchError> {
    let mut labels = Vec::new();
    if let Some(profile) = process.apparmor_profile.as_deref().filter(|profile| !profile.is_empty()) {
        let file = open_attribute(proc, &["self/attr/apparmor/exec", "self/attr/exec"], profile)?;
        labels.push(Label { file, text: format!("exec {profile}") });
    }
    if let Some(label) = process.selinux_label.as_deref().filter(|label| !label.is_empty()) {
        let file = open_attribute(proc, &["self/attr/exec"], label)?;
        labels.push(Label { file, text: label.to_owned() });
    }
    Ok(labels)
}

fn open_attribute(proc: Option<&OwnedFd>, paths: &[&str], label: &str) -> Result<std::fs::File, LaunchError> {
    let Some(proc) = proc else { return Err(LaunchError::refused(Step::Label, label, "the container has no /proc of its own")) };
    let mut last = rustix::io::Errno::NOENT;
    for path in paths {
        // Our own directory is a link of procfs itself, and the only one followed.
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        match rustix::fs::openat2(proc, *path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(fd) => return Ok(std::fs::File::from(fd)),
            Err(e) => last = e,
        }
    }
    Err(LaunchError::new(Step::Label, label, last))
}

/// Writes the labels; they take effect at execution.
pub(crate) fn write_labels(labels: Vec<Label>) -> Result<(), LaunchError> {
    for mut label in labels {
        label.file.write_all(label.text.as_bytes()).map_err(|e| LaunchError::new(Step::Label, label.text.as_str(), e))?;
    }
    Ok(())
}

/// Sets resource limits; without the right to raise a hard limit the wish is cut to it.
pub(crate) fn set_rlimits(process: &Process) -> Result<(), LaunchError> {
    for wish in &process.rlimits {
        let Some(resource) = resource(&wish.kind) else {
            return Err(LaunchError::refused(Step::Rlimit, wish.kind.as_str(), "it is not known"));
        };
        let number = |value: u64| if value == u64::MAX { None } else { Some(value) };
        let limit = Rlimit { current: number(wish.soft), maximum: number(wish.hard) };
        match setrlimit(resource, limit.clone()) {
            Ok(()) => {}
            Err(rustix::io::Errno::PERM) => {
                let own = getrlimit(resource).maximum;
                let cut = |value: Option<u64>| match (value, own) {
                    (Some(value), Some(own)) => Some(value.min(own)),
                    (None, own) => own,
                    (value, None) => value,
                };
                setrlimit(resource, Rlimit { current: cut(limit.current), maximum: cut(limit.maximum) })
                    .map_err(|e| LaunchError::new(Step::Rlimit, wish.kind.as_str(), e))?;
            }
            Err(e) => return Err(LaunchError::new(Step::Rlimit, wish.kind.as_str(), e)),
        }
    }
    Ok(())
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        _ => return None,
    })
}

/// Sets the I/O priority (ioprio_set(2)).
pub(crate) fn set_io_priority(process: &Process) -> Result<(), LaunchError> {
    let Some(wish) = &process.io_priority else { return Ok(()) };
    let class = match wish.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => return Err(LaunchError::refused(Step::Process, other, "it is no class of I/O priority")),
    };
    sys::process::set_io_priority(class, wish.priority as u32).map_err(|e| LaunchError::new(Step::Process, "I/O priority", e))
}

/// Drops the bounding set, then becomes user and groups; capabilities are kept over that until they are set.
pub(crate) fn change_user(process: &Process) -> Result<(), LaunchError> {
    let doing = |e: std::io::Error| LaunchError::new(Step::User, format!("{}:{}", process.user.uid, process.user.gid), e);
    let bounding = mask(process.capabilities.as_ref().map(|caps| caps.bounding.as_slice()).unwrap_or_default())?;
    for number in 0..64 {
        match sys::capability::in_bounding(number) {
            None => break,
            Some(true) if bounding >> number & 1 == 0 => {
                sys::capability::drop_bounding(number).map_err(|e| LaunchError::new(Step::Capabilities, "", e))?;
            }
            Some(_) => {}
        }
    }
    sys::capability::keep_over_setuid().map_err(doing)?;
    match sys::identity::set_groups(&process.user.additional_gids) {
        Ok(()) => {}
        // Where groups cannot be set at all (setgroups is "deny") the caller's stay, as the kernel wants it.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied && setgroups_denied() => {}
        Err(e) => return Err(doing(e)),
    }
    sys::identity::set_gids(process.user.gid, process.user.gid, process.user.gid).map_err(doing)?;
    sys::identity::set_uids(process.user.uid, process.user.uid, process.user.uid).map_err(doing)
}

fn setgroups_denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny")
}

/// Sets the effective, permitted, inheritable and ambient set, exactly.
pub(crate) fn set_capabilities(process: &Process) -> Result<(), LaunchError> {
    let doing = |e: std::io::Error| LaunchError::new(Step::Capabilities, "", e);
    let none = oci::runtime::Capabilities::default();
    let caps = process.capabilities.as_ref().unwrap_or(&none);
    let ambient = mask(&caps.ambient)?;
    let permitted = mask(&caps.permitted)?;
    sys::capability::clear_ambient().map_err(doing)?;
    sys::capability::set(mask(&caps.effective)?, permitted, mask(&caps.inheritable)?).map_err(doing)?;
    for number in (0..64).filter(|number| ambient >> number & 1 == 1) {
        sys::capability::raise_ambient(number).map_err(doing)?;
    }
    Ok(())
}

fn mask(names: &[String]) -> Result<u64, LaunchError> {
    names.iter().try_fold(0, |mask, name| match CAPABILITIES.iter().position(|known| known == name) {
        Some(number) => Ok(mask | 1 << number),
        None => Err(LaunchError::refused(Step::Capabilities, name.as_str(), "it is not known")),
    })
}
