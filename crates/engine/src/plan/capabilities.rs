//! Capability sets (`--cap-add`, `--cap-drop`, `--privileged`).

use super::Facts;
use crate::error::{Error, ErrorKind, Result};
use oci::runtime::Capabilities;
use spec::security::SecuritySpec;

/// What root in a container may do: Podman's eleven.
pub const DEFAULT: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// All capabilities of Linux, by number (capabilities(7)).
pub const ALL: [&str; 41] = [
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

/// Plans the five sets. A program that is not root gets none in force, but those added by name, which then
/// are in all five (Podman's rule).
pub fn plan(security: &SecuritySpec, facts: &Facts) -> Result<Capabilities> {
    let bounding = bounding(security, facts)?;
    let is_root = facts.user.uid == 0;
    let held: Vec<String> = if security.privileged && !is_root {
        Vec::new()
    } else if is_root {
        bounding.clone()
    } else {
        let by_name = |cap: &String| security.cap_add.iter().any(|added| added == cap);
        bounding.iter().filter(|cap| by_name(cap)).cloned().collect()
    };
    let carried = if is_root { Vec::new() } else { held.clone() };
    Ok(Capabilities { bounding, effective: held.clone(), permitted: held, inheritable: carried.clone(), ambient: carried })
}

fn bounding(security: &SecuritySpec, facts: &Facts) -> Result<Vec<String>> {
    let all = || {
        if facts.own_capabilities.is_empty() { ALL.iter().map(|cap| (*cap).to_owned()).collect() } else { facts.own_capabilities.clone() }
    };
    let is_all = |cap: &String| cap == "ALL" || cap == "CAP_ALL";
    let defaults = || match &facts.default_capabilities {
        Some(list) => list.clone(),
        None => DEFAULT.iter().map(|cap| (*cap).to_owned()).collect::<Vec<_>>(),
    };
    let (adds_all, drops_all) = (security.cap_add.iter().any(is_all), security.cap_drop.iter().any(is_all));
    if adds_all && drops_all {
        return Err(Error::new(ErrorKind::InvalidInput, "adding all capabilities and removing all capabilities not allowed"));
    }
    let mut set: Vec<String> = if security.privileged || adds_all {
        all()
    } else if drops_all {
        Vec::new()
    } else {
        defaults()
    };
    for cap in security.cap_add.iter().filter(|cap| !is_all(cap)) {
        if security.cap_drop.contains(cap) {
            return Err(Error::new(ErrorKind::InvalidInput, format!("capability {cap:?} cannot be dropped and added")));
        }
        if !set.contains(cap) {
            set.push(cap.clone());
        }
    }
    set.retain(|cap| !security.cap_drop.contains(cap));
    set.sort();
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ResolvedUser;

    fn facts(uid: u32) -> Facts {
        Facts { user: ResolvedUser { uid, ..Default::default() }, ..Default::default() }
    }

    fn list(caps: &[&str]) -> Vec<String> {
        caps.iter().map(|cap| (*cap).to_owned()).collect()
    }

    #[test]
    fn root_has_the_eleven_in_three_sets() {
        let sets = plan(&SecuritySpec::default(), &facts(0)).unwrap();
        assert_eq!(sets.bounding, list(&DEFAULT));
        assert_eq!((&sets.effective, &sets.permitted), (&sets.bounding, &sets.bounding));
        assert!(sets.inheritable.is_empty() && sets.ambient.is_empty());
    }

    #[test]
    fn others_have_only_what_was_added_by_name() {
        let security = SecuritySpec { cap_add: list(&["CAP_NET_RAW"]), ..Default::default() };
        let sets = plan(&security, &facts(1000)).unwrap();
        for set in [&sets.effective, &sets.permitted, &sets.inheritable, &sets.ambient] {
            assert_eq!(set, &list(&["CAP_NET_RAW"]));
        }
        assert_eq!(sets.bounding.len(), 12);
    }

    #[test]
    fn drop_all_then_add_leaves_one() {
        let security = SecuritySpec { cap_add: list(&["CAP_NET_BIND_SERVICE"]), cap_drop: list(&["ALL"]), ..Default::default() };
        assert_eq!(plan(&security, &facts(0)).unwrap().bounding, list(&["CAP_NET_BIND_SERVICE"]));
    }

    #[test]
    fn contradictions_are_refused() {
        let security = SecuritySpec { cap_add: list(&["CAP_CHOWN"]), cap_drop: list(&["CAP_CHOWN"]), ..Default::default() };
        assert!(plan(&security, &facts(0)).is_err());
    }
}
