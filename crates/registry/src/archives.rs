//! Images in tar archives: as `docker save` writes them, and OCI layouts.
//!
//! An archive is indexed once, by name and place; nothing of it is unpacked, and links in it are resolved among
//! its own members by name (c/image CVE-2024-3727).

use crate::layout::choose;
use crate::{DOCUMENT_LIMIT, Document, PullError, Source};
use archive::{Compression, Decoder, EntryKind, TarReader};
use oci::image::{Descriptor, ImageConfig, Index, Manifest, media_type};
use oci::{Digest, Reference};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// An image of an archive and the names it goes by.
pub type ArchivedImage = (Vec<Reference>, Box<dyn Source>);

/// Opens an archive and returns its images; `name` chooses one. A compressed archive is unpacked into a file in
/// `staging` first.
pub fn open_archive(path: &Path, name: Option<&str>, staging: &Path) -> Result<Vec<ArchivedImage>, PullError> {
    let io = |source| PullError::Io { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut start = [0u8; 512];
    let got = file.read(&mut start).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let invalid = |why: String| PullError::invalid(path.to_string_lossy(), why);
    let plain = match Compression::detect(&start[..got]).map_err(|e| invalid(e.to_string()))? {
        Compression::None => path.to_owned(),
        _ => {
            let unpacked = staging.join("archive.tar");
            let mut out = std::fs::File::create(&unpacked).map_err(io)?;
            let mut decoder = Decoder::new(BufReader::with_capacity(128 << 10, file)).map_err(|e| invalid(e.to_string()))?;
            std::io::copy(&mut decoder, &mut out).map_err(io)?;
            unpacked
        }
    };
    let members = Members::read(&plain)?;
    if members.places.contains_key("manifest.json") {
        docker_images(members, name)
    } else if members.places.contains_key("index.json") {
        oci_image(members, name)
    } else {
        Err(invalid(
            "it has neither manifest.json nor index.json: it is no image archive (a root file system is taken in by `import`)".to_owned(),
        ))
    }
}

#[derive(Debug, Clone)]
struct Members {
    path: PathBuf,
    /// Offset and size of each file.
    places: HashMap<String, (u64, u64)>,
    links: HashMap<String, String>,
}

impl Members {
    fn read(path: &Path) -> Result<Self, PullError> {
        let io = |source| PullError::Io { path: path.to_owned(), source };
        let invalid = |why: String| PullError::invalid(path.to_string_lossy(), why);
        let file = std::fs::File::open(path).map_err(io)?;
        let mut reader = TarReader::new(Counting { inner: BufReader::new(file), at: 0 });
        let mut members = Self { path: path.to_owned(), places: HashMap::new(), links: HashMap::new() };
        while let Some(entry) = reader.next_entry().map_err(|e| invalid(chain(&e)))? {
            let Some(parts) = clean(&entry.path) else {
                return Err(invalid(format!("member {:?} leads out of it", String::from_utf8_lossy(&entry.path))));
            };
            match entry.kind {
                EntryKind::File => drop(members.places.insert(parts, (reader.get_mut().at, entry.size))),
                EntryKind::Symlink | EntryKind::HardLink => {
                    let target = String::from_utf8_lossy(&entry.link).into_owned();
                    let base = if entry.kind == EntryKind::Symlink {
                        parts.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned()
                    } else {
                        String::new()
                    };
                    members.links.insert(parts, join(&base, &target));
                }
                _ => {}
            }
        }
        Ok(members)
    }

    /// Opens a member; a link is followed among the members, a few times at most.
    fn open(&self, name: &str) -> Result<(Box<dyn Read + Send>, u64), PullError> {
        let mut name = clean(name.as_bytes()).ok_or_else(|| self.missing(name))?;
        for _ in 0..8 {
            if let Some((offset, size)) = self.places.get(&name) {
                let io = |source| PullError::Io { path: self.path.clone(), source };
                let mut file = std::fs::File::open(&self.path).map_err(io)?;
                file.seek(SeekFrom::Start(*offset)).map_err(io)?;
                return Ok((Box::new(file.take(*size)), *size));
            }
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => break,
            }
        }
        Err(self.missing(&name))
    }

    fn missing(&self, name: &str) -> PullError {
        PullError::invalid(self.path.to_string_lossy(), format!("it has no member {name:?}"))
    }

    fn document(&self, name: &str) -> Result<Vec<u8>, PullError> {
        let (reader, size) = self.open(name)?;
        if size > DOCUMENT_LIMIT {
            return Err(PullError::invalid(name, format!("it is larger than {DOCUMENT_LIMIT} bytes")));
        }
        crate::read_limited(reader, name)
    }
}

fn clean(path: &[u8]) -> Option<String> {
    let parts = files::clean_parts(path)?;
    let parts: Vec<&str> = parts.into_iter().map(|part| std::str::from_utf8(part).ok()).collect::<Option<_>>()?;
    Some(parts.join("/"))
}

/// Resolves a link's target by name, never above the top.
fn join(base: &str, target: &str) -> String {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { base.split('/').filter(|part| !part.is_empty()).collect() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

struct Counting<R> {
    inner: R,
    at: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.at += got as u64;
        Ok(got)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn docker_images(members: Members, name: Option<&str>) -> Result<Vec<ArchivedImage>, PullError> {
    let invalid = |why: String| PullError::invalid(members.path.to_string_lossy(), why);
    let entries: Vec<DockerEntry> = serde_json::from_slice(&members.document("manifest.json")?).map_err(|e| invalid(e.to_string()))?;
    let mut images: Vec<ArchivedImage> = Vec::new();
    for entry in entries {
        let tags = entry.repo_tags.unwrap_or_default();
        if name.is_some_and(|name| !tags.iter().any(|tag| tag == name)) {
            continue;
        }
        // A tag that is no reference, or could be read as an id, is no name (threat B11).
        let names = tags.iter().map(|tag| Reference::parse(tag).map_err(PullError::Reference)).collect::<Result<Vec<_>, _>>()?;
        let config = members.document(&entry.config)?;
        let parsed: ImageConfig = serde_json::from_slice(&config).map_err(|e| invalid(format!("configuration {:?}: {e}", entry.config)))?;
        if parsed.rootfs.diff_ids.len() != entry.layers.len() {
            return Err(invalid(format!(
                "image {:?} has {} layers, its configuration {}",
                tags.first(),
                entry.layers.len(),
                parsed.rootfs.diff_ids.len()
            )));
        }
        let mut blobs = HashMap::new();
        let mut layers = Vec::new();
        for layer in &entry.layers {
            let (mut reader, size) = members.open(layer)?;
            let mut hash = Sha256::new();
            std::io::copy(&mut reader, &mut hash).map_err(|source| PullError::Io { path: members.path.clone(), source })?;
            let digest = Digest::from_sha256(&hash.finalize().into());
            blobs.insert(digest.clone(), layer.clone());
            layers.push(descriptor(media_type::OCI_LAYER, digest, size));
        }
        let config = Document::new(config, media_type::OCI_CONFIG.to_owned());
        blobs.insert(config.digest.clone(), entry.config);
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            config: descriptor(media_type::OCI_CONFIG, config.digest, config.bytes.len() as u64),
            layers,
            annotations: Default::default(),
            artifact_type: None,
        };
        let bytes = serde_json::to_vec(&manifest).map_err(|e| invalid(e.to_string()))?;
        let source = Archive { members: members.clone(), blobs, manifest: Document::new(bytes, media_type::OCI_MANIFEST.to_owned()) };
        images.push((names, Box::new(source)));
    }
    if images.is_empty() {
        return Err(invalid(format!("it has no image {:?}", name.unwrap_or(""))));
    }
    Ok(images)
}

fn descriptor(media: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media.to_owned(),
        digest,
        size,
        urls: Vec::new(),
        platform: None,
        annotations: Default::default(),
        artifact_type: None,
    }
}

/// One image of an archive.
struct Archive {
    members: Members,
    blobs: HashMap<Digest, String>,
    manifest: Document,
}

impl Source for Archive {
    fn manifest(&self, digest: Option<&Digest>) -> Result<Document, PullError> {
        match digest {
            Some(digest) if *digest != self.manifest.digest => Ok(Document::new(self.members.document(&blob_name(digest))?, String::new())),
            _ => Ok(self.manifest.clone()),
        }
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, PullError> {
        let name = self.blobs.get(&descriptor.digest).cloned().unwrap_or_else(|| blob_name(&descriptor.digest));
        Ok(self.members.open(&name)?.0)
    }

    fn name(&self) -> String {
        self.members.path.to_string_lossy().into_owned()
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn oci_image(members: Members, name: Option<&str>) -> Result<Vec<ArchivedImage>, PullError> {
    let place = members.path.to_string_lossy().into_owned();
    let index: Index = serde_json::from_slice(&members.document("index.json")?).map_err(|e| PullError::invalid(&place, e.to_string()))?;
    let mut images: Vec<ArchivedImage> = Vec::new();
    let chosen: Vec<Descriptor> = match name {
        Some(name) => vec![choose(&index, Some(name), &place)?],
        None => {
            let mut distinct: Vec<Descriptor> = Vec::new();
            for descriptor in &index.manifests {
                if !distinct.iter().any(|known| known.digest == descriptor.digest) {
                    distinct.push(descriptor.clone());
                }
            }
            distinct
        }
    };
    for descriptor in chosen {
        let bytes = members.document(&blob_name(&descriptor.digest))?;
        let manifest = Document::new(bytes, descriptor.media_type.clone());
        if manifest.digest != descriptor.digest {
            return Err(PullError::invalid(&place, format!("manifest {} has digest {}", descriptor.digest, manifest.digest)));
        }
        let names = index
            .manifests
            .iter()
            .filter(|d| d.digest == descriptor.digest)
            .flat_map(|d| {
                ["io.containerd.image.name", "org.opencontainers.image.ref.name"].into_iter().filter_map(|key| d.annotations.get(key))
            })
            .filter(|name| name.contains(['/', ':']))
            .filter_map(|name| Reference::parse(name).ok())
            .collect();
        images.push((names, Box::new(Archive { members: members.clone(), blobs: HashMap::new(), manifest })));
    }
    Ok(images)
}
