//! Images from somewhere else: registries over HTTP, OCI layouts, archives, directories.
//!
//! A [`Source`] hands out documents and blobs; [`resolve`] walks from an index to the one image wanted and checks
//! everything on the way. Blobs are streams: whoever reads them verifies them.

#![forbid(unsafe_code)]

mod archives;
mod client;
mod layout;
mod resolve;

pub use archives::open_archive;
pub use client::{ClientOptions, Registry};
pub use layout::{open_directory, open_layout};
pub use resolve::{ResolvedImage, choose_platform, resolve};

use oci::image::Descriptor;
use oci::{Digest, Reference};
use std::io::Read;
use std::path::PathBuf;

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// At a registry.
    Docker(Reference),
    /// In an OCI layout.
    OciDir {
        /// Directory.
        path: PathBuf,
        /// Which of its images.
        name: Option<String>,
    },
    /// In an OCI layout in a tar archive.
    OciArchive {
        /// File.
        path: PathBuf,
        /// Which of its images.
        name: Option<String>,
    },
    /// In an archive as `docker save` writes it.
    DockerArchive {
        /// File.
        path: PathBuf,
        /// Which of its images.
        name: Option<String>,
    },
    /// In a directory of blobs.
    Dir(PathBuf),
}

impl Location {
    /// Reads `transport:…`; `None` when no transport of ours is named.
    pub fn parse(text: &str) -> Option<Result<Self, PullError>> {
        let (transport, rest) = text.split_once(':')?;
        let with_name = |rest: &str| match rest.split_once(':') {
            Some((path, name)) => (PathBuf::from(path), Some(name.to_owned()).filter(|name| !name.is_empty())),
            None => (PathBuf::from(rest), None),
        };
        let (path, name) = with_name(rest);
        Some(Ok(match transport {
            "docker" => match Reference::parse(rest.strip_prefix("//")?) {
                Ok(reference) => Self::Docker(reference),
                Err(e) => return Some(Err(PullError::Reference(e))),
            },
            "oci" => Self::OciDir { path, name },
            "oci-archive" => Self::OciArchive { path, name },
            "docker-archive" => Self::DockerArchive { path, name },
            "dir" => Self::Dir(PathBuf::from(rest)),
            _ => return None,
        }))
    }
}

/// A document of an image: index, manifest or configuration.
#[derive(Debug, Clone)]
pub struct Document {
    /// The bytes, as they came.
    pub bytes: Vec<u8>,
    /// Media type.
    pub media_type: String,
    /// Digest of the bytes.
    pub digest: Digest,
}

impl Document {
    /// Takes bytes and computes their digest.
    pub fn new(bytes: Vec<u8>, media_type: String) -> Self {
        use sha2::Digest as _;
        let digest = Digest::from_sha256(&sha2::Sha256::digest(&bytes).into());
        Self { bytes, media_type, digest }
    }
}

/// Something images can be had from.
pub trait Source: Send + Sync {
    /// Fetches the index or manifest: the one asked for by name, or by digest.
    fn manifest(&self, digest: Option<&Digest>) -> Result<Document, PullError>;
    /// Opens a blob.
    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, PullError>;
    /// Its name, for messages.
    fn name(&self) -> String;
}

/// Larger documents are refused (threat B08).
pub const DOCUMENT_LIMIT: u64 = 4 << 20;

/// Why an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The name is none.
    #[error(transparent)]
    Reference(oci::ReferenceError),
    /// The registry cannot be reached.
    #[error("reaching registry {registry}: {why}")]
    Unreachable {
        /// Which.
        registry: String,
        /// Why.
        why: String,
    },
    /// Its certificate is not trusted, or it does not speak TLS.
    #[error("reaching registry {registry}: {why}")]
    Tls {
        /// Which.
        registry: String,
        /// Why.
        why: String,
    },
    /// It wants to know who we are, or does not let us.
    #[error("reading {what} from {registry}: unauthorized: authentication required")]
    Unauthorized {
        /// Which.
        registry: String,
        /// What was read.
        what: String,
    },
    /// It does not have it.
    #[error("reading {what} from {registry}: manifest unknown")]
    NotFound {
        /// Which.
        registry: String,
        /// What was read.
        what: String,
    },
    /// It answered with something else.
    #[error("reading {what} from {registry}: the registry answered {status}")]
    Status {
        /// Which.
        registry: String,
        /// What was read.
        what: String,
        /// HTTP status.
        status: u16,
    },
    /// What came is not what was named, or not what we accept.
    #[error("{what}: {why}")]
    Invalid {
        /// What came.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// No image for the platform.
    #[error("no image found in image index for architecture {architecture:?}, OS {os:?}: it has {offered}")]
    NoPlatform {
        /// Wanted.
        architecture: String,
        /// Wanted.
        os: String,
        /// What there is.
        offered: String,
    },
    /// A file cannot be read.
    #[error("reading {path:?}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl PullError {
    pub(crate) fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), why: why.into() }
    }

    /// Tells whether another place may have what this one has not.
    pub fn is_worth_another_place(&self) -> bool {
        !matches!(self, Self::Reference(_) | Self::NoPlatform { .. })
    }
}

/// Reads a stream up to a limit.
pub(crate) fn read_limited(reader: impl Read, what: &str) -> Result<Vec<u8>, PullError> {
    let mut bytes = Vec::new();
    reader.take(DOCUMENT_LIMIT + 1).read_to_end(&mut bytes).map_err(|e| PullError::invalid(what, e.to_string()))?;
    if bytes.len() as u64 > DOCUMENT_LIMIT {
        return Err(PullError::invalid(what, format!("it is larger than {DOCUMENT_LIMIT} bytes")));
    }
    Ok(bytes)
}
