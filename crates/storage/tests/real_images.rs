//! Layers of real images, or of ones made here, go in and come out bit for bit.

use oci::Digest;
use oci::image::{Index, Manifest};
use sha2::Digest as _;
use std::path::{Path, PathBuf};

fn layouts() -> Vec<PathBuf> {
    let dir = std::env::var_os("TEST_IMAGES")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/test-images")));
    let entries = dir.and_then(|dir| std::fs::read_dir(dir).ok());
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.join("index.json").exists()).collect()
}

fn blob(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

#[test]
fn layers_of_real_images_are_rebuilt_bit_for_bit() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: owners can only be set by root");
        return;
    }
    let layouts = layouts();
    if layouts.is_empty() {
        eprintln!("skipped: no test images");
        return;
    }
    let dir = std::env::temp_dir().join(format!("storage-real-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let store = storage::Store::open(&dir);
    store.prepare().unwrap();
    for layout in layouts {
        let index: Index = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
        let manifest_bytes = std::fs::read(blob(&layout, &index.manifests[0].digest)).unwrap();
        let manifest: Manifest = serde_json::from_slice(&manifest_bytes).unwrap();
        for layer in &manifest.layers {
            let file = std::fs::File::open(blob(&layout, &layer.digest)).unwrap();
            let source = storage::LayerSource {
                reader: Box::new(file),
                blob: Some(&layer.digest),
                blob_size: Some(layer.size),
                diff_id: None,
                progress: &|_| {},
            };
            let record = store.ingest_layer(source).unwrap();
            let mut out = Vec::new();
            store.layer_tar(&record.diff_id, &mut out).unwrap();
            assert_eq!(Digest::from_sha256(&sha2::Sha256::digest(&out).into()), record.diff_id, "{}", layout.display());
        }
        let config = std::fs::read(blob(&layout, &manifest.config.digest)).unwrap();
        let name = oci::Reference::parse("localhost/test:latest").unwrap();
        let image = store
            .add_image(storage::NewImage { manifest: &manifest_bytes, config: &config, name: Some(name), repo_digest: None, now: 1 })
            .unwrap();
        assert_eq!(store.find_image("test").unwrap().unwrap().id, image.id);
    }
    files::remove_tree(&dir).unwrap();
}
