//! What is opened before the first process exists: sources of mounts, the root, namespaces to join. Opened
//! here, they are found with the caller's eyes, whatever the container's ids are. A caller who may not mount leaves
//! them to the child, which may in the namespaces that are its own.

use crate::error::{LaunchError, Step};
use crate::idmap;
use crate::launch::Root;
use crate::options;
use oci::runtime::{Config, Linux, Mount, NamespaceKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use sys::mount::{Change, attr, set_attributes};

/// Detached trees by index of the mount.
pub(crate) type Trees = BTreeMap<usize, OwnedFd>;

/// The root as it is handed to the child.
#[derive(Debug)]
pub(crate) enum RootSource {
    /// Opened.
    Tree(OwnedFd),
    /// Left to the child.
    Path(PathBuf),
}

/// Opens the source of every bind mount as a detached tree.
pub(crate) fn open(config: &Config, given: Trees, linux: &Linux) -> Result<Trees, LaunchError> {
    let mut trees = given;
    for (index, mount) in config.mounts.iter().enumerate() {
        if !is_bind(mount) || trees.contains_key(&index) || copied_link(mount).is_some() {
            continue;
        }
        let tree = match clone_tree(mount) {
            Ok(tree) => tree,
            Err(Errno::PERM) if joins_or_makes_user_namespace(linux) => continue,
            Err(e) => return Err(source_error(mount, e)),
        };
        map_ids(mount, &tree, linux)?;
        trees.insert(index, tree);
    }
    Ok(trees)
}

/// Opens in the child what the caller could not.
pub(crate) fn open_late(mount: &Mount) -> Result<OwnedFd, LaunchError> {
    if wants_id_map(mount) {
        return Err(LaunchError::mount_refused(mount, "its ids cannot be mapped without privilege"));
    }
    clone_tree(mount)
        .or_else(|e| match e {
            // What is mounted below the source is locked to it in this namespace, and can only be taken along.
            Errno::INVAL => tree_of(mount, OpenTreeFlags::AT_RECURSIVE),
            e => Err(e),
        })
        .map_err(|e| source_error(mount, e))
}

pub(crate) fn is_bind(mount: &Mount) -> bool {
    mount.kind.as_deref() == Some("bind") || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// `copy-symlink`: a source that is a link is made again in the container, not followed.
pub(crate) fn copied_link(mount: &Mount) -> Option<Vec<u8>> {
    if !mount.options.iter().any(|option| option == "copy-symlink") {
        return None;
    }
    rustix::fs::readlink(mount.source.as_deref()?, Vec::new()).ok().map(std::ffi::CString::into_bytes)
}

fn source_error(mount: &Mount, errno: Errno) -> LaunchError {
    LaunchError::new(Step::MountSource, mount.source.as_deref().unwrap_or_default(), errno)
}

fn clone_tree(mount: &Mount) -> rustix::io::Result<OwnedFd> {
    let recursive = mount.options.iter().any(|option| option == "rbind");
    tree_of(mount, if recursive { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() })
}

fn tree_of(mount: &Mount, extra: OpenTreeFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE | extra;
    open_tree(rustix::fs::CWD, mount.source.as_deref().unwrap_or_default(), flags)
}

fn joins_or_makes_user_namespace(linux: &Linux) -> bool {
    linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::User)
}

fn wants_id_map(mount: &Mount) -> bool {
    !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() || options::id_map_depth(&mount.options).is_some()
}

/// Maps the ids of a mount (runtime-spec config.md#posix-platform-mounts): by its own maps, else by the container's.
fn map_ids(mount: &Mount, tree: &OwnedFd, linux: &Linux) -> Result<(), LaunchError> {
    if !wants_id_map(mount) {
        return Ok(());
    }
    let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    let (uids, gids) = if own { (&mount.uid_mappings, &mount.gid_mappings) } else { (&linux.uid_mappings, &linux.gid_mappings) };
    if uids.is_empty() || gids.is_empty() {
        return Err(LaunchError::mount_refused(mount, "its ids shall be mapped, but no map is given"));
    }
    let namespace = idmap::user_namespace(uids, gids).map_err(|e| LaunchError::mounting(mount, e))?;
    let recursive = options::id_map_depth(&mount.options) == Some(options::Depth::All);
    let change = Change { set: attr::IDMAP, user_namespace: Some(namespace.as_fd()), ..Change::default() };
    set_attributes(tree, change, recursive).map_err(|e| LaunchError::mounting(mount, e))
}

/// Opens the root as a detached tree, if the caller may.
pub(crate) fn open_root(root: Root, linux: &Linux) -> Result<RootSource, LaunchError> {
    match root {
        Root::Tree(tree) => Ok(RootSource::Tree(tree)),
        Root::Path(path) => match root_tree(&path) {
            Ok(tree) => Ok(RootSource::Tree(tree)),
            Err(Errno::PERM) if joins_or_makes_user_namespace(linux) => Ok(RootSource::Path(path)),
            Err(e) => Err(LaunchError::new(Step::Root, path.to_string_lossy(), e)),
        },
    }
}

/// Gives the child the root's tree.
pub(crate) fn root_late(root: RootSource) -> Result<OwnedFd, LaunchError> {
    match root {
        RootSource::Tree(tree) => Ok(tree),
        RootSource::Path(path) => root_tree(&path).map_err(|e| LaunchError::new(Step::Root, path.to_string_lossy(), e)),
    }
}

fn root_tree(path: &std::path::Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE;
    open_tree(rustix::fs::CWD, path, flags)
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
