//! Masked and read-only paths (runtime-spec config-linux.md#masked-paths).

use crate::error::{LaunchError, Step};
use crate::rootfs::{Hands, find};
use oci::runtime::Linux;
use rustix::fs::{FileType, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount, open_tree,
};
use std::os::fd::OwnedFd;
use sys::mount::{Change, attr, set_attributes};

/// Hides and protects the paths.
pub(crate) fn apply(linux: &Linux, hands: &Hands) -> Result<(), LaunchError> {
    let mut empty = None;
    for path in expand(&linux.masked_paths, hands) {
        let doing = |e: rustix::io::Errno| LaunchError::new(Step::Mask, path.as_str(), e);
        let target = match find(&hands.root, &path, OFlags::PATH) {
            Ok(target) => target,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => continue,
            Err(e) => return Err(doing(e)),
        };
        let stat = rustix::fs::fstat(&target).map_err(doing)?;
        let clone = |fd: &OwnedFd| {
            open_tree(fd, "", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH)
        };
        let cover = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            if empty.is_none() {
                empty = Some(empty_directory().map_err(doing)?);
            }
            // One empty tmpfs covers all directories.
            clone(empty.as_ref().expect("it was made a moment ago")).map_err(doing)?
        } else {
            clone(&hands.null).map_err(doing)?
        };
        move_mount(&cover, "", &target, "", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH)
            .map_err(doing)?;
    }
    for path in &linux.readonly_paths {
        make_read_only(hands, path)?;
    }
    Ok(())
}

fn make_read_only(hands: &Hands, path: &str) -> Result<(), LaunchError> {
    let doing = |e: std::io::Error| LaunchError::new(Step::ReadOnlyPath, path, e);
    let target = match find(&hands.root, path, OFlags::PATH) {
        Ok(target) => target,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(()),
        Err(e) => return Err(doing(e.into())),
    };
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&target, "", flags).map_err(|e| doing(e.into()))?;
    set_attributes(&tree, Change { set: attr::RDONLY, ..Change::default() }, true).map_err(doing)?;
    move_mount(&tree, "", &target, "", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH)
        .map_err(|e| doing(e.into()))
}

fn empty_directory() -> rustix::io::Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "size", "0k")?;
    fsconfig_set_string(&fs, "mode", "755")?;
    fsconfig_set_flag(&fs, "ro")?;
    fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// `*` in one component stands for all names that fit.
fn expand(paths: &[String], hands: &Hands) -> Vec<String> {
    let mut expanded = Vec::new();
    for path in paths {
        let Some(star) = path.find('*') else {
            expanded.push(path.clone());
            continue;
        };
        let start = path[..star].rfind('/').unwrap_or(0);
        let end = path[star..].find('/').map_or(path.len(), |at| star + at);
        let (directory, pattern, rest) = (&path[..start], &path[start + 1..end], &path[end..]);
        let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
        let Ok(dir) = find(&hands.root, directory, OFlags::RDONLY | OFlags::DIRECTORY) else { continue };
        let Ok(entries) = rustix::fs::Dir::new(dir) else { continue };
        for entry in entries.flatten() {
            if let Ok(name) = entry.file_name().to_str()
                && name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
                && name[before.len()..].starts_with(|c: char| c.is_ascii_digit() || after.is_empty())
            {
                expanded.push(format!("{directory}/{name}{rest}"));
            }
        }
    }
    expanded
}
