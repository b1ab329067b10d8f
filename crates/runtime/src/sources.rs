//! What is opened before the first process exists: sources of mounts, the root, namespaces to join. Opened
//! here, they are found with the caller's eyes, whatever the container's ids are.

use crate::error::{LaunchError, Step};
use crate::launch::Root;
use oci::runtime::{Config, Linux, NamespaceKind};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// Detached trees by index of the mount.
pub(crate) type Trees = BTreeMap<usize, OwnedFd>;

/// Opens the source of every bind mount as a detached tree.
pub(crate) fn open(config: &Config, given: Trees, linux: &Linux) -> Result<Trees, LaunchError> {
    let mut trees = given;
    for (index, mount) in config.mounts.iter().enumerate() {
        let recursive = mount.options.iter().any(|option| option == "rbind");
        let is_bind = recursive || mount.kind.as_deref() == Some("bind") || mount.options.iter().any(|option| option == "bind");
        if !is_bind || trees.contains_key(&index) {
            continue;
        }
        let source = mount.source.as_deref().unwrap_or_default();
        trees.insert(index, clone_tree(source, recursive).map_err(|e| LaunchError::new(Step::MountSource, source, e))?);
    }
    // Without the right to make device nodes, the host's are bound.
    let _ = linux;
    Ok(trees)
}

fn clone_tree(source: &str, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(rustix::fs::CWD, source, flags)
}

/// Opens the root as a detached tree.
pub(crate) fn open_root(root: Root) -> Result<OwnedFd, LaunchError> {
    match root {
        Root::Tree(tree) => Ok(tree),
        Root::Path(path) => {
            let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE;
            open_tree(rustix::fs::CWD, &path, flags).map_err(|e| LaunchError::new(Step::Root, path.to_string_lossy(), e))
        }
    }
}

/// Opens the namespaces that are joined, the user namespace first.
pub(crate) fn open_namespaces(linux: &Linux) -> Result<Vec<(NamespaceKind, OwnedFd)>, LaunchError> {
    let mut joins = Vec::new();
    for namespace in &linux.namespaces {
        if let Some(path) = &namespace.path {
            let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|e| LaunchError::new(Step::Join, path.as_str(), e))?;
            joins.push((namespace.kind, fd));
        }
    }
    joins.sort_by_key(|(kind, _)| *kind != NamespaceKind::User);
    Ok(joins)
}

/// A pid namespace is joined by children only, so the parent steps in first and back afterwards.
pub(crate) fn join_pid_first(joins: &[(NamespaceKind, OwnedFd)]) -> Result<Option<OwnedFd>, LaunchError> {
    let Some((_, fd)) = joins.iter().find(|(kind, _)| *kind == NamespaceKind::Pid) else { return Ok(None) };
    let doing = |e: std::io::Error| LaunchError::new(Step::Join, "pid", e);
    let own = rustix::fs::open("/proc/self/ns/pid", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|e| doing(e.into()))?;
    sys::process::join_namespace(fd).map_err(doing)?;
    Ok(Some(own))
}
