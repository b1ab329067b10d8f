//! Small JSON files: read with a size limit, written so that a reader sees the old or the new one.

use crate::error::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// No record of ours comes near this.
const LIMIT: u64 = 16 << 20;

/// Whether the bytes must be on disk before the name changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// They must: the file survives a power loss.
    Durable,
    /// They need not: the file is gone at reboot anyway, or can be made again.
    Fleeting,
}

/// Reads a record; `None` if there is no such file.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let doing = || format!("reading {:?}", path.display());
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(libc_nofollow()).open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(Error::io(doing(), e)),
    };
    let mut text = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut text).map_err(|e| Error::io(doing(), e))?;
    if text.len() as u64 > LIMIT {
        return Err(Error::new(ErrorKind::Internal, format!("{}: it is larger than any record", doing())));
    }
    serde_json::from_slice(&text).map(Some).map_err(|e| Error::because(ErrorKind::Internal, doing(), e))
}

/// Writes a record under a temporary name and renames it into place.
pub(crate) fn save<T: Serialize>(path: &Path, value: &T, durability: Durability) -> Result<()> {
    let text = serde_json::to_vec(value).map_err(|e| Error::because(ErrorKind::Internal, format!("writing {:?}", path.display()), e))?;
    save_bytes(path, &text, durability)
}

/// Writes bytes under a temporary name and renames it into place.
pub(crate) fn save_bytes(path: &Path, text: &[u8], durability: Durability) -> Result<()> {
    let doing = |e: std::io::Error| Error::io(format!("writing {:?}", path.display()), e);
    let temporary = path.with_extension(format!("new.{}", std::process::id()));
    let written = (|| -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(libc_nofollow())
            .open(&temporary)?;
        file.write_all(text)?;
        if durability == Durability::Durable {
            file.sync_data()?;
        }
        std::fs::rename(&temporary, path)?;
        if durability == Durability::Durable
            && let Some(parent) = path.parent()
        {
            std::fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    })();
    written.map_err(|e| {
        // The first error is the one that counts; a temporary that cannot be deleted is collected later.
        let _ = std::fs::remove_file(&temporary);
        doing(e)
    })
}

fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits() as i32
}
