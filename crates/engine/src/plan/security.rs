//! Paths masked and read-only, kernel parameters, personality.

use super::Facts;
use crate::error::{Error, ErrorKind, Result};
use oci::runtime::Personality;
use spec::ContainerSpec;
use spec::container::{IpcMode, NamespaceMode};

/// Unreadable by default (Podman's list).
pub const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

/// Read-only by default.
pub const READ_ONLY: [&str; 6] = ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Returns the masked and the read-only paths of a container.
pub fn paths(spec: &ContainerSpec, facts: &Facts) -> (Vec<String>, Vec<String>) {
    let security = &spec.security;
    let own = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let (mut masked, mut read_only) = if security.privileged { (Vec::new(), Vec::new()) } else { (own(&MASKED), own(&READ_ONLY)) };
    if !security.privileged {
        masked.push("/sys/devices/system/cpu/cpu*/thermal_throttle".to_owned());
        if facts.rootless && facts.host_network {
            // /sys is a bind of the host's there, with all of the kernel's debugging below it.
            masked.push("/sys/kernel".to_owned());
        }
    }
    let unmasked =
        |path: &String| security.unmask.iter().any(|wish| wish.eq_ignore_ascii_case("all") || wish == path || matches_glob(wish, path));
    masked.retain(|path| !unmasked(path));
    read_only.retain(|path| !unmasked(path));
    for path in &security.mask {
        if !masked.contains(path) {
            masked.push(path.clone());
        }
    }
    (masked, read_only)
}

/// Matches `*` against anything but a slash, component by component.
fn matches_glob(pattern: &str, path: &str) -> bool {
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => matches(&pattern[1..], text) || text.first().is_some_and(|b| *b != b'/') && matches(pattern, &text[1..]),
            (Some(a), Some(b)) if a == b => matches(&pattern[1..], &text[1..]),
            _ => false,
        }
    }
    matches(pattern.as_bytes(), path.as_bytes())
}

/// Kernel parameters that belong to a namespace of the container (Podman's list).
pub fn check_sysctl(key: &str, spec: &ContainerSpec, own_network: bool) -> Result<()> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let refuse = |why: &str| Err(Error::new(ErrorKind::InvalidInput, format!("sysctl {key:?} is not allowed: {why}")));
    let normal = key.replace('/', ".");
    if IPC.contains(&normal.as_str()) || normal.starts_with("fs.mqueue.") {
        return match spec.ipc_namespace {
            IpcMode::Host => refuse("the IPC namespace is the host's"),
            _ => Ok(()),
        };
    }
    if normal.starts_with("net.") {
        return if own_network { Ok(()) } else { refuse("the network namespace is not the container's own") };
    }
    if normal == "kernel.domainname" || normal == "kernel.hostname" {
        return match spec.uts_namespace {
            NamespaceMode::Host => refuse("the UTS namespace is the host's"),
            _ => Ok(()),
        };
    }
    refuse("it does not belong to a namespace")
}

/// Parses `--personality`.
pub fn personality(spec: &ContainerSpec) -> Result<Option<Personality>> {
    match spec.personality.as_deref() {
        None | Some("") => Ok(None),
        Some(domain @ ("LINUX" | "LINUX32")) => Ok(Some(Personality { domain: domain.to_owned(), flags: Vec::new() })),
        Some(other) => Err(Error::new(ErrorKind::InvalidInput, format!("invalid personality {other:?}: it is LINUX or LINUX32"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmask_takes_all_names_and_globs() {
        let count = |unmask: &[&str]| {
            let mut spec = ContainerSpec::default();
            spec.security.unmask = unmask.iter().map(|text| (*text).to_owned()).collect();
            let (masked, read_only) = paths(&spec, &Facts::default());
            (masked.len(), read_only.len())
        };
        assert_eq!(count(&[]), (13, 6));
        assert_eq!(count(&["ALL"]), (0, 0));
        assert_eq!(count(&["/proc/acpi", "/proc/bus"]), (12, 5));
        assert_eq!(count(&["/proc/*"]), (4, 0));
    }

    #[test]
    fn sysctls_of_the_host_are_refused() {
        let spec = ContainerSpec::default();
        assert!(check_sysctl("net.core.somaxconn", &spec, true).is_ok());
        assert!(check_sysctl("net.core.somaxconn", &spec, false).is_err());
        assert!(check_sysctl("kernel.shmmax", &spec, true).is_ok());
        for bad in ["kernel.core_pattern", "vm.swappiness", "kernel.", ""] {
            assert!(check_sysctl(bad, &spec, true).is_err(), "{bad}");
        }
    }
}
