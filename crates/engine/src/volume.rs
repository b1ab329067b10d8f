//! Volumes of containers: made with them, filled when first used, gone with them when they have no name.

use crate::container::ContainerRecord;
use crate::container::record::VolumeUse;
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use crate::plan::Facts;
use crate::{host, namespace};
use oci::runtime::Config;
use rustix::fs::OFlags;
use spec::Name;
use spec::mount::{MountOptions, MountSource};
use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use storage::volume::VolumeRecord;

/// A volume without a name, for one place.
pub fn anonymous(target: &str) -> VolumeUse {
    let id = spec::ContainerId::from_random(&host::random());
    VolumeUse { name: Name::parse(id.as_str()).expect("64 hexadecimal digits are a name"), target: target.to_owned(), anonymous: true }
}

/// Names of the volumes of a container.
pub fn names_of(record: &ContainerRecord) -> Vec<String> {
    record.volumes.iter().map(|volume| volume.name.to_string()).collect()
}

/// Makes the volumes of a container that are not there.
pub fn make_for(engine: &Engine, record: &ContainerRecord) -> Result<()> {
    if record.volumes.is_empty() {
        return Ok(());
    }
    let store = engine.store();
    store.prepare().map_err(store_error)?;
    for volume in &record.volumes {
        let wanted = VolumeRecord {
            version: 1,
            name: volume.name.clone(),
            created: host::now(),
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            anonymous: volume.anonymous,
            filled: false,
        };
        store.create_volume(&wanted).map_err(store_error)?;
    }
    Ok(())
}

/// Removes the anonymous volumes of a container. What cannot be removed is left for `volume prune`.
pub fn unmake_for(engine: &Engine, record: &ContainerRecord) {
    let anonymous: Vec<&VolumeUse> = record.volumes.iter().filter(|volume| volume.anonymous).collect();
    if anonymous.is_empty() {
        return;
    }
    let store = engine.store();
    let _ = namespace::inside(engine, || {
        for volume in &anonymous {
            store.remove_volume(&volume.name).map_err(store_error)?;
        }
        Ok(())
    });
}

/// Looks up the directories of volumes, and fills those that are new with what the image has there.
pub(crate) fn prepare(engine: &Engine, record: &ContainerRecord, root: BorrowedFd<'_>, facts: &mut Facts) -> Result<()> {
    let store = engine.store();
    for volume in &record.volumes {
        let Some(mut known) = store.volume(&volume.name).map_err(store_error)? else {
            return Err(Error::new(ErrorKind::NotFound, format!("no volume with name {:?} found: no such volume", volume.name.as_str())));
        };
        let wish = record.spec.mounts.iter().find(|m| crate::plan::mounts::same_place(&m.target, &volume.target));
        let copies = wish.is_none_or(|wish| wish.options.copy != Some(false) && wish.options.subpath.is_none());
        if !known.filled {
            if copies {
                store.fill_volume(&volume.name, root, &volume.target).map_err(store_error)?;
            }
            known.filled = true;
            store.save_volume(&known).map_err(store_error)?;
        }
        facts.volumes.insert(volume.name.to_string(), store.volume_data(&volume.name).to_string_lossy().into_owned());
    }
    for wish in record.spec.mounts.iter().filter(|wish| wish.options.chown) {
        let path = match &wish.source {
            MountSource::Bind { path, .. } => path.clone(),
            MountSource::Volume(name) => store.volume_data(name).to_string_lossy().into_owned(),
            _ => continue,
        };
        chown_tree(record, &path, facts)?;
    }
    Ok(())
}

/// `U`: everything there belongs to the container's user. Links are not followed.
fn chown_tree(record: &ContainerRecord, path: &str, facts: &Facts) -> Result<()> {
    let outside = |maps: Option<&Vec<spec::container::IdMap>>, id: u32| match maps {
        Some(maps) => maps.iter().find(|m| id >= m.container && id - m.container < m.size).map_or(id, |m| m.host + (id - m.container)),
        None => id,
    };
    let uid = outside(record.id_maps.as_ref().map(|maps| &maps.uid), facts.user.uid);
    let gid = outside(record.id_maps.as_ref().map(|maps| &maps.gid), facts.user.gid);
    let doing = |e: rustix::io::Errno| Error::io(format!("changing the owner of {path:?}"), e);
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::chownat(rustix::fs::CWD, path, Some(uid), Some(gid), rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map_err(doing)?;
    match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
        Ok(dir) => chown_below(&dir, uid, gid).map_err(doing),
        Err(rustix::io::Errno::NOTDIR) => Ok(()),
        Err(e) => Err(doing(e)),
    }
}

fn chown_below(dir: &OwnedFd, uid: rustix::fs::Uid, gid: rustix::fs::Gid) -> rustix::io::Result<()> {
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, name, flags, rustix::fs::Mode::empty()) {
            Ok(child) => chown_below(&child, uid, gid)?,
            Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Trees that stand in for a source: images, parts of volumes, throw-away overlays.
pub(crate) fn trees(engine: &Engine, record: &ContainerRecord, config: &Config) -> Result<BTreeMap<usize, OwnedFd>> {
    let mut trees = BTreeMap::new();
    for wish in &record.spec.mounts {
        let Some(index) = config.mounts.iter().position(|m| m.destination == wish.target) else { continue };
        let tree = match &wish.source {
            MountSource::Image(image) => Some(image_tree(engine, image, &wish.options)?),
            MountSource::Volume(name) if wish.options.subpath.is_some() => {
                Some(subtree(&engine.store().volume_data(name).to_string_lossy(), &wish.options, !wish.options.non_recursive)?)
            }
            MountSource::Bind { path, .. } if wish.options.subpath.is_some() => Some(subtree(path, &wish.options, true)?),
            MountSource::Bind { path, .. } if wish.options.overlay.is_some() => {
                Some(throw_away(engine, record, index, path, &wish.options)?)
            }
            MountSource::Volume(name) if wish.options.overlay.is_some() => {
                Some(throw_away(engine, record, index, &engine.store().volume_data(name).to_string_lossy(), &wish.options)?)
            }
            _ => None,
        };
        if let Some(tree) = tree {
            trees.insert(index, tree);
        }
        if wish.options.idmap.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("mounting at {:?}: id-mapped mounts are not supported yet", wish.target),
            ));
        }
    }
    Ok(trees)
}

fn image_tree(engine: &Engine, image: &str, options: &MountOptions) -> Result<OwnedFd> {
    let store = engine.store();
    let found = store.find_image(image).map_err(store_error)?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("mounting image {image:?}: no such image"))
            .with_cure(Cure::PullImage { image: image.to_owned() })
    })?;
    let root = storage::RootOptions { read_only: true, ..Default::default() };
    let tree = store.mount_root(None, &found.layers, &root).map_err(store_error)?;
    match &options.subpath {
        Some(subpath) => clone_below(&tree, subpath, true),
        None => Ok(tree),
    }
}

fn subtree(path: &str, options: &MountOptions, recursive: bool) -> Result<OwnedFd> {
    let root = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, rustix::fs::Mode::empty())
        .map_err(|e| Error::io(format!("opening {path:?}"), e))?;
    clone_below(&root, options.subpath.as_deref().unwrap_or("."), recursive)
}

/// A part of a tree: resolved inside it by descriptor, so that a link in a volume leads nowhere else.
fn clone_below(root: &OwnedFd, subpath: &str, recursive: bool) -> Result<OwnedFd> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let doing = |e: rustix::io::Errno| Error::io(format!("opening subpath {subpath:?}"), e);
    let resolve = rustix::fs::ResolveFlags::BENEATH | rustix::fs::ResolveFlags::NO_MAGICLINKS;
    let part =
        rustix::fs::openat2(root, subpath.trim_start_matches('/'), OFlags::PATH | OFlags::CLOEXEC, rustix::fs::Mode::empty(), resolve)
            .map_err(doing)?;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(&part, "", flags).map_err(doing)
}

/// `O`: an overlay over the source whose changes go with the container, or into directories the user gave.
fn throw_away(engine: &Engine, record: &ContainerRecord, index: usize, source: &str, options: &MountOptions) -> Result<OwnedFd> {
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    };
    let own = engine.paths.container(&record.id).join(format!("overlay-{index}"));
    let overlay = options.overlay.clone().unwrap_or_default();
    let (upper, work) = match (overlay.upper, overlay.work) {
        (Some(upper), Some(work)) => (upper, work),
        (None, None) => {
            for name in ["upper", "work"] {
                std::fs::create_dir_all(own.join(name)).map_err(|e| Error::io(format!("making an overlay over {source:?}"), e))?;
            }
            (own.join("upper").to_string_lossy().into_owned(), own.join("work").to_string_lossy().into_owned())
        }
        _ => return Err(Error::new(ErrorKind::InvalidInput, "upperdir and workdir must be given together")),
    };
    let doing = |e: rustix::io::Errno| Error::io(format!("mounting an overlay over {source:?}"), e);
    let open =
        |path: &str| rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, rustix::fs::Mode::empty()).map_err(doing);
    let by_fd = |fd: &OwnedFd| format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(fd));
    let (lower, upper, work) = (open(source)?, open(&upper)?, open(&work)?);
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(doing)?;
    if !namespace::is_real_root() {
        fsconfig_set_flag(&fs, "userxattr").map_err(doing)?;
    }
    for (key, dir) in [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)] {
        fsconfig_set_string(&fs, key, by_fd(dir)).map_err(doing)?;
    }
    fsconfig_create(&fs).map_err(doing)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(doing)
}

/// Makes an engine error of a store error; the kind follows the cause.
pub(crate) fn store_error(error: storage::StoreError) -> Error {
    let kind = match &error {
        storage::StoreError::Io { source, .. } if matches!(source.kind(), std::io::ErrorKind::StorageFull) => ErrorKind::Unavailable,
        storage::StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => ErrorKind::NotPermitted,
        storage::StoreError::Ambiguous { .. } | storage::StoreError::Mismatch { .. } => ErrorKind::InvalidInput,
        storage::StoreError::NoLayer { .. } => ErrorKind::NotFound,
        _ => ErrorKind::Internal,
    };
    Error::because(kind, "working on the store", error)
}

/// Makes a volume a user asked for.
pub fn create(engine: &Engine, name: &Name, labels: BTreeMap<String, String>, ignore_existing: bool) -> Result<()> {
    let store = engine.store();
    store.prepare().map_err(store_error)?;
    let volume = VolumeRecord {
        version: 1,
        name: name.clone(),
        created: host::now(),
        labels,
        options: BTreeMap::new(),
        anonymous: false,
        filled: false,
    };
    if !store.create_volume(&volume).map_err(store_error)? && !ignore_existing {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("volume with name {:?} already exists: volume already exists", name.as_str()),
        ));
    }
    Ok(())
}

/// Finds a volume by its name, or a unique beginning of it.
pub fn find(engine: &Engine, typed: &str) -> Result<VolumeRecord> {
    let missing = || Error::new(ErrorKind::NotFound, format!("no volume with name {typed:?} found: no such volume"));
    let name = Name::parse(typed).map_err(|_| missing())?;
    if let Some(volume) = engine.store().volume(&name).map_err(store_error)? {
        return Ok(volume);
    }
    let mut fitting = engine.store().volumes().map_err(store_error)?.into_iter().filter(|volume| volume.name.as_str().starts_with(typed));
    match (fitting.next(), fitting.next()) {
        (Some(volume), None) => Ok(volume),
        (Some(_), Some(_)) => {
            Err(Error::new(ErrorKind::InvalidInput, format!("more than one result for volume name {typed}: a longer one is needed")))
        }
        _ => Err(missing()),
    }
}

/// Volumes that containers use, with the names of those.
pub fn used(engine: &Engine) -> Result<BTreeMap<String, Vec<String>>> {
    let mut used: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in crate::container::find::all(engine)? {
        for volume in &record.volumes {
            used.entry(volume.name.to_string()).or_default().push(record.name.to_string());
        }
    }
    Ok(used)
}

/// Removes a volume; with `force` the containers that use it go first.
pub fn remove(engine: &Engine, typed: &str, force: bool, timeout: Option<u64>) -> Result<()> {
    let volume = find(engine, typed)?;
    let users = used(engine)?.remove(volume.name.as_str()).unwrap_or_default();
    if !users.is_empty() && !force {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("volume {} is being used by the following container(s): {}: volume is being used", volume.name, users.join(", ")),
        )
        .with_cure(Cure::InUseBy { containers: users }));
    }
    for user in users {
        let record = crate::container::find::find(engine, &user)?;
        crate::container::remove::remove(
            engine,
            &record,
            crate::container::remove::RemoveOptions { force: true, volumes: false, timeout },
        )?;
    }
    let store = engine.store();
    namespace::inside(engine, || store.remove_volume(&volume.name).map_err(store_error))
}

/// Removes every volume no container uses.
pub fn prune(engine: &Engine) -> Result<Vec<String>> {
    let used = used(engine)?;
    let mut gone = Vec::new();
    for volume in engine.store().volumes().map_err(store_error)? {
        if !used.contains_key(volume.name.as_str()) {
            remove(engine, volume.name.as_str(), false, None)?;
            gone.push(volume.name.to_string());
        }
    }
    Ok(gone)
}
