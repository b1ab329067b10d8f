//! The image built into the program: its one layer holds this very program, which tells what it sees of its
//! isolation when it is called `/hello`. It needs neither network nor registry.

use crate::error::{Error, ErrorKind, Result};
use crate::open::Engine;
use crate::volume::store_error;
use crate::{host, namespace};
use archive::{Entry, EntryKind, TarWriter};
use oci::image::{Descriptor, ExecutionConfig, History, ImageConfig, Manifest, RootFs, media_type};
use oci::{Digest, Reference};
use sha2::Digest as _;
use storage::ImageRecord;

/// Its name.
pub const NAME: &str = "localhost/coracle/hello:latest";

/// Tells whether a user means the built-in image.
pub fn is_meant(typed: &str) -> bool {
    matches!(typed, "coracle/hello" | "coracle/hello:latest" | "localhost/coracle/hello" | NAME)
}

/// Puts the image into the store, made of the program that runs now.
pub fn install(engine: &Engine) -> Result<ImageRecord> {
    namespace::inside(engine, || {
        let store = engine.store();
        store.prepare().map_err(store_error)?;
        let doing = |e: std::io::Error| Error::io("making the built-in image", e);
        let program = std::fs::File::open("/proc/self/exe").map_err(doing)?;
        let size = program.metadata().map_err(doing)?.len();
        let mut tar = TarWriter::new(Vec::with_capacity(size as usize + 8192));
        for (path, kind, mode) in [
            ("dev/", EntryKind::Directory, 0o755),
            ("etc/", EntryKind::Directory, 0o755),
            ("proc/", EntryKind::Directory, 0o755),
            ("run/", EntryKind::Directory, 0o755),
            ("sys/", EntryKind::Directory, 0o755),
            ("tmp/", EntryKind::Directory, 0o1777),
        ] {
            tar.append(&entry(path, kind, mode, 0), std::io::empty()).map_err(doing)?;
        }
        let passwd = b"root:x:0:0:root:/root:/hello\n";
        tar.append(&entry("etc/passwd", EntryKind::File, 0o644, passwd.len() as u64), &passwd[..]).map_err(doing)?;
        tar.append(&entry("hello", EntryKind::File, 0o755, size), &program).map_err(doing)?;
        let tar = tar.finish().map_err(doing)?;
        let source = storage::LayerSource { reader: Box::new(&tar[..]), blob: None, blob_size: None, diff_id: None, progress: &|_| {} };
        let layer = store.ingest_layer(source).map_err(|e| Error::because(ErrorKind::Internal, "making the built-in image", e))?;
        let config = ImageConfig {
            created: Some("2026-01-01T00:00:00Z".to_owned()),
            architecture: architecture().to_owned(),
            os: "linux".to_owned(),
            config: ExecutionConfig {
                cmd: vec!["/hello".to_owned()],
                env: vec![format!("PATH={}", crate::plan::environment::DEFAULT_PATH)],
                ..Default::default()
            },
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![layer.diff_id.clone()] },
            history: vec![History { created_by: Some("built into coracle".to_owned()), ..Default::default() }],
            ..Default::default()
        };
        let json =
            |value: serde_json::Result<Vec<u8>>| value.map_err(|e| Error::because(ErrorKind::Internal, "making the built-in image", e));
        let config = json(serde_json::to_vec(&config))?;
        let describe = |media: &str, digest: Digest, size: u64| Descriptor {
            media_type: media.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            platform: None,
            annotations: Default::default(),
            artifact_type: None,
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            config: describe(media_type::OCI_CONFIG, Digest::from_sha256(&sha2::Sha256::digest(&config).into()), config.len() as u64),
            layers: vec![describe(media_type::OCI_LAYER, layer.blob, layer.blob_size)],
            annotations: Default::default(),
            artifact_type: None,
        };
        let manifest = json(serde_json::to_vec(&manifest))?;
        let name = Reference::parse(NAME).map_err(|e| Error::because(ErrorKind::Internal, "naming the built-in image", e))?;
        store
            .add_image(storage::NewImage { manifest: &manifest, config: &config, name: Some(name), repo_digest: None, now: host::now() })
            .map_err(store_error)
    })
}

/// GOARCH name of this machine.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn entry(path: &str, kind: EntryKind, mode: u32, size: u64) -> Entry {
    Entry {
        path: path.into(),
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime: (1_767_225_600, 0),
        size,
        link: Vec::new(),
        device: (0, 0),
        xattrs: Vec::new(),
    }
}
