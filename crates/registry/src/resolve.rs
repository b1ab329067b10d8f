//! From a name to one image: index, manifest, configuration, each checked before the next is fetched.

use crate::{DOCUMENT_LIMIT, Document, PullError, Source, read_limited};
use oci::Digest;
use oci::image::{Descriptor, ImageConfig, Index, Manifest, Platform, media_type};

/// Indexes in indexes are followed so deep.
const MOST_INDEXES: u32 = 4;
/// No image has more layers.
const MOST_LAYERS: usize = 1000;

/// An image, all but its layers.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// The manifest.
    pub manifest: Document,
    /// The manifest, parsed.
    pub parsed: Manifest,
    /// The configuration.
    pub config: Vec<u8>,
    /// The configuration, parsed.
    pub parsed_config: ImageConfig,
    /// Digest the name stands for: of the index, if there is one.
    pub digest: Digest,
}

/// Finds the image for a platform.
pub fn resolve(source: &dyn Source, digest: Option<&Digest>, platform: &Platform) -> Result<ResolvedImage, PullError> {
    let mut document = fetch(source, digest)?;
    let top = document.digest.clone();
    for _ in 0..MOST_INDEXES {
        if !is_index(&document)? {
            return finish(source, document, top);
        }
        let index: Index = parse(&document)?;
        let chosen = choose_platform(&index, platform)?.clone();
        document = fetch(source, Some(&chosen.digest))?;
        if document.bytes.len() as u64 != chosen.size {
            return Err(PullError::invalid(
                format!("manifest {}", chosen.digest),
                format!("it has {} bytes, not {}", document.bytes.len(), chosen.size),
            ));
        }
    }
    Err(PullError::invalid(source.name(), "indexes are nested too deep"))
}

fn fetch(source: &dyn Source, digest: Option<&Digest>) -> Result<Document, PullError> {
    let document = source.manifest(digest)?;
    match digest {
        Some(expected) if document.digest != *expected => {
            Err(PullError::invalid(format!("manifest of {}", source.name()), format!("it has digest {}, not {expected}", document.digest)))
        }
        _ => Ok(document),
    }
}

/// The media type decides, and the document must agree: one that is both is refused (CVE-2021-41190).
fn is_index(document: &Document) -> Result<bool, PullError> {
    let invalid = |why: &str| PullError::invalid(format!("manifest {}", document.digest), why);
    let value: serde_json::Value = serde_json::from_slice(&document.bytes).map_err(|e| invalid(&e.to_string()))?;
    let object = value.as_object().ok_or_else(|| invalid("it is no JSON object"))?;
    let has = |key: &str| object.get(key).is_some_and(|value| !value.is_null());
    if has("manifests") && (has("layers") || has("config")) {
        return Err(invalid("it is an index and a manifest at the same time"));
    }
    if object.get("schemaVersion").and_then(serde_json::Value::as_u64) == Some(1) {
        return Err(invalid("it is in Docker's schema 1, which is obsolete: push the image again with a current tool"));
    }
    let inner = object.get("mediaType").and_then(serde_json::Value::as_str).unwrap_or(&document.media_type);
    let kind = match inner {
        media_type::OCI_INDEX | media_type::DOCKER_LIST => true,
        media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => false,
        "" | "application/json" | "text/plain" | "application/octet-stream" => has("manifests"),
        other => return Err(invalid(&format!("media type {other:?} is not supported"))),
    };
    if kind != has("manifests") {
        return Err(invalid("its media type and its content disagree"));
    }
    Ok(kind)
}

fn parse<T: serde::de::DeserializeOwned>(document: &Document) -> Result<T, PullError> {
    serde_json::from_slice(&document.bytes).map_err(|e| PullError::invalid(format!("manifest {}", document.digest), e.to_string()))
}

fn finish(source: &dyn Source, manifest: Document, digest: Digest) -> Result<ResolvedImage, PullError> {
    let invalid = |why: String| PullError::invalid(format!("manifest {}", manifest.digest), why);
    let parsed: Manifest = parse(&manifest)?;
    if !matches!(parsed.config.media_type.as_str(), media_type::OCI_CONFIG | media_type::DOCKER_CONFIG) {
        return Err(invalid(format!("it is no image: its configuration is {:?}", parsed.config.media_type)));
    }
    if parsed.layers.len() > MOST_LAYERS {
        return Err(invalid(format!("it has {} layers", parsed.layers.len())));
    }
    if parsed.config.size > DOCUMENT_LIMIT {
        return Err(invalid(format!("its configuration has {} bytes", parsed.config.size)));
    }
    for layer in &parsed.layers {
        if !is_layer(&layer.media_type) {
            return Err(invalid(format!("layer {} has media type {:?}, which is not supported", layer.digest, layer.media_type)));
        }
    }
    let what = format!("configuration {}", parsed.config.digest);
    let config = Document::new(read_limited(source.blob(&parsed.config)?, &what)?, parsed.config.media_type.clone());
    if config.digest != parsed.config.digest {
        return Err(PullError::invalid(what, format!("it has digest {}", config.digest)));
    }
    let parsed_config: ImageConfig = serde_json::from_slice(&config.bytes).map_err(|e| PullError::invalid(what, e.to_string()))?;
    let diff_ids = parsed_config.rootfs.diff_ids.len();
    if diff_ids != parsed.layers.len() {
        return Err(invalid(format!("it has {} layers, its configuration {diff_ids}", parsed.layers.len())));
    }
    let histories = parsed_config.history.iter().filter(|step| !step.empty_layer).count();
    if !parsed_config.history.is_empty() && histories > diff_ids {
        return Err(invalid(format!("its history has {histories} layers, its configuration {diff_ids}")));
    }
    Ok(ResolvedImage { manifest, parsed, config: config.bytes, parsed_config, digest })
}

fn is_layer(media: &str) -> bool {
    matches!(
        media,
        media_type::OCI_LAYER
            | media_type::OCI_LAYER_GZIP
            | media_type::OCI_LAYER_ZSTD
            | media_type::DOCKER_LAYER
            | media_type::DOCKER_LAYER_GZIP
            | media_type::DOCKER_LAYER_ZSTD
    )
}

/// Chooses the manifest for a platform; of variants the nearest not above the one wanted.
pub fn choose_platform<'a>(index: &'a Index, wanted: &Platform) -> Result<&'a Descriptor, PullError> {
    let fits =
        |descriptor: &&Descriptor| descriptor.platform.as_ref().is_some_and(|p| p.os == wanted.os && p.architecture == wanted.architecture);
    let variant = |descriptor: &&Descriptor| descriptor.platform.as_ref().and_then(|p| p.variant.clone()).unwrap_or_default();
    let fitting: Vec<&Descriptor> = index.manifests.iter().filter(fits).collect();
    let chosen = match &wanted.variant {
        Some(exact) => fitting.iter().find(|d| variant(d) == *exact).or_else(|| fitting.iter().find(|d| variant(d).is_empty())),
        None => fitting.iter().find(|d| matches!(variant(d).as_str(), "" | "v8")).or_else(|| fitting.iter().max_by_key(|d| variant(d))),
    };
    // An index of one manifest without a platform means that one.
    let only = || match index.manifests.as_slice() {
        [one] if one.platform.as_ref().is_none_or(|p| p.os.is_empty() || p.os == "unknown") => Some(one),
        _ => None,
    };
    chosen.copied().or_else(only).ok_or_else(|| {
        let offered: Vec<String> = index
            .manifests
            .iter()
            .filter_map(|d| d.platform.as_ref())
            .map(|p| format!("{}/{}{}", p.os, p.architecture, p.variant.as_ref().map(|v| format!("/{v}")).unwrap_or_default()))
            .collect();
        PullError::NoPlatform {
            architecture: wanted.architecture.clone(),
            os: wanted.os.clone(),
            offered: if offered.is_empty() { "none".to_owned() } else { offered.join(", ") },
        }
    })
}
