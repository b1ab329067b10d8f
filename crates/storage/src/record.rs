//! JSON files of the store: written whole, read strictly.

use crate::StoreError;
use serde::{Serialize, de::DeserializeOwned};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const LIMIT: u64 = 16 << 20;

/// Reads a record; `None` if it is not there.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    match read(path)? {
        Some(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| StoreError::Record { path: path.to_owned(), source }),
        None => Ok(None),
    }
}

/// Reads a file up to a limit; `None` if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StoreError::io("reading", path, e)),
    };
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(|e| StoreError::io("reading", path, e))?;
    Ok(Some(bytes))
}

/// Writes a record under a temporary name, syncs it, and renames it into place.
pub(crate) fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(value).map_err(|source| StoreError::Record { path: path.to_owned(), source })?;
    write(path, &bytes)
}

/// Writes a file under a temporary name, syncs it, and renames it into place.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_extension(format!("new.{}.{:?}", std::process::id(), std::thread::current().id()).replace(['(', ')'], ""));
    let result = (|| -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        std::fs::rename(&temporary, path)?;
        if let Some(parent) = path.parent() {
            std::fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    })();
    result.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        StoreError::io("writing", path, e)
    })
}
