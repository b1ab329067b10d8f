//! Volumes: directories that outlive containers.

use crate::{Store, StoreError, record};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};
use spec::Name;
use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Format version.
    pub version: u32,
    /// Name.
    pub name: Name,
    /// When it was made, in nanoseconds since 1970.
    pub created: u128,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Made for one container, without a name of the user's.
    #[serde(default)]
    pub anonymous: bool,
    /// What the image has at its place was copied into it, or it was used.
    #[serde(default)]
    pub filled: bool,
}

impl Store {
    /// Makes a volume; `false` if there is one of this name.
    pub fn create_volume(&self, volume: &VolumeRecord) -> Result<bool, StoreError> {
        let dir = self.volume_dir(&volume.name);
        if dir.join("volume.json").exists() {
            return Ok(false);
        }
        let staged = crate::Staged::new(self)?;
        let fresh = staged.path().join("volume");
        for path in [&fresh, &fresh.join("_data")] {
            std::fs::create_dir(path).map_err(|e| StoreError::io("making", path, e))?;
        }
        rustix::fs::chmod(fresh.join("_data"), Mode::from_raw_mode(0o755)).map_err(|e| StoreError::io("making", &fresh, e))?;
        record::save(&fresh.join("volume.json"), volume)?;
        match std::fs::rename(&fresh, &dir) {
            Ok(()) => Ok(true),
            Err(_) if dir.join("volume.json").exists() => Ok(false),
            Err(e) => Err(StoreError::io("making", dir, e)),
        }
    }

    /// Reads a volume.
    pub fn volume(&self, name: &Name) -> Result<Option<VolumeRecord>, StoreError> {
        record::load(&self.volume_dir(name).join("volume.json"))
    }

    /// Reads all volumes, by name.
    pub fn volumes(&self) -> Result<Vec<VolumeRecord>, StoreError> {
        let entries = std::fs::read_dir(self.path().join("volumes")).into_iter().flatten().flatten();
        let mut volumes: Vec<VolumeRecord> = entries
            .filter_map(|entry| Name::parse(entry.file_name().to_str()?).ok())
            .filter_map(|name| self.volume(&name).ok().flatten())
            .collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// Saves a changed record.
    pub fn save_volume(&self, volume: &VolumeRecord) -> Result<(), StoreError> {
        record::save(&self.volume_dir(&volume.name).join("volume.json"), volume)
    }

    /// Deletes a volume with all that is in it; must run where its ids can be deleted.
    pub fn remove_volume(&self, name: &Name) -> Result<(), StoreError> {
        let staged = crate::Staged::new(self)?;
        let dir = self.volume_dir(name);
        match std::fs::rename(&dir, staged.path().join("volume")) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(StoreError::io("removing", dir, e)),
        }
        Ok(())
    }

    /// Directory with the content of a volume.
    pub fn volume_data(&self, name: &Name) -> PathBuf {
        self.volume_dir(name).join("_data")
    }

    fn volume_dir(&self, name: &Name) -> PathBuf {
        self.path().join("volumes").join(name.as_str())
    }

    /// Fills an empty volume with what the image has at its place. What lies there is found inside the root and
    /// nowhere else; links are copied as links (docker CVE-2015-3629).
    pub fn fill_volume(&self, name: &Name, root: BorrowedFd<'_>, target: &str) -> Result<(), StoreError> {
        let data = self.volume_data(name);
        let io = |e: rustix::io::Errno| StoreError::io("filling", &data, e);
        let to = rustix::fs::open(&data, crate::ingest::DIRECTORY, Mode::empty()).map_err(io)?;
        let is_empty =
            rustix::fs::Dir::read_from(&to).map_err(io)?.flatten().all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."));
        if !is_empty {
            return Ok(());
        }
        let resolve = rustix::fs::ResolveFlags::IN_ROOT | rustix::fs::ResolveFlags::NO_MAGICLINKS;
        let from = match rustix::fs::openat2(root, target, crate::ingest::DIRECTORY, Mode::empty(), resolve) {
            Ok(from) => from,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(()),
            Err(e) => return Err(io(e)),
        };
        copy_tree(&from, &to).map_err(io)
    }
}

/// Copies a directory into another: owners, modes, times, links as links.
pub fn copy_tree(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    let names: Vec<_> =
        rustix::fs::Dir::read_from(from)?.map(|entry| entry.map(|entry| entry.file_name().to_owned())).collect::<Result<_, _>>()?;
    for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let (uid, gid) = (Some(rustix::fs::Uid::from_raw(stat.st_uid)), Some(rustix::fs::Gid::from_raw(stat.st_gid)));
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let flags = crate::ingest::DIRECTORY | OFlags::NOFOLLOW;
                copy_tree(&rustix::fs::openat(from, name, flags, Mode::empty())?, &rustix::fs::openat(to, name, flags, Mode::empty())?)?;
                continue;
            }
            FileType::RegularFile => {
                let mut source = std::fs::File::from(rustix::fs::openat(
                    from,
                    name,
                    OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )?);
                let target = rustix::fs::openat(
                    to,
                    name,
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC,
                    Mode::RUSR | Mode::WUSR,
                )?;
                let mut target = std::fs::File::from(target);
                std::io::copy(&mut source, &mut target)
                    .map_err(|e| rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO))?;
                rustix::fs::fchown(&target, uid, gid)?;
                rustix::fs::fchmod(&target, mode)?;
            }
            FileType::Symlink => rustix::fs::symlinkat(rustix::fs::readlinkat(from, name, Vec::new())?, to, name)?,
            FileType::Fifo | FileType::Socket => rustix::fs::mknodat(to, name, kind, mode, 0)?,
            _ => continue,
        }
        rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        if kind == FileType::RegularFile {
            rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
        }
        let time = rustix::fs::Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as i64 };
        rustix::fs::utimensat(to, name, &rustix::fs::Timestamps { last_access: time, last_modification: time }, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let stat = rustix::fs::fstat(from)?;
    rustix::fs::fchown(to, Some(rustix::fs::Uid::from_raw(stat.st_uid)), Some(rustix::fs::Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))
}
