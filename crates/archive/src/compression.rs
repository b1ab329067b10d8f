//! Compressions, told apart by their first bytes.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, Read};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one member or several.
    Gzip,
    /// zstd.
    Zstd,
}

/// A compression we do not read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Known by its first bytes, but not read.
    #[error("{name} compression is not supported: recompress with gzip or zstd")]
    Unsupported {
        /// Its name.
        name: &'static str,
    },
    /// The stream cannot be read.
    #[error("reading the stream")]
    Io(#[from] io::Error),
}

impl Compression {
    /// Tells a compression by the first bytes of a stream.
    pub fn detect(start: &[u8]) -> Result<Self, DecodeError> {
        let is = |magic: &[u8]| start.starts_with(magic);
        if is(&[0x1f, 0x8b]) {
            Ok(Self::Gzip)
        } else if is(&[0x28, 0xb5, 0x2f, 0xfd]) || (start.len() >= 4 && start[0] & 0xf0 == 0x50 && start[1..4] == [0x2a, 0x4d, 0x18]) {
            Ok(Self::Zstd)
        } else if is(b"\xfd7zXZ\0") {
            Err(DecodeError::Unsupported { name: "xz" })
        } else if is(b"BZh") {
            Err(DecodeError::Unsupported { name: "bzip2" })
        } else {
            Ok(Self::None)
        }
    }
}

/// Windows larger than 128 MiB are refused: no honest layer needs one.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Decompresses whatever it is given.
pub enum Decoder<R: BufRead> {
    /// As it is.
    Plain(R),
    /// gzip.
    Gzip(Box<MultiGzDecoder<R>>),
    /// zstd.
    Zstd(Box<zstd::stream::read::Decoder<'static, R>>),
}

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes and chooses.
    pub fn new(mut reader: R) -> Result<Self, DecodeError> {
        let compression = Compression::detect(reader.fill_buf()?)?;
        Ok(match compression {
            Compression::None => Self::Plain(reader),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(reader))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(reader) => reader.read(buffer),
            Self::Zstd(reader) => reader.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn streams_are_told_apart_and_read() {
        let text = b"coracle ".repeat(1000);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&text).unwrap();
        let gz = gz.finish().unwrap();
        let twice: Vec<u8> = gz.iter().chain(&gz).copied().collect();
        let zst = zstd::encode_all(&text[..], 1).unwrap();
        let read = |bytes: &[u8]| {
            let mut out = Vec::new();
            Decoder::new(bytes).unwrap().read_to_end(&mut out).map(|_| out)
        };
        assert_eq!(read(&gz).unwrap(), text);
        assert_eq!(read(&twice).unwrap().len(), 2 * text.len());
        assert_eq!(read(&zst).unwrap(), text);
        assert_eq!(read(&text).unwrap(), text);
        assert!(read(&gz[..gz.len() / 2]).is_err());
        assert!(Decoder::new(&b"\xfd7zXZ\0"[..]).is_err());
    }
}
