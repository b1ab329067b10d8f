//! The store on disk: layers, images, names, container roots, volumes.
//!
//! ```text
//! $graphroot/blobs/sha256/<hex>          manifests and configurations, as they came
//!           /layers/<diffid>/diff/       a layer in overlay form
//!                           /layer.json  LayerRecord
//!                           /recipe.zst  what the layer's tar has beside the files, to rebuild it bit for bit
//!           /images/<id>.json            ImageRecord: layers, names, digests
//!           /volumes/<name>/_data        a volume, and its volume.json
//!           /containers/<id>/upper work  changes of a container
//!           /staging/                    what is being made; a finished thing is renamed out of it
//! ```
//! Nothing is visible before it is whole and verified, and nothing needs a lock to be read.

#![forbid(unsafe_code)]

mod diff;
mod image;
mod ingest;
mod layer;
mod recipe;
mod record;
mod root;
mod shift;
mod staging;
pub mod volume;
mod writer;

pub use diff::{Change, ChangeKind};
pub use image::{ImageRecord, NewImage};
pub use ingest::{IngestError, LayerSource};
pub use layer::LayerRecord;
pub use recipe::RecipeError;
pub use root::{IdShift, RootOptions};
pub use staging::Staged;

use std::io;
use std::path::{Path, PathBuf};

/// The store below one directory. Opening it reads nothing.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// Why the store cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of it cannot be read or written.
    #[error("{doing} {path:?}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A record of it is damaged.
    #[error("reading {path:?}: the record is damaged")]
    Record {
        /// Which.
        path: PathBuf,
        /// How.
        #[source]
        source: serde_json::Error,
    },
    /// A document does not fit to what it names.
    #[error("{what}")]
    Mismatch {
        /// What does not fit.
        what: String,
    },
    /// A prefix of an id fits several images.
    #[error("{typed:?} fits more than one image: a longer prefix is needed")]
    Ambiguous {
        /// What was typed.
        typed: String,
    },
    /// A layer of an image is not there.
    #[error("layer {diff_id} is not in the store")]
    NoLayer {
        /// Which.
        diff_id: oci::Digest,
    },
}

impl StoreError {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { doing, path: path.into(), source: source.into() }
    }
}

impl Store {
    /// Opens a store without touching anything.
    pub fn open(graph_root: &Path) -> Self {
        Self { root: graph_root.to_owned() }
    }

    /// Makes the directories of a new store.
    pub fn prepare(&self) -> Result<(), StoreError> {
        use std::os::unix::fs::DirBuilderExt;
        for name in ["blobs", "blobs/sha256", "layers", "images", "volumes", "containers", "staging"] {
            let path = self.root.join(name);
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(StoreError::io("making", path, e)),
            }
        }
        Ok(())
    }

    /// The directory of the store.
    pub fn path(&self) -> &Path {
        &self.root
    }

    pub(crate) fn layer_dir(&self, diff_id: &oci::Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    pub(crate) fn blob_path(&self, digest: &oci::Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }
}

/// Tells whether this process lives in a user namespace: overlay marks are `user.` attributes there.
pub(crate) fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let numbers: Vec<&str> = map.split_ascii_whitespace().collect();
    numbers != ["0", "0", "4294967295"]
}
