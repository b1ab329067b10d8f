//! The mounts of a container, in the order they are made.
//!
//! Ours come first (`/proc`, `/dev`, `/sys`, …), a user's mount at the same place replaces one of ours, and
//! all others follow sorted by depth, so that `/a` is there before `/a/b` whatever the order of the flags.

use super::Facts;
use crate::container::ContainerRecord;
use crate::error::{Error, ErrorKind, Result};
use oci::runtime::{Mount, NamespaceKind};
use spec::ContainerSpec;
use spec::container::{CgroupsMode, IpcMode, NamespaceMode, SystemdMode};
use spec::mount::{MountOptions, MountSource, MountSpec, TmpfsSpec};

/// `/dev/shm` when nobody says.
const SHM_SIZE: u64 = 64 << 20;

/// Annotation keys are not used for sources; a volume's directory comes from [`Facts::volumes`].
pub fn plan(record: &ContainerRecord, facts: &Facts) -> Result<Vec<Mount>> {
    let spec = &record.spec;
    let mut mounts = standard(spec, facts);
    let mut wished = Vec::new();
    for file in &facts.host_files {
        let mut options = words(&["bind", "rprivate", "nosuid", "nodev"]);
        if !file.program {
            options.push("noexec".to_owned());
        }
        if file.read_only || spec.security.read_only {
            options.push("ro".to_owned());
        }
        wished.push(mount(&file.target, Some("bind"), Some(&file.source), options));
    }
    let taken = |target: &str| {
        spec.mounts.iter().any(|m| same_place(&m.target, target)) || spec.tmpfs.iter().any(|t| same_place(&t.target, target))
    };
    wished.retain(|m| !taken(&m.destination));
    for volume in &record.volumes {
        if spec.mounts.iter().any(|m| same_place(&m.target, &volume.target)) {
            continue;
        }
        wished.push(volume_mount(volume.name.as_str(), &volume.target, &MountOptions::default(), facts)?);
    }
    for wish in &spec.mounts {
        wished.push(one(wish, record, facts)?);
    }
    for wish in &spec.tmpfs {
        wished.push(tmpfs(wish));
    }
    read_only_places(spec, &mut mounts, &mut wished);
    for wish in &wished {
        check_target(&wish.destination)?;
        mounts.retain(|m| !same_place(&m.destination, &wish.destination));
    }
    if let Some(twice) = duplicate(&wished) {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{twice:?}: duplicate mount destination")));
    }
    // A stable sort keeps the order of flags where depths are equal.
    wished.sort_by_key(|m| depth(&m.destination));
    mounts.append(&mut wished);
    Ok(mounts)
}

/// Propagation of the root mount: a shared or slave bind needs a root that is not private.
pub fn root_propagation(spec: &ContainerSpec) -> Option<String> {
    let has = |word: &str| spec.mounts.iter().any(|m| m.options.propagation.as_deref().is_some_and(|p| p.trim_start_matches('r') == word));
    if has("shared") {
        Some("shared".to_owned())
    } else if has("slave") {
        Some("rslave".to_owned())
    } else {
        None
    }
}

fn standard(spec: &ContainerSpec, facts: &Facts) -> Vec<Mount> {
    let privileged = spec.security.privileged;
    let mut proc_options = words(&["nosuid", "noexec", "nodev"]);
    proc_options.extend(spec.security.proc_options.iter().cloned());
    let own_pid = !matches!(spec.pid_namespace, NamespaceMode::Host);
    let mut mounts = vec![if own_pid || !facts.rootless {
        mount("/proc", Some("proc"), Some("proc"), proc_options)
    } else {
        // With the host's processes a rootless /proc can only be the host's (mount_too_revealing).
        mount("/proc", Some("bind"), Some("/proc"), words(&["rbind", "nosuid", "noexec", "nodev"]))
    }];
    mounts.push(mount("/dev", Some("tmpfs"), Some("tmpfs"), words(&["nosuid", "strictatime", "mode=755", "size=65536k"])));
    let mut pts = words(&["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]);
    if facts.has_tty_group {
        pts.push("gid=5".to_owned());
    }
    mounts.push(mount("/dev/pts", Some("devpts"), Some("devpts"), pts));
    let sys_mode = if privileged { "rw" } else { "ro" };
    let own_network = !facts.host_network;
    mounts.push(if own_network || !facts.rootless {
        mount("/sys", Some("sysfs"), Some("sysfs"), words(&["nosuid", "noexec", "nodev", sys_mode]))
    } else {
        mount("/sys", Some("bind"), Some("/sys"), words(&["rbind", "nosuid", "noexec", "nodev", sys_mode, "rslave"]))
    });
    if spec.cgroups != CgroupsMode::Disabled || own_network {
        let mode = if privileged || spec.systemd == SystemdMode::Always { "rw" } else { "ro" };
        let mut options = words(&["rprivate", "nosuid", "noexec", "nodev", "relatime", mode]);
        // A rootless container that sees the host's tree must never write to it (runc CVE-2023-25809).
        if facts.rootless && matches!(spec.cgroup_namespace, NamespaceMode::Host) {
            options.retain(|word| word != "rw");
            options.push("ro".to_owned());
        }
        mounts.push(mount("/sys/fs/cgroup", Some("cgroup"), Some("cgroup"), options));
    }
    match &spec.ipc_namespace {
        IpcMode::None => {}
        IpcMode::Host => {
            mounts.push(mount("/dev/mqueue", Some("bind"), Some("/dev/mqueue"), words(&["bind", "nosuid", "noexec", "nodev"])));
            mounts.push(mount("/dev/shm", Some("bind"), Some("/dev/shm"), words(&["bind", "nosuid", "noexec", "nodev"])));
        }
        IpcMode::Container(_) => {
            mounts.push(mount("/dev/mqueue", Some("mqueue"), Some("mqueue"), words(&["nosuid", "noexec", "nodev"])));
            // The other container's /dev/shm comes as a path with the namespace.
            if let Some(path) = facts.joined.get(&NamespaceKind::Ipc)
                && let Some(process) = path.strip_suffix("/ns/ipc")
            {
                let source = format!("{process}/root/dev/shm");
                mounts.push(mount("/dev/shm", Some("bind"), Some(&source), words(&["bind", "nosuid", "noexec", "nodev"])));
            }
        }
        _ => {
            mounts.push(mount("/dev/mqueue", Some("mqueue"), Some("mqueue"), words(&["nosuid", "noexec", "nodev"])));
            let mut options = words(&["nosuid", "noexec", "nodev", "mode=1777"]);
            options.push(format!("size={}", spec.shm_size.unwrap_or(SHM_SIZE)));
            mounts.push(mount("/dev/shm", Some("tmpfs"), Some("shm"), options));
        }
    }
    mounts
}

/// `--read-only`: writable tmpfs on /run, /tmp and /var/tmp, unless `--read-only-tmpfs=false`, when even
/// /dev and /dev/shm are read-only.
fn read_only_places(spec: &ContainerSpec, standard: &mut [Mount], wished: &mut Vec<Mount>) {
    if !spec.security.read_only {
        return;
    }
    if spec.security.read_only_tmpfs == Some(false) {
        for m in standard.iter_mut().filter(|m| m.destination == "/dev" || m.destination == "/dev/shm") {
            m.options.push("ro".to_owned());
        }
        return;
    }
    for target in ["/run", "/tmp", "/var/tmp"] {
        if !wished.iter().any(|m| same_place(&m.destination, target)) {
            let mode = if target == "/run" { "mode=755" } else { "mode=1777" };
            wished.push(mount(target, Some("tmpfs"), Some("tmpfs"), words(&["rw", "rprivate", "nosuid", "nodev", "tmpcopyup", mode])));
        }
    }
}

fn one(wish: &MountSpec, record: &ContainerRecord, facts: &Facts) -> Result<Mount> {
    match &wish.source {
        MountSource::Bind { path, .. } => Ok(bind(path, &wish.target, &wish.options)),
        MountSource::Volume(name) => volume_mount(name.as_str(), &wish.target, &wish.options, facts),
        MountSource::AnonymousVolume => {
            let volume = record.volumes.iter().find(|v| same_place(&v.target, &wish.target)).ok_or_else(|| {
                Error::new(ErrorKind::Internal, format!("mounting the anonymous volume at {:?}: it was not made", wish.target))
            })?;
            volume_mount(volume.name.as_str(), &wish.target, &wish.options, facts)
        }
        MountSource::Tmpfs => {
            let mut options = wish.options.flags.clone();
            if let Some(size) = wish.options.tmpfs_size {
                options.push(format!("size={size}"));
            }
            if let Some(mode) = wish.options.tmpfs_mode {
                options.push(format!("mode={mode:o}"));
            }
            match wish.options.copy {
                Some(false) => options.push("notmpcopyup".to_owned()),
                Some(true) => options.push("tmpcopyup".to_owned()),
                None => {}
            }
            if wish.options.read_only == Some(true) {
                options.push("ro".to_owned());
            }
            Ok(tmpfs(&TmpfsSpec { target: wish.target.clone(), options }))
        }
        MountSource::Ramfs => Ok(mount(&wish.target, Some("ramfs"), Some("ramfs"), words(&["nosuid", "nodev", "noexec"]))),
        MountSource::Devpts => {
            let mut options = words(&["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]);
            options.extend(wish.options.extra.iter().cloned());
            Ok(mount(&wish.target, Some("devpts"), Some("devpts"), options))
        }
        // The engine mounts the image first and puts the tree in by index.
        MountSource::Image(image) => {
            let mut options = words(&["rbind", "rprivate", "nosuid", "nodev"]);
            if wish.options.read_only != Some(false) {
                options.push("ro".to_owned());
            }
            Ok(mount(&wish.target, Some("bind"), Some(&format!("image:{image}")), options))
        }
        MountSource::Glob(pattern) => Err(Error::new(ErrorKind::Internal, format!("mounting glob {pattern:?}: it was not expanded"))),
    }
}

fn bind(source: &str, target: &str, wish: &MountOptions) -> Mount {
    let mut options = vec![if wish.non_recursive { "bind" } else { "rbind" }.to_owned()];
    options.push(wish.propagation.clone().unwrap_or_else(|| "rprivate".to_owned()));
    options.extend(wish.flags.iter().cloned());
    match wish.read_only {
        Some(true) if wish.non_recursive => options.push("ro".to_owned()),
        // A read-only bind is read-only all the way down, as far as the kernel can (5.12).
        Some(true) => options.extend(words(&["ro", "rro"])),
        Some(false) => options.push("rw".to_owned()),
        None => {}
    }
    if let Some(idmap) = &wish.idmap {
        options.push(if idmap.is_empty() { "idmap".to_owned() } else { format!("idmap={idmap}") });
    }
    mount(target, Some("bind"), Some(source), options)
}

fn volume_mount(name: &str, target: &str, wish: &MountOptions, facts: &Facts) -> Result<Mount> {
    let source = facts
        .volumes
        .get(name)
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("mounting volume {name:?} at {target:?}: no such volume")))?;
    let mut wish = wish.clone();
    for word in ["nosuid", "nodev"] {
        let opposite = &word[2..];
        if !wish.flags.iter().any(|flag| flag == word || flag == opposite) {
            wish.flags.push(word.to_owned());
        }
    }
    Ok(bind(source, target, &wish))
}

/// tmpfs is `rw,noexec,nosuid,nodev` and keeps what the image has there, unless told otherwise.
fn tmpfs(wish: &TmpfsSpec) -> Mount {
    let given = |words: &[&str]| wish.options.iter().any(|option| words.contains(&option.as_str()));
    let mut options = vec!["rprivate".to_owned()];
    for (word, opposite) in [("noexec", "exec"), ("nosuid", "suid"), ("nodev", "dev")] {
        if !given(&[word, opposite]) {
            options.push(word.to_owned());
        }
    }
    if !given(&["tmpcopyup", "notmpcopyup"]) {
        options.push("tmpcopyup".to_owned());
    }
    options.extend(wish.options.iter().filter(|option| option.as_str() != "notmpcopyup").cloned());
    mount(&wish.target, Some("tmpfs"), Some("tmpfs"), options)
}

/// Mounts over /proc and at the root hide what confinement rests on (runc CVE-2019-19921).
fn check_target(target: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::InvalidInput, format!("invalid container path {target:?}: {why}")));
    if !target.starts_with('/') || target.contains('\0') {
        return refuse("it must be an absolute path");
    }
    let clean = clean(target);
    if clean == "/" {
        return refuse("destination can't be '/'");
    }
    if clean.split('/').any(|part| part == "..") {
        return refuse("it must not contain \"..\"");
    }
    Ok(())
}

fn duplicate(mounts: &[Mount]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    mounts.iter().find(|m| !seen.insert(clean(&m.destination))).map(|m| m.destination.as_str())
}

/// Removes doubled and trailing slashes and `.` parts.
pub fn clean(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}

/// Tells whether two targets are the same place.
pub fn same_place(a: &str, b: &str) -> bool {
    clean(a) == clean(b)
}

fn depth(path: &str) -> usize {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").count()
}

fn mount(target: &str, kind: Option<&str>, source: Option<&str>, options: Vec<String>) -> Mount {
    Mount { destination: target.to_owned(), kind: kind.map(str::to_owned), source: source.map(str::to_owned), options, ..Mount::default() }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}
