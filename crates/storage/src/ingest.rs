//! A layer comes in: one stream, three threads, both digests, and nothing visible before they are right.
//!
//! ```text
//! source ─► hash of the blob ─► inflate ─► hash of the tar, files written ─► rename into place
//!           (thread 1)          (thread 2)  (this thread)
//! ```

use crate::layer::LayerRecord;
use crate::recipe::RecipeWriter;
use crate::writer::{LayerWriter, WriteError};
use crate::{Staged, Store, StoreError, record};
use archive::{DecodeError, Decoder, TarError, TarReader};
use files::RootDir;
use oci::Digest;
use rustix::fs::{FlockOperation, OFlags, flock};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes handed from thread to thread at once.
const CHUNK: usize = 128 << 10;
/// Chunks in flight between two threads.
const DEPTH: usize = 16;

/// A layer to be taken in, and what is known of it.
pub struct LayerSource<'a> {
    /// The blob, compressed or not.
    pub reader: Box<dyn Read + Send + 'a>,
    /// Its digest.
    pub blob: Option<&'a Digest>,
    /// Its size.
    pub blob_size: Option<u64>,
    /// Digest of its tar.
    pub diff_id: Option<&'a Digest>,
    /// Told how many bytes of the blob have come.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// Why a layer cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The blob is not the one that was named.
    #[error("the blob has digest {found}, not {expected}")]
    BlobDigest {
        /// What was named.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The blob has another size.
    #[error("the blob has {found} bytes, not {expected}")]
    BlobSize {
        /// What was named.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The tar is not the one that was named.
    #[error("the layer has diff id {found}, not {expected}")]
    DiffId {
        /// What was named.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The stream broke.
    #[error("reading the layer")]
    Read(#[source] io::Error),
    /// It cannot be decompressed.
    #[error("decompressing the layer")]
    Decode(#[source] DecodeError),
    /// It is no archive we accept.
    #[error("unpacking the layer")]
    Tar(#[from] TarError),
    /// It cannot be written.
    #[error("unpacking the layer")]
    Write(#[from] WriteError),
    /// The store.
    #[error("storing the layer")]
    Store(#[from] StoreError),
}

impl Store {
    /// Takes a layer in. One that is there already is verified and not written again; of two that come at the
    /// same time the second waits for the first.
    pub fn ingest_layer(&self, source: LayerSource<'_>) -> Result<LayerRecord, IngestError> {
        let _turn = match source.diff_id {
            Some(diff_id) if !self.has_layer(diff_id) => Some(self.wait_turn(diff_id)?),
            _ => None,
        };
        if let Some(diff_id) = source.diff_id
            && self.has_layer(diff_id)
        {
            return Ok(self.layer(diff_id)?);
        }
        let staged = Staged::new(self)?;
        let dir = staged.path().join("layer");
        let make = |path: &std::path::Path| std::fs::create_dir(path).map_err(|e| StoreError::io("making", path, e));
        make(&dir)?;
        make(&dir.join("diff"))?;
        let record = unpack(&dir, source)?;
        record::save(&dir.join("layer.json"), &record)?;
        sync_tree(&dir)?;
        let target = self.layer_dir(&record.diff_id);
        match std::fs::rename(&dir, &target) {
            Ok(()) => {}
            // Without a known diff id two may have come at once; they are the same.
            Err(_) if self.has_layer(&record.diff_id) => {}
            Err(e) => return Err(StoreError::io("storing", target, e).into()),
        }
        Ok(record)
    }

    fn wait_turn(&self, diff_id: &Digest) -> Result<Turn, StoreError> {
        let path = self.path().join("staging").join(format!("layer-{}.lock", diff_id.hex()));
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| StoreError::io("locking", &path, e))?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive)).map_err(|e| StoreError::io("locking", &path, e))?;
        Ok(Turn { path, _file: file })
    }
}

/// The turn to write a layer. Its file goes with it; whoever waited for it finds the layer there.
struct Turn {
    path: std::path::PathBuf,
    _file: std::fs::File,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The data must be on disk before the name is: one sync of the file system does for the whole tree.
fn sync_tree(dir: &std::path::Path) -> Result<(), StoreError> {
    let fd = std::fs::File::open(dir).map_err(|e| StoreError::io("syncing", dir, e))?;
    rustix::fs::syncfs(&fd).map_err(|e| StoreError::io("syncing", dir, e))
}

/// What the reading thread found out.
struct Blob {
    digest: Digest,
    size: u64,
}

fn unpack(dir: &std::path::Path, source: LayerSource<'_>) -> Result<LayerRecord, IngestError> {
    let LayerSource { reader, blob, blob_size, diff_id, progress } = source;
    std::thread::scope(|scope| {
        let (raw_sender, raw_receiver) = sync_channel::<io::Result<Vec<u8>>>(DEPTH);
        let (tar_sender, tar_receiver) = sync_channel::<io::Result<Vec<u8>>>(DEPTH);
        let reading = scope.spawn(move || read_blob(reader, blob_size, raw_sender, progress));
        let inflating = scope.spawn(move || inflate(Chunks::new(raw_receiver), tar_sender));
        let written = write_files(dir, Chunks::new(tar_receiver));
        let decoded = inflating.join().unwrap_or_else(|_| Err(DecodeError::Io(io::Error::other("the thread ended early"))));
        let read = reading.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended early")));
        // The cause comes before what follows from it.
        let found = read.map_err(IngestError::Read)?;
        if let Some(expected) = blob_size.filter(|expected| *expected != found.size) {
            return Err(IngestError::BlobSize { expected, found: found.size });
        }
        if let Some(expected) = blob.filter(|expected| **expected != found.digest) {
            return Err(IngestError::BlobDigest { expected: expected.clone(), found: found.digest });
        }
        decoded.map_err(IngestError::Decode)?;
        let (tar, size, skipped_devices) = written?;
        if let Some(expected) = diff_id.filter(|expected| **expected != tar) {
            return Err(IngestError::DiffId { expected: expected.clone(), found: tar });
        }
        Ok(LayerRecord { version: 1, diff_id: tar, blob: found.digest, blob_size: found.size, size, skipped_devices })
    })
}

fn read_blob(
    mut reader: Box<dyn Read + Send + '_>,
    expected: Option<u64>,
    sender: SyncSender<io::Result<Vec<u8>>>,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<Blob> {
    let mut hash = Sha256::new();
    let mut size = 0u64;
    let mut wanted = true;
    loop {
        let mut chunk = vec![0; CHUNK];
        let got = match reader.read(&mut chunk) {
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                let _ = sender.send(Err(io::Error::new(e.kind(), e.to_string())));
                return Err(e);
            }
        };
        if got == 0 {
            return Ok(Blob { digest: Digest::from_sha256(&hash.finalize().into()), size });
        }
        size += got as u64;
        // More than was named is wrong already; nothing is gained by reading it all.
        if expected.is_some_and(|expected| size > expected) {
            let _ = sender.send(Err(io::Error::other("the blob is longer than it should be")));
            return Ok(Blob { digest: Digest::from_sha256(&hash.finalize().into()), size });
        }
        chunk.truncate(got);
        hash.update(&chunk);
        progress(size);
        // The other side may have failed; the digest is still wanted to tell which error is the cause.
        if wanted && sender.send(Ok(chunk)).is_err() {
            wanted = false;
        }
    }
}

fn inflate(input: Chunks, sender: SyncSender<io::Result<Vec<u8>>>) -> Result<(), DecodeError> {
    let mut decoder = match Decoder::new(BufReader::with_capacity(CHUNK, input)) {
        Ok(decoder) => decoder,
        Err(error) => {
            let _ = sender.send(Err(io::Error::other(error.to_string())));
            return Err(error);
        }
    };
    loop {
        let mut chunk = vec![0; CHUNK];
        let mut filled = 0;
        while filled < CHUNK {
            match decoder.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let _ = sender.send(Err(io::Error::new(e.kind(), e.to_string())));
                    return Err(e.into());
                }
            }
        }
        if filled == 0 {
            return Ok(());
        }
        chunk.truncate(filled);
        if sender.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

fn write_files(dir: &std::path::Path, input: Chunks) -> Result<(Digest, u64, u64), IngestError> {
    let root = RootDir::open(&dir.join("diff")).map_err(|e| StoreError::io("opening", dir, e))?;
    let recipe_path = dir.join("recipe.zst");
    let recipe = std::fs::File::create(&recipe_path).map_err(|e| StoreError::io("writing", &recipe_path, e))?;
    let recipe = RecipeWriter::new(recipe).map_err(|e| StoreError::io("writing", &recipe_path, e))?;
    let mut tar = TarReader::new(Tap { input, hash: Sha256::new(), recipe, size: 0, in_content: false });
    let mut writer = LayerWriter::new(root);
    while let Some(entry) = tar.next_entry()? {
        writer.write::<IngestError>(&entry, |file| {
            if entry.size == 0 {
                return Ok(());
            }
            let tap = tar.get_mut();
            tap.recipe.file(&entry.path, entry.size).map_err(|e| StoreError::io("writing", &recipe_path, e))?;
            tap.in_content = true;
            let mut buffer = [0u8; 64 << 10];
            loop {
                let got = tar.read_content(&mut buffer)?;
                if got == 0 {
                    break;
                }
                write_all(file, &buffer[..got]).map_err(|e| WriteError::Io {
                    path: String::from_utf8_lossy(&entry.path).into_owned(),
                    step: "writing its content",
                    source: e,
                })?;
            }
            tar.get_mut().in_content = false;
            Ok(())
        })?;
    }
    // What follows the end of the archive belongs to its digest.
    let mut tap = tar.into_inner();
    io::copy(&mut tap, &mut io::sink()).map_err(TarError::Io)?;
    let skipped = writer.skipped_devices;
    writer.finish()?;
    tap.recipe.finish().map_err(|e| StoreError::io("writing", &recipe_path, e))?;
    Ok((Digest::from_sha256(&tap.hash.finalize().into()), tap.size, skipped))
}

fn write_all(file: &std::os::fd::OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let wrote = rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))?;
        bytes = &bytes[wrote..];
    }
    Ok(())
}

/// Hashes everything that passes, and notes what is no content of a file.
struct Tap<W: io::Write> {
    input: Chunks,
    hash: Sha256,
    recipe: RecipeWriter<W>,
    size: u64,
    in_content: bool,
}

impl<W: io::Write> Read for Tap<W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.hash.update(&buffer[..got]);
        self.size += got as u64;
        if !self.in_content {
            self.recipe.literal(&buffer[..got])?;
        }
        Ok(got)
    }
}

/// Reads what another thread sends.
struct Chunks {
    receiver: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    at: usize,
}

impl Chunks {
    fn new(receiver: Receiver<io::Result<Vec<u8>>>) -> Self {
        Self { receiver, current: Vec::new(), at: 0 }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            match self.receiver.recv() {
                Ok(Ok(chunk)) => (self.current, self.at) = (chunk, 0),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(0),
            }
        }
        let got = buffer.len().min(self.current.len() - self.at);
        buffer[..got].copy_from_slice(&self.current[self.at..self.at + got]);
        self.at += got;
        Ok(got)
    }
}

/// Flags used when a directory of a layer is opened for reading.
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
