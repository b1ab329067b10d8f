//! Records of layers.

use crate::{Store, StoreError, record};
use oci::Digest;
use serde::{Deserialize, Serialize};

/// A layer of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Format version.
    pub version: u32,
    /// Digest of its tar.
    pub diff_id: Digest,
    /// Digest of the blob it came as.
    pub blob: Digest,
    /// Size of that blob.
    pub blob_size: u64,
    /// Size of its tar.
    pub size: u64,
    /// Device nodes left out, because a user may not make them.
    #[serde(default)]
    pub skipped_devices: u64,
}

impl Store {
    /// Tells whether a layer is there.
    pub fn has_layer(&self, diff_id: &Digest) -> bool {
        self.layer_dir(diff_id).join("layer.json").exists()
    }

    /// Reads the record of a layer.
    pub fn layer(&self, diff_id: &Digest) -> Result<LayerRecord, StoreError> {
        record::load(&self.layer_dir(diff_id).join("layer.json"))?.ok_or_else(|| StoreError::NoLayer { diff_id: diff_id.clone() })
    }

    /// Returns the diff ids of all layers.
    pub fn layers(&self) -> Vec<Digest> {
        let entries = std::fs::read_dir(self.path().join("layers"));
        entries.into_iter().flatten().flatten().filter_map(|entry| Digest::from_hex(entry.file_name().to_str()?).ok()).collect()
    }

    /// Deletes a layer: out of its place by a rename first.
    pub fn remove_layer(&self, diff_id: &Digest) -> Result<(), StoreError> {
        let staged = crate::Staged::new(self)?;
        let dir = self.layer_dir(diff_id);
        match std::fs::rename(&dir, staged.path().join("layer")) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(StoreError::io("removing", dir, e)),
        }
    }
}
