//! The root file system of a container: made, mounted, its working directory put in.

use crate::container::ContainerRecord;
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use crate::volume::store_error;
use oci::runtime::Config;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Makes a working directory that is not there, inside the root and nowhere else (podman CVE-2026-55686).
pub(crate) fn make_workdir(root: BorrowedFd<'_>, config: &Config, record: &ContainerRecord) -> Result<()> {
    let Some(process) = &config.process else { return Ok(()) };
    // What lies below a mount is not seen yet; the mount brings its own directories, or the runtime makes them.
    let below_mount = config.mounts.iter().any(|m| m.destination != "/" && Path::new(&process.cwd).starts_with(&m.destination));
    if process.cwd == "/" || below_mount {
        return Ok(());
    }
    let owner =
        |maps: Option<&Vec<spec::container::IdMap>>| maps.and_then(|maps| maps.iter().find(|m| m.container == 0)).map_or(0, |m| m.host);
    let uid = owner(record.id_maps.as_ref().map(|maps| &maps.uid));
    let gid = owner(record.id_maps.as_ref().map(|maps| &maps.gid));
    make_directories(root, &process.cwd, uid, gid)
}

/// `mkdir -p` inside a root.
pub(crate) fn make_directories(root: BorrowedFd<'_>, path: &str, uid: u32, gid: u32) -> Result<()> {
    let doing = |e: rustix::io::Errno| Error::io(format!("making directory {path:?} in the container"), e);
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let open = |path: &str| rustix::fs::openat2(root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), resolve);
    let mut so_far = String::from("/");
    let mut parent: OwnedFd = open("/").map_err(doing)?;
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(Error::new(ErrorKind::InvalidInput, format!("making directory {path:?} in the container: it has \"..\" in it")));
        }
        if so_far.len() > 1 {
            so_far.push('/');
        }
        so_far.push_str(part);
        parent = match open(&so_far) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT) => {
                match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
                    Ok(()) => {
                        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
                        rustix::fs::chownat(&parent, part, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(doing)?;
                    }
                    Err(rustix::io::Errno::EXIST) => {}
                    Err(e) => return Err(doing(e)),
                }
                open(&so_far).map_err(doing)?
            }
            Err(e) => return Err(doing(e)),
        };
    }
    Ok(())
}

/// Tries whether an overlay can be mounted on a file system, and leaves nothing.
pub(crate) fn try_overlay(place: &Path) -> std::io::Result<()> {
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    };
    let dir = place.join(format!("overlay-try-{}", std::process::id()));
    let result = (|| {
        for name in ["lower", "upper", "work"] {
            std::fs::create_dir_all(dir.join(name))?;
        }
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        if !crate::namespace::is_real_root() {
            fsconfig_set_flag(&fs, "userxattr")?;
        }
        for (key, name) in [("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")] {
            fsconfig_set_string(&fs, key, dir.join(name))?;
        }
        fsconfig_create(&fs)?;
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        Ok(())
    })();
    let _ = files::remove_tree(&dir);
    result
}

/// Mounts the root file system of a container, detached; its upper directory is made the first time.
pub(crate) fn mount(engine: &Engine, record: &ContainerRecord) -> Result<OwnedFd> {
    let Some(image) = &record.image else { return clone_directory(&record.spec.image) };
    let store = engine.store();
    let dir = engine.paths.container(&record.id);
    let options =
        storage::RootOptions { read_only: false, volatile: record.spec.remove, label: record.mount_label.clone(), shift: shift_of(record) };
    store.create_root(&dir, &image.layers, options.shift.as_ref()).map_err(store_error)?;
    store.mount_root(Some(&dir), &image.layers, &options).map_err(|error| {
        let refused = matches!(&error, storage::StoreError::Io { source, .. } if source.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()));
        let error = store_error(error);
        if refused {
            error.while_doing("the file system of the store must have d_type and extended attributes (ext4, xfs, btrfs, tmpfs)").with_cure(Cure::Doctor)
        } else {
            error
        }
    })
}

/// The id map of a container as the store shifts by it.
pub(crate) fn shift_of(record: &ContainerRecord) -> Option<storage::IdShift> {
    let triples = |maps: &[spec::container::IdMap]| maps.iter().map(|m| (m.container, m.host, m.size)).collect();
    record.id_maps.as_ref().map(|maps| storage::IdShift { uid: triples(&maps.uid), gid: triples(&maps.gid) })
}

/// `--rootfs`: the directory itself, with everything mounted below it.
fn clone_directory(path: &str) -> Result<OwnedFd> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(rustix::fs::CWD, path, flags).map_err(|e| Error::io(format!("opening root file system {path:?}"), e))
}
