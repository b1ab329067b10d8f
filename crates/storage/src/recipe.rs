//! Recipes: what a layer's tar has beside the content of its files, so that the exact bytes can be made again.
//!
//! ```text
//! zstd of records:  1 length:u32 bytes            written as they are (headers, padding, the end)
//!                   2 length:u32 path size:u64    the content of a file of the layer
//! ```

use crate::Store;
use oci::Digest;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Write};

const MAGIC: &[u8; 8] = b"crclrcp1";

/// Writes a recipe while a layer is read.
pub(crate) struct RecipeWriter<W: Write> {
    out: zstd::stream::write::Encoder<'static, W>,
    literal: Vec<u8>,
}

impl<W: Write> RecipeWriter<W> {
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self { out: zstd::stream::write::Encoder::new(out, 1)?, literal: Vec::new() })
    }

    pub(crate) fn literal(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.literal.extend_from_slice(bytes);
        if self.literal.len() >= 64 << 10 { self.flush_literal() } else { Ok(()) }
    }

    pub(crate) fn file(&mut self, path: &[u8], size: u64) -> io::Result<()> {
        self.flush_literal()?;
        self.out.write_all(&[2])?;
        self.out.write_all(&(path.len() as u32).to_le_bytes())?;
        self.out.write_all(path)?;
        self.out.write_all(&size.to_le_bytes())
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush_literal()?;
        self.out.finish()?.flush()
    }

    fn flush_literal(&mut self) -> io::Result<()> {
        if self.literal.is_empty() {
            return Ok(());
        }
        self.out.write_all(&[1])?;
        self.out.write_all(&(self.literal.len() as u32).to_le_bytes())?;
        self.out.write_all(&self.literal)?;
        self.literal.clear();
        Ok(())
    }
}

/// Why a layer's tar cannot be made again.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A file cannot be read or written.
    #[error("rebuilding layer {diff_id}")]
    Io {
        /// Which.
        diff_id: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are not those of the layer: its files were changed.
    #[error("rebuilding layer {diff_id}: its files have been changed in the store (the result is {found})")]
    Changed {
        /// Which.
        diff_id: Digest,
        /// What came out.
        found: Digest,
    },
}

impl Store {
    /// Writes the exact tar of a layer, and proves it by its digest at the end.
    pub fn layer_tar(&self, diff_id: &Digest, out: &mut dyn Write) -> Result<(), RecipeError> {
        let found = self.write_layer(diff_id, out).map_err(|source| RecipeError::Io { diff_id: diff_id.clone(), source })?;
        if found == *diff_id { Ok(()) } else { Err(RecipeError::Changed { diff_id: diff_id.clone(), found }) }
    }

    fn write_layer(&self, diff_id: &Digest, out: &mut dyn Write) -> io::Result<Digest> {
        let dir = self.layer_dir(diff_id);
        let root = files::RootDir::open(&dir.join("diff"))?;
        let mut recipe = std::fs::File::open(dir.join("recipe.zst"))?;
        let mut magic = [0; 8];
        recipe.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(io::Error::other("the recipe has an unknown format"));
        }
        let mut recipe = zstd::stream::read::Decoder::new(recipe)?;
        let mut hash = Sha256::new();
        let mut kind = [0u8];
        let mut buffer = vec![0; 128 << 10];
        while recipe.read(&mut kind)? == 1 {
            let mut length = [0; 4];
            recipe.read_exact(&mut length)?;
            let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
            recipe.read_exact(&mut bytes)?;
            if kind[0] == 1 {
                hash.update(&bytes);
                out.write_all(&bytes)?;
                continue;
            }
            let mut size = [0; 8];
            recipe.read_exact(&mut size)?;
            let mut left = u64::from_le_bytes(size);
            let parts = files::clean_parts(&bytes).ok_or_else(|| io::Error::other("the recipe names a path that climbs"))?;
            let mut file = std::fs::File::from(root.find(&parts.join(&b'/'), OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK)?);
            while left > 0 {
                let want = buffer.len().min(left as usize);
                let got = file.read(&mut buffer[..want])?;
                if got == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
                hash.update(&buffer[..got]);
                out.write_all(&buffer[..got])?;
                left -= got as u64;
            }
        }
        Ok(Digest::from_sha256(&hash.finalize().into()))
    }
}
