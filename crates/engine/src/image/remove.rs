//! `rmi`: a name goes; with the last name the image goes, and with it the layers nobody else needs.

use super::find;
use crate::container;
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::namespace;
use crate::open::Engine;
use crate::volume::store_error;
use oci::{Digest, Reference};
use storage::ImageRecord;

/// What was done.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Removed {
    /// Names taken away.
    pub untagged: Vec<String>,
    /// The image, if it is gone.
    pub deleted: Option<String>,
}

/// Removes a name, or an image by its id.
pub fn remove(engine: &Engine, typed: &str, force: bool) -> Result<Removed> {
    let image = find::find(engine, typed)?;
    let by_id = !is_name_of(&image, typed);
    let named: Vec<Reference> = image.names.iter().filter(|name| names(name, typed)).cloned().collect();
    let users = users(engine, &image.id)?;
    if !by_id && image.names.len() > named.len() {
        engine.store().untag_image(&image.id, &named).map_err(store_error)?;
        return Ok(Removed { untagged: named.iter().map(ToString::to_string).collect(), deleted: None });
    }
    if by_id && image.names.len() > 1 && !force {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("unable to delete image {:?} by ID with more than one tag ({:?}): please force removal", image.id.hex(), image.names),
        ));
    }
    if !users.is_empty() {
        if !force {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "image used by {}: image is in use by a container: consider listing external containers and force-removing image",
                    users[0].id
                ),
            )
            .with_cure(Cure::InUseBy { containers: users.iter().map(|user| user.name.to_string()).collect() }));
        }
        for user in &users {
            container::remove::remove(engine, user, container::remove::RemoveOptions { force: true, volumes: false, timeout: None })?;
        }
    }
    delete(engine, &image)
}

/// Deletes an image and what only it needed.
pub(crate) fn delete(engine: &Engine, image: &ImageRecord) -> Result<Removed> {
    let kept = layers_in_use(engine, None)?;
    let id = image.id.clone();
    namespace::inside(engine, || engine.store().remove_image(&id, &kept).map(drop).map_err(store_error))?;
    Ok(Removed { untagged: image.names.iter().map(ToString::to_string).collect(), deleted: Some(image.id.hex().to_owned()) })
}

/// Containers made from an image.
pub fn users(engine: &Engine, id: &Digest) -> Result<Vec<container::ContainerRecord>> {
    let all = container::find::all(engine)?;
    Ok(all.into_iter().filter(|record| record.image.as_ref().is_some_and(|image| image.id == *id)).collect())
}

/// Layers that containers need, whatever becomes of their images.
fn layers_in_use(engine: &Engine, _except: Option<&Digest>) -> Result<Vec<Digest>> {
    Ok(container::find::all(engine)?.into_iter().filter_map(|record| record.image).flat_map(|image| image.layers).collect())
}

fn names(name: &Reference, typed: &str) -> bool {
    let Ok(asked) = Reference::parse(typed) else { return false };
    let asked = asked.with_default_tag();
    *name == asked
        || asked.is_short()
            && (*name == asked.at_registry("localhost")
                || *name == asked.at_registry("docker.io")
                || (name.tag() == asked.tag() && name.repository().ends_with(asked.repository())))
}

fn is_name_of(image: &ImageRecord, typed: &str) -> bool {
    image.names.iter().any(|name| names(name, typed))
}

/// `image prune`: images without a name, or with `all` those no container uses.
pub fn prune(engine: &Engine, all: bool) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    for image in engine.store().images().map_err(store_error)? {
        if (image.names.is_empty() || all) && users(engine, &image.id)?.is_empty() {
            gone.extend(delete(engine, &image)?.deleted);
        }
    }
    Ok(gone)
}
