//! Layers for other id maps: copies whose owners are shifted, made once for a layer and a map, by reflink where
//! the file system can.

use crate::root::IdShift;
use crate::{Staged, Store, StoreError};
use oci::Digest;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

impl Store {
    /// Returns the directory of a layer with shifted owners; made when it is not there.
    pub fn shift_layer(&self, layer: &Digest, shift: &IdShift) -> Result<PathBuf, StoreError> {
        let key = format!("{:?}", shift);
        let name = Digest::from_sha256(&Sha256::digest(key.as_bytes()).into()).short().to_owned();
        let target = self.layer_dir(layer).join(format!("shifted-{name}"));
        if target.exists() {
            return Ok(target);
        }
        let staged = Staged::new(self)?;
        let fresh = staged.path().join("diff");
        std::fs::create_dir(&fresh).map_err(|e| StoreError::io("making", &fresh, e))?;
        let source = self.layer_dir(layer).join("diff");
        let open = |path: &PathBuf| {
            rustix::fs::open(path, crate::ingest::DIRECTORY, Mode::empty()).map_err(|e| StoreError::io("opening", path, e))
        };
        let mut copy = Copy { shift, links: HashMap::new(), target_root: open(&fresh)? };
        copy.directory(&open(&source)?, &open(&fresh)?, b"").map_err(|e| StoreError::io("shifting the owners of", &source, e))?;
        match std::fs::rename(&fresh, &target) {
            Ok(()) => Ok(target),
            Err(_) if target.exists() => Ok(target),
            Err(e) => Err(StoreError::io("storing", target, e)),
        }
    }
}

struct Copy<'a> {
    shift: &'a IdShift,
    /// Files with several names: where the first of them is.
    links: HashMap<u64, Vec<u8>>,
    target_root: OwnedFd,
}

impl Copy<'_> {
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, at: &[u8]) -> rustix::io::Result<()> {
        let names: Vec<CString> =
            rustix::fs::Dir::read_from(from)?.map(|entry| entry.map(|entry| entry.file_name().to_owned())).collect::<Result<_, _>>()?;
        for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
            let path = [at, if at.is_empty() { b"" } else { b"/" }, name.to_bytes()].concat();
            self.entry(from, to, name, path)?;
        }
        let stat = rustix::fs::fstat(from)?;
        copy_attributes(from, to)?;
        let (uid, gid) = self.owner(&stat)?;
        rustix::fs::fchown(to, Some(uid), Some(gid))?;
        rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
        rustix::fs::futimens(to, &times(&stat))
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CString, path: Vec<u8>) -> rustix::io::Result<()> {
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Directory && stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&stat.st_ino) {
                return rustix::fs::linkat(&self.target_root, first.as_slice(), to, name, AtFlags::empty());
            }
            self.links.insert(stat.st_ino, path.clone());
        }
        let (uid, gid) = self.owner(&stat)?;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let flags = crate::ingest::DIRECTORY | OFlags::NOFOLLOW;
                let (source, target) =
                    (rustix::fs::openat(from, name, flags, Mode::empty())?, rustix::fs::openat(to, name, flags, Mode::empty())?);
                return self.directory(&source, &target, &path);
            }
            FileType::RegularFile => {
                let source = rustix::fs::openat(from, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let target = rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
                copy_content(&source, &target)?;
                rustix::fs::fchown(&target, Some(uid), Some(gid))?;
                rustix::fs::fchmod(&target, mode)?;
                copy_attributes(&source, &target)?;
                return rustix::fs::futimens(&target, &times(&stat));
            }
            FileType::Symlink => rustix::fs::symlinkat(rustix::fs::readlinkat(from, name, Vec::new())?, to, name)?,
            _ => rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev)?,
        }
        if crate::diff::is_whiteout(&stat) {
            return Ok(());
        }
        rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        rustix::fs::utimensat(to, name, &times(&stat), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// An id of the image is an id inside; the file belongs to what it is outside.
    fn owner(&self, stat: &rustix::fs::Stat) -> rustix::io::Result<(Uid, Gid)> {
        let outside = |ranges: &[(u32, u32, u32)], id: u32| {
            ranges
                .iter()
                .find(|(inside, _, count)| id >= *inside && id - inside < *count)
                .map(|(inside, outside, _)| outside + (id - inside))
                .ok_or(rustix::io::Errno::OVERFLOW)
        };
        Ok((Uid::from_raw(outside(&self.shift.uid, stat.st_uid)?), Gid::from_raw(outside(&self.shift.gid, stat.st_gid)?)))
    }
}

fn copy_content(source: &OwnedFd, target: &OwnedFd) -> rustix::io::Result<()> {
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        return Ok(());
    }
    loop {
        match rustix::fs::copy_file_range(source, None, target, None, 1 << 30) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

fn copy_attributes(source: &OwnedFd, target: &OwnedFd) -> rustix::io::Result<()> {
    let mut names = vec![0u8; 64 << 10];
    let got = match rustix::fs::flistxattr(source, &mut names[..]) {
        Ok(got) => got,
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(e) => return Err(e),
    };
    for name in names[..got].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0u8; 64 << 10];
        if let Ok(got) = rustix::fs::fgetxattr(source, name, &mut value[..]) {
            let _ = rustix::fs::fsetxattr(target, name, &value[..got], XattrFlags::empty());
        }
    }
    Ok(())
}

fn times(stat: &rustix::fs::Stat) -> rustix::fs::Timestamps {
    let time = rustix::fs::Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as i64 };
    rustix::fs::Timestamps { last_access: time, last_modification: time }
}
