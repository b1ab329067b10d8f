//! `pull` and `load`: an image comes in, all its layers at once.

use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use crate::volume::store_error;
use crate::{host, namespace};
use config::{ConfigError, Credentials, Registries};
use oci::Reference;
use oci::image::Platform;
use registry::{ClientOptions, Location, PullError, Registry, ResolvedImage, Source};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use storage::ImageRecord;

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// When it is not here.
    #[default]
    Missing,
    /// Always.
    Always,
    /// Never.
    Never,
    /// When the registry has another one.
    Newer,
}

/// How an image is pulled.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Platform wanted.
    pub platform: Platform,
    /// Whether certificates are verified; the configuration decides when absent.
    pub tls_verify: Option<bool>,
    /// Who we are.
    pub credentials: Option<Credentials>,
    /// File with credentials.
    pub authfile: Option<PathBuf>,
    /// More tries after the first.
    pub retries: u32,
    /// Time before the first of them.
    pub retry_delay: Option<Duration>,
}

/// What is told while an image comes in.
pub trait Watcher: Sync {
    /// Something worth a line.
    fn say(&self, text: &str);
    /// Bytes of all layers so far, and in all.
    fn bytes(&self, done: u64, total: u64);
}

/// Pulls an image from a registry.
pub fn pull(engine: &Engine, typed: &str, options: &PullOptions, watcher: &dyn Watcher) -> Result<ImageRecord> {
    match Location::parse(typed) {
        Some(Ok(Location::Docker(reference))) => pull_reference(engine, &reference, options, watcher),
        Some(Ok(location)) => load(engine, &location, options, watcher).and_then(|images| {
            images.into_iter().next().ok_or_else(|| Error::new(ErrorKind::NotFound, format!("pulling {typed:?}: there is no image in it")))
        }),
        Some(Err(error)) => Err(pull_error(error)),
        None => {
            let reference =
                Reference::parse(typed).map_err(|e| Error::because(ErrorKind::InvalidInput, format!("pulling {typed:?}"), e))?;
            pull_reference(engine, &reference, options, watcher)
        }
    }
}

fn pull_reference(engine: &Engine, reference: &Reference, options: &PullOptions, watcher: &dyn Watcher) -> Result<ImageRecord> {
    let registries = Registries::load().map_err(config_error)?;
    let mut errors = Vec::new();
    for candidate in registries.candidates(reference) {
        let name = candidate.with_default_tag();
        watcher.say(&format!("Trying to pull {name}..."));
        for endpoint in registries.endpoints(&name).map_err(config_error)? {
            let insecure = options.tls_verify.map_or(endpoint.insecure, |verify| !verify);
            let repository = endpoint.reference.name();
            let files = config::auth::files(options.authfile.as_deref());
            let credentials = match &options.credentials {
                Some(credentials) => Some(credentials.clone()),
                None => config::auth::find(&repository, &files).map_err(config_error)?,
            };
            let client = ClientOptions { insecure, credentials, retries: options.retries, retry_delay: options.retry_delay };
            let source = Registry::new(&endpoint.reference, client);
            match registry::resolve(&source, None, &options.platform) {
                Ok(resolved) => return take_in(engine, &source, &resolved, vec![name], watcher),
                Err(error) if error.is_worth_another_place() => errors.push(error),
                Err(error) => return Err(pull_error(error)),
            }
        }
    }
    // The first place is the one that was meant; what the others said comes along.
    let mut errors = errors.into_iter().map(pull_error);
    let Some(first) = errors.next() else {
        return Err(Error::new(ErrorKind::NotFound, format!("pulling {reference}: no registry is configured")));
    };
    let last = errors.last().unwrap_or(first);
    Err(last.while_doing(format!("unable to copy from source docker://{reference}")))
}

/// Takes in every image of an archive or a layout.
pub fn load(engine: &Engine, location: &Location, options: &PullOptions, watcher: &dyn Watcher) -> Result<Vec<ImageRecord>> {
    let store = engine.store();
    store.prepare().map_err(store_error)?;
    let staged = storage::Staged::new(&store).map_err(store_error)?;
    let images: Vec<(Vec<Reference>, Box<dyn Source>)> = match location {
        Location::OciDir { path, name } => {
            let names = name.as_deref().and_then(|name| Reference::parse(name).ok()).into_iter().collect();
            vec![(names, registry::open_layout(path, name.as_deref()).map_err(pull_error)?)]
        }
        Location::Dir(path) => vec![(Vec::new(), registry::open_directory(path).map_err(pull_error)?)],
        Location::OciArchive { path, name } | Location::DockerArchive { path, name } => {
            registry::open_archive(path, name.as_deref(), staged.path()).map_err(pull_error)?
        }
        Location::Docker(reference) => return pull_reference(engine, reference, options, watcher).map(|image| vec![image]),
    };
    let mut loaded = Vec::new();
    for (names, source) in images {
        let resolved = registry::resolve(source.as_ref(), None, &options.platform).map_err(pull_error)?;
        let names = names
            .into_iter()
            .map(|name| {
                if name.is_short() {
                    name.at_registry(if name.repository().contains('/') { "docker.io" } else { "localhost" })
                } else {
                    name
                }
                .with_default_tag()
            })
            .collect();
        loaded.push(take_in(engine, source.as_ref(), &resolved, names, watcher)?);
    }
    Ok(loaded)
}

/// Fetches the layers that are not here, all at once, and registers the image.
fn take_in(
    engine: &Engine,
    source: &dyn Source,
    resolved: &ResolvedImage,
    names: Vec<Reference>,
    watcher: &dyn Watcher,
) -> Result<ImageRecord> {
    namespace::inside(engine, || {
        let store = engine.store();
        store.prepare().map_err(store_error)?;
        store.collect();
        let layers: Vec<_> = resolved.parsed.layers.iter().zip(&resolved.parsed_config.rootfs.diff_ids).collect();
        let missing: Vec<_> = {
            let mut seen = Vec::new();
            layers
                .into_iter()
                .filter(|(_, diff_id)| {
                    !store.has_layer(diff_id) && !seen.contains(diff_id) && {
                        seen.push(diff_id);
                        true
                    }
                })
                .collect()
        };
        let total: u64 = missing.iter().map(|(layer, _)| layer.size).sum();
        let counts: Vec<AtomicU64> = missing.iter().map(|_| AtomicU64::new(0)).collect();
        let store = &store;
        let (counts, missing) = (&counts, &missing);
        let next = AtomicU64::new(0);
        let next = &next;
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..missing.len().min(6))
                .map(|_| {
                    scope.spawn(move || {
                        loop {
                            let index = next.fetch_add(1, Ordering::Relaxed) as usize;
                            let Some((layer, diff_id)) = missing.get(index) else { return Ok(()) };
                            watcher.say(&format!("Copying blob {}", layer.digest));
                            let reader = source.blob(layer).map_err(pull_error)?;
                            let progress = |bytes: u64| {
                                counts[index].store(bytes, Ordering::Relaxed);
                                watcher.bytes(counts.iter().map(|count| count.load(Ordering::Relaxed)).sum(), total);
                            };
                            let source = storage::LayerSource {
                                reader,
                                blob: Some(&layer.digest),
                                blob_size: Some(layer.size),
                                diff_id: Some(diff_id),
                                progress: &progress,
                            };
                            let record = store.ingest_layer(source).map_err(|e| ingest_error(e, &layer.digest))?;
                            if record.skipped_devices > 0 {
                                watcher.say(&format!(
                                    "layer {} has {} device nodes, which only root can make: they are left out",
                                    diff_id.short(),
                                    record.skipped_devices
                                ));
                            }
                        }
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "fetching a layer ended early"))))
                .collect()
        });
        results.into_iter().collect::<Result<Vec<()>>>()?;
        watcher.say(&format!("Copying config {}", resolved.parsed.config.digest));
        let mut image = None;
        let repo_digest = names.first().map(|name| name.with_digest(&resolved.digest));
        let names: Vec<Option<Reference>> = if names.is_empty() { vec![None] } else { names.iter().cloned().map(Some).collect() };
        for name in names {
            // A name with a digest names no tag.
            let name = name.filter(|name| name.digest().is_none());
            let new = storage::NewImage {
                manifest: &resolved.manifest.bytes,
                config: &resolved.config,
                name,
                repo_digest: repo_digest.clone(),
                now: host::now(),
            };
            image = Some(store.add_image(new).map_err(store_error)?);
        }
        watcher.say("Writing manifest to image destination");
        image.ok_or_else(|| Error::new(ErrorKind::Internal, "registering the image"))
    })
}

fn ingest_error(error: storage::IngestError, blob: &oci::Digest) -> Error {
    let mut full = false;
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(cause) = next {
        full |= cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded));
        next = cause.source();
    }
    let kind = match &error {
        storage::IngestError::Read(_) => ErrorKind::Unavailable,
        storage::IngestError::Store(_) => ErrorKind::Internal,
        _ if full => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidInput,
    };
    let error = Error::because(kind, format!("copying blob {blob}"), error);
    if full { error.with_cure(Cure::DiskFull { path: "the store".to_owned() }) } else { error }
}

fn config_error(error: ConfigError) -> Error {
    let kind = if matches!(error, ConfigError::Blocked { .. }) { ErrorKind::NotPermitted } else { ErrorKind::InvalidInput };
    Error::because(kind, "reading the configuration", error)
}

/// Makes an engine error of a registry's; the cure follows the cause.
pub fn pull_error(error: PullError) -> Error {
    let (kind, cure) = match &error {
        PullError::Unauthorized { registry, .. } => (ErrorKind::NotPermitted, Some(Cure::LogIn { registry: registry.clone() })),
        PullError::Tls { registry, .. } => (ErrorKind::Unavailable, Some(Cure::TrustRegistry { registry: registry.clone() })),
        PullError::Unreachable { .. } => (ErrorKind::Unavailable, None),
        PullError::NotFound { .. } | PullError::NoPlatform { .. } => (ErrorKind::NotFound, None),
        PullError::Reference(_) | PullError::Invalid { .. } => (ErrorKind::InvalidInput, None),
        PullError::Status { .. } => (ErrorKind::Unavailable, None),
        PullError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => (ErrorKind::NotFound, None),
        PullError::Io { .. } => (ErrorKind::Internal, None),
    };
    let error = Error::because(kind, "initializing source", error);
    match cure {
        Some(cure) => error.with_cure(cure),
        None => error,
    }
}

/// Tells whether a registry lets somebody in.
pub fn check_login(host: &str, credentials: Credentials, tls_verify: Option<bool>) -> Result<()> {
    let reference = Reference::parse(&format!("{host}/x"))
        .map_err(|e| Error::because(ErrorKind::InvalidInput, format!("logging in to {host:?}"), e))?;
    let registries = Registries::load().map_err(config_error)?;
    let configured = registries.endpoints(&reference).map_err(config_error)?.last().is_some_and(|endpoint| endpoint.insecure);
    let insecure = tls_verify.map_or(configured, |verify| !verify);
    let client = ClientOptions { insecure, credentials: Some(credentials), retries: 0, retry_delay: None };
    Registry::new(&reference, client).check().map_err(pull_error).map_err(|e| e.while_doing(format!("authenticating creds for {host:?}")))
}

/// Pulls every tag of a repository.
pub fn all_tags(engine: &Engine, typed: &str, options: &PullOptions, watcher: &dyn Watcher) -> Result<Vec<ImageRecord>> {
    let reference = Reference::parse(typed).map_err(|e| Error::because(ErrorKind::InvalidInput, format!("pulling {typed:?}"), e))?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Err(Error::new(ErrorKind::InvalidInput, format!("pulling all tags of {typed:?}: it must have no tag")));
    }
    let registries = Registries::load().map_err(config_error)?;
    let mut last = None;
    for candidate in registries.candidates(&reference) {
        for endpoint in registries.endpoints(&candidate).map_err(config_error)? {
            let insecure = options.tls_verify.map_or(endpoint.insecure, |verify| !verify);
            let client = ClientOptions {
                insecure,
                credentials: options.credentials.clone(),
                retries: options.retries,
                retry_delay: options.retry_delay,
            };
            match Registry::new(&endpoint.reference, client).tags() {
                Ok(tags) => {
                    return tags
                        .iter()
                        .map(|tag| {
                            let name = candidate
                                .with_tag(tag)
                                .map_err(|e| Error::because(ErrorKind::InvalidInput, "reading the list of tags", e))?;
                            pull_reference(engine, &name, options, watcher)
                        })
                        .collect();
                }
                Err(error) => last = Some(pull_error(error)),
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::new(ErrorKind::NotFound, format!("pulling {typed:?}: no registry is configured"))))
}
