//! Finding images here.

use crate::container::record::ImageUse;
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use crate::volume::store_error;
use storage::ImageRecord;

/// Finds an image, or says that it is not here.
pub fn find(engine: &Engine, typed: &str) -> Result<ImageRecord> {
    engine.store().find_image(typed).map_err(store_error)?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("{typed}: image not known")).with_cure(Cure::PullImage { image: typed.to_owned() })
    })
}

/// What a container needs of an image.
pub fn to_use(engine: &Engine, image: &ImageRecord, typed: &str) -> Result<ImageUse> {
    let config = engine.store().image_config(image).map_err(store_error)?;
    let asked = oci::Reference::parse(typed).ok().map(|reference| reference.with_default_tag());
    let name = asked
        .and_then(|asked| image.names.iter().find(|name| name.repository().ends_with(asked.repository()) && name.tag() == asked.tag()))
        .or(image.names.first())
        .map_or_else(|| image.id.hex().to_owned(), ToString::to_string);
    Ok(ImageUse { id: image.id.clone(), digest: Some(image.digest.clone()), name, layers: image.layers.clone(), config: config.config })
}
