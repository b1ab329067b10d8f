//! OCI layouts (image-spec image-layout.md) and directories of blobs.

use crate::{Document, PullError, Source, read_limited};
use oci::Digest;
use oci::image::{Descriptor, Index, media_type};
use std::io::Read;
use std::path::{Path, PathBuf};

/// An OCI layout on disk.
#[derive(Debug)]
struct Layout {
    root: PathBuf,
    chosen: Descriptor,
}

/// Opens an OCI layout; without a name it must hold one image.
pub fn open_layout(path: &Path, name: Option<&str>) -> Result<Box<dyn Source>, PullError> {
    let index_path = path.join("index.json");
    let bytes = read_limited(open(&index_path)?, &index_path.to_string_lossy())?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|e| PullError::invalid(index_path.to_string_lossy(), e.to_string()))?;
    let chosen = choose(&index, name, &path.to_string_lossy())?;
    Ok(Box::new(Layout { root: path.to_owned(), chosen }))
}

/// Chooses an image of an index by the name in its annotation.
pub(crate) fn choose(index: &Index, name: Option<&str>, place: &str) -> Result<Descriptor, PullError> {
    let names = |d: &Descriptor| d.annotations.get("org.opencontainers.image.ref.name").cloned();
    let found = match name {
        Some(name) => index.manifests.iter().find(|d| names(d).is_some_and(|known| known == name || known.ends_with(&format!(":{name}")))),
        // Several names of the same image are one image.
        None => index.manifests.first().filter(|first| index.manifests.iter().all(|d| d.digest == first.digest)),
    };
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = index.manifests.iter().filter_map(names).collect();
        PullError::invalid(place, format!("it has no image {:?}; there are: {}", name.unwrap_or(""), known.join(", ")))
    })
}

fn open(path: &Path) -> Result<std::fs::File, PullError> {
    std::fs::File::open(path).map_err(|source| PullError::Io { path: path.to_owned(), source })
}

impl Source for Layout {
    fn manifest(&self, digest: Option<&Digest>) -> Result<Document, PullError> {
        let digest = digest.unwrap_or(&self.chosen.digest);
        let path = self.root.join("blobs/sha256").join(digest.hex());
        let media = if *digest == self.chosen.digest { self.chosen.media_type.clone() } else { String::new() };
        let document = Document::new(read_limited(open(&path)?, &path.to_string_lossy())?, media);
        if document.digest != *digest {
            return Err(PullError::invalid(path.to_string_lossy(), format!("it has digest {}", document.digest)));
        }
        Ok(document)
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, PullError> {
        Ok(Box::new(open(&self.root.join("blobs/sha256").join(descriptor.digest.hex()))?))
    }

    fn name(&self) -> String {
        format!("oci:{}", self.root.display())
    }
}

/// A directory as `dir:` has it: `manifest.json` and blobs by their digits.
#[derive(Debug)]
struct Directory {
    root: PathBuf,
}

/// Opens a directory of blobs.
pub fn open_directory(path: &Path) -> Result<Box<dyn Source>, PullError> {
    open(&path.join("manifest.json"))?;
    Ok(Box::new(Directory { root: path.to_owned() }))
}

impl Source for Directory {
    fn manifest(&self, digest: Option<&Digest>) -> Result<Document, PullError> {
        let path = match digest {
            Some(digest) => self.root.join(format!("{}.manifest.json", digest.hex())),
            None => self.root.join("manifest.json"),
        };
        Ok(Document::new(read_limited(open(&path)?, &path.to_string_lossy())?, media_type::OCI_MANIFEST.to_owned()))
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, PullError> {
        Ok(Box::new(open(&self.root.join(descriptor.digest.hex()))?))
    }

    fn name(&self) -> String {
        format!("dir:{}", self.root.display())
    }
}
