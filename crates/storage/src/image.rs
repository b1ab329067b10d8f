//! Images: a record each, with the names it goes by.

use crate::{Store, StoreError, record};
use oci::image::{ImageConfig, Manifest};
use oci::{Digest, Reference};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// An image of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Format version.
    pub version: u32,
    /// Its id: the digest of its configuration.
    pub id: Digest,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Names with tags.
    pub names: Vec<Reference>,
    /// Names with digests.
    pub repo_digests: Vec<Reference>,
    /// When it was made, as the configuration says.
    pub created: String,
    /// When it came here, in nanoseconds since 1970.
    pub arrived: u128,
    /// Size of its layers' tars and its configuration.
    pub size: u64,
    /// Layers, lowest first.
    pub layers: Vec<Digest>,
    /// GOARCH name.
    pub architecture: String,
    /// GOOS name.
    pub os: String,
}

/// An image to be added; its layers are there already.
#[derive(Debug, Clone)]
pub struct NewImage<'a> {
    /// The manifest, as it came.
    pub manifest: &'a [u8],
    /// The configuration, as it came.
    pub config: &'a [u8],
    /// Name with a tag.
    pub name: Option<Reference>,
    /// Name with a digest.
    pub repo_digest: Option<Reference>,
    /// Now, in nanoseconds since 1970.
    pub now: u128,
}

impl Store {
    /// Adds an image, or names to one that is there. A name it takes leaves the image that had it.
    pub fn add_image(&self, new: NewImage<'_>) -> Result<ImageRecord, StoreError> {
        let manifest: Manifest = parse(new.manifest, "manifest")?;
        let config: ImageConfig = parse(new.config, "configuration")?;
        let id = sha256(new.config);
        if manifest.config.digest != id {
            return Err(StoreError::Mismatch { what: format!("the manifest names configuration {}, not {id}", manifest.config.digest) });
        }
        let layers = config.rootfs.diff_ids;
        if layers.len() != manifest.layers.len() {
            return Err(StoreError::Mismatch {
                what: format!("the manifest has {} layers, the configuration {}", manifest.layers.len(), layers.len()),
            });
        }
        let mut size = new.config.len() as u64;
        for layer in &layers {
            size += self.layer(layer)?.size;
        }
        let digest = sha256(new.manifest);
        record::write(&self.blob_path(&digest), new.manifest)?;
        record::write(&self.blob_path(&id), new.config)?;
        let _turn = self.names_lock()?;
        let fresh = ImageRecord {
            version: 1,
            digest,
            names: Vec::new(),
            repo_digests: Vec::new(),
            created: config.created.unwrap_or_default(),
            arrived: new.now,
            size,
            layers,
            architecture: config.architecture,
            os: config.os,
            id,
        };
        let mut image = match self.image(&fresh.id)? {
            Some(known) => ImageRecord { digest: fresh.digest, ..known },
            None => fresh,
        };
        if let Some(name) = new.name {
            self.take_name(&name, &image.id)?;
            if !image.names.contains(&name) {
                image.names.push(name);
            }
        }
        if let Some(name) = new.repo_digest.filter(|name| !image.repo_digests.contains(name)) {
            image.repo_digests.push(name);
        }
        record::save(&self.image_path(&image.id), &image)?;
        Ok(image)
    }

    /// Reads all images, the newest first.
    pub fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        let dir = self.path().join("images");
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(StoreError::io("listing", dir, e)),
        };
        let mut images = Vec::new();
        for entry in entries.flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.ends_with(".json"))
                && let Ok(Some(image)) = record::load::<ImageRecord>(&entry.path())
            {
                images.push(image);
            }
        }
        images.sort_by(|a, b| (b.created.as_str(), b.id.hex()).cmp(&(a.created.as_str(), a.id.hex())));
        Ok(images)
    }

    /// Reads one image.
    pub fn image(&self, id: &Digest) -> Result<Option<ImageRecord>, StoreError> {
        record::load(&self.image_path(id))
    }

    /// Finds an image by what a user typed: a name, in full or short, a digest, an id or a unique prefix of one.
    pub fn find_image(&self, typed: &str) -> Result<Option<ImageRecord>, StoreError> {
        let images = self.images()?;
        if let Ok(reference) = Reference::parse(typed) {
            for candidate in local_candidates(&reference) {
                let found = match candidate.digest() {
                    Some(digest) => images.iter().find(|image| {
                        (image.digest == *digest || image.repo_digests.iter().any(|name| name.digest() == Some(digest)))
                            && image.names.iter().chain(&image.repo_digests).any(|name| name.name() == candidate.name())
                    }),
                    None => images.iter().find(|image| image.names.contains(&candidate)),
                };
                if let Some(image) = found {
                    return Ok(Some(image.clone()));
                }
            }
            if reference.is_short() && reference.digest().is_none() {
                let wanted = reference.with_default_tag();
                let fits = |name: &Reference| {
                    name.tag() == wanted.tag()
                        && (name.repository() == wanted.repository() || name.repository().ends_with(&format!("/{}", wanted.repository())))
                };
                if let Some(image) = images.iter().find(|image| image.names.iter().any(fits)) {
                    return Ok(Some(image.clone()));
                }
            }
        }
        let hex = typed.strip_prefix("sha256:").unwrap_or(typed);
        if hex.len() < 2 || hex.len() > 64 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Ok(None);
        }
        let mut fitting =
            images.into_iter().filter(|image| image.id.hex().starts_with(hex) || (hex.len() == 64 && image.digest.hex() == hex));
        match (fitting.next(), fitting.next()) {
            (Some(_), Some(_)) => Err(StoreError::Ambiguous { typed: typed.to_owned() }),
            (found, _) => Ok(found),
        }
    }

    /// Reads and parses the configuration of an image.
    pub fn image_config(&self, image: &ImageRecord) -> Result<ImageConfig, StoreError> {
        parse(&self.blob(&image.id)?, "configuration")
    }

    /// Reads a small blob: a manifest or a configuration.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(digest);
        record::read(&path)?.ok_or_else(|| StoreError::io("reading", path, std::io::Error::from(std::io::ErrorKind::NotFound)))
    }

    /// Gives an image one more name.
    pub fn tag_image(&self, id: &Digest, name: &Reference) -> Result<(), StoreError> {
        let _turn = self.names_lock()?;
        self.take_name(name, id)?;
        self.change(id, |image| {
            if !image.names.contains(name) {
                image.names.push(name.clone());
            }
        })
    }

    /// Takes names from an image.
    pub fn untag_image(&self, id: &Digest, names: &[Reference]) -> Result<(), StoreError> {
        let _turn = self.names_lock()?;
        self.change(id, |image| image.names.retain(|name| !names.contains(name)))
    }

    /// Removes an image and what no other needs; the layers named in `kept` are used otherwise. Returns the
    /// layers removed.
    pub fn remove_image(&self, id: &Digest, kept: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let _turn = self.names_lock()?;
        let Some(image) = self.image(id)? else { return Ok(Vec::new()) };
        let path = self.image_path(id);
        std::fs::remove_file(&path).map_err(|e| StoreError::io("removing", path, e))?;
        let others = self.images()?;
        for digest in [&image.digest, &image.id] {
            if !others.iter().any(|other| other.digest == *digest || other.id == *digest) {
                let _ = std::fs::remove_file(self.blob_path(digest));
            }
        }
        let mut removed = Vec::new();
        for layer in image.layers {
            if !kept.contains(&layer) && !removed.contains(&layer) && !others.iter().any(|other| other.layers.contains(&layer)) {
                self.remove_layer(&layer)?;
                removed.push(layer);
            }
        }
        Ok(removed)
    }

    fn take_name(&self, name: &Reference, new_owner: &Digest) -> Result<(), StoreError> {
        for other in self.images()?.iter().filter(|image| image.id != *new_owner && image.names.contains(name)) {
            self.change(&other.id, |image| image.names.retain(|known| known != name))?;
        }
        Ok(())
    }

    fn change(&self, id: &Digest, change: impl FnOnce(&mut ImageRecord)) -> Result<(), StoreError> {
        if let Some(mut image) = self.image(id)? {
            change(&mut image);
            record::save(&self.image_path(id), &image)?;
        }
        Ok(())
    }

    fn image_path(&self, id: &Digest) -> PathBuf {
        self.path().join("images").join(format!("{}.json", id.hex()))
    }

    /// Names move between images under one lock; starts of containers never take it.
    fn names_lock(&self) -> Result<std::fs::File, StoreError> {
        let path = self.path().join("images/.lock");
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| StoreError::io("locking", &path, e))?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive)).map_err(|e| StoreError::io("locking", &path, e))?;
        Ok(file)
    }
}

/// Where a name may be found here: as written, or below `localhost` and Docker Hub.
fn local_candidates(reference: &Reference) -> Vec<Reference> {
    let reference = reference.with_default_tag();
    if reference.is_short() {
        vec![reference.at_registry("localhost"), reference.at_registry("docker.io"), reference.clone()]
    } else {
        vec![reference]
    }
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Mismatch { what: format!("the {what} is not valid: {e}") })
}

fn sha256(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    Digest::from_sha256(&sha2::Sha256::digest(bytes).into())
}
