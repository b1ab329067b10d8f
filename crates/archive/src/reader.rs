//! Reads tar: ustar, GNU long names, PAX. Limits on everything that has a length.

use std::io::{self, Read};

/// Names longer than this are refused.
const NAME_LIMIT: u64 = 64 << 10;
/// A PAX header longer than this is refused.
const PAX_LIMIT: u64 = 4 << 20;
const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with content.
    File,
    /// Another name of an earlier entry.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A FIFO.
    Fifo,
}

/// An entry, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path as it was written.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, with set-user-id and the like.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    /// Bytes of content.
    pub size: u64,
    /// Target of a link.
    pub link: Vec<u8>,
    /// Device number.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why a stream is not a tar archive we accept.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream cannot be read.
    #[error("reading the archive")]
    Io(#[from] io::Error),
    /// It ends in the middle.
    #[error("the archive ends in the middle of an entry")]
    Truncated,
    /// A header does not add up.
    #[error("the archive has a damaged header at byte {position}: {problem}")]
    Damaged {
        /// Where.
        position: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Something we do not read.
    #[error("entry {path:?} is of a kind that is not supported: {what}")]
    Unsupported {
        /// Its name.
        path: String,
        /// What it is.
        what: String,
    },
    /// Something is longer than we accept.
    #[error("the archive has a {what} of {size} bytes at byte {position}, more than is accepted")]
    TooLong {
        /// What.
        what: &'static str,
        /// Its size.
        size: u64,
        /// Where.
        position: u64,
    },
}

/// Reads entries one after the other; content is read in between, or skipped.
pub struct TarReader<R> {
    reader: R,
    position: u64,
    content_left: u64,
    padding: u64,
    finished: bool,
}

#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: bool,
}

impl<R: Read> TarReader<R> {
    /// Reads from a plain (uncompressed) stream.
    pub fn new(reader: R) -> Self {
        Self { reader, position: 0, content_left: 0, padding: 0, finished: false }
    }

    /// Gives the reader back; what is left of the stream is still in it.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The reader itself.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Reads content of the entry returned last.
    pub fn read_content(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let want = buffer.len().min(usize::try_from(self.content_left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        loop {
            match self.reader.read(&mut buffer[..want]) {
                Ok(0) => return Err(TarError::Truncated),
                Ok(n) => {
                    self.content_left -= n as u64;
                    self.position += n as u64;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Reads the next entry; `None` at the end of the archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        if self.finished {
            return Ok(None);
        }
        let mut extended = Extended::default();
        let (mut long_path, mut long_link): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
        let mut seen_pax = false;
        loop {
            self.skip_content()?;
            let at = self.position;
            let Some(header) = self.read_header()? else {
                self.finished = true;
                return if seen_pax || long_path.is_some() || long_link.is_some() {
                    Err(damaged(at, "it describes an entry that does not follow"))
                } else {
                    Ok(None)
                };
            };
            let size = number(&header[124..136]).ok_or_else(|| damaged(at, "the size is not a number"))?;
            match header[156] {
                b'L' => long_path = Some(self.read_text(size, NAME_LIMIT, "name")?),
                b'K' => long_link = Some(self.read_text(size, NAME_LIMIT, "link target")?),
                b'x' => {
                    if seen_pax {
                        return Err(damaged(at, "two extended headers describe one entry"));
                    }
                    seen_pax = true;
                    let records = self.read_block(size, PAX_LIMIT, "extended header")?;
                    parse_pax(&records, &mut extended).ok_or_else(|| damaged(at, "the extended header is not a list of records"))?;
                }
                // Global headers carry comments; nothing in a layer depends on them.
                b'g' => drop(self.read_block(size, PAX_LIMIT, "global header")?),
                flag => return self.entry(&header, flag, size, at, extended, long_path, long_link).map(Some),
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn entry(
        &mut self,
        header: &[u8; BLOCK],
        flag: u8,
        size: u64,
        at: u64,
        extended: Extended,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, TarError> {
        let path = extended.path.or(long_path).unwrap_or_else(|| header_path(header));
        let link = extended.link.or(long_link).unwrap_or_else(|| text(&header[157..257]).to_vec());
        let unsupported = |what: String| TarError::Unsupported { path: String::from_utf8_lossy(&path).into_owned(), what };
        if extended.sparse || flag == b'S' {
            return Err(unsupported("a sparse file".to_owned()));
        }
        let kind = match flag {
            b'0' | 0 | b'7' if path.ends_with(b"/") => EntryKind::Directory,
            b'0' | 0 | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' => EntryKind::CharDevice,
            b'4' => EntryKind::BlockDevice,
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => return Err(unsupported(format!("type {:?}", other as char))),
        };
        let field = |range: std::ops::Range<usize>, what: &'static str| number(&header[range]).ok_or_else(|| damaged(at, what));
        let size = extended.size.unwrap_or(size);
        // Only files have content; some writers give links the size of their target all the same.
        let content = if kind == EntryKind::File { size } else { 0 };
        if kind != EntryKind::File && size != 0 && !matches!(kind, EntryKind::HardLink | EntryKind::Symlink) {
            return Err(damaged(at, "something that is no file has content"));
        }
        self.content_left = content;
        self.padding = content.wrapping_neg() % BLOCK as u64;
        let mtime = match extended.mtime {
            Some(mtime) => mtime,
            None => (signed_number(&header[136..148]).ok_or_else(|| damaged(at, "the time is not a number"))?, 0),
        };
        let is_device = matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice);
        let device = if is_device {
            (field(329..337, "the device is not a number")? as u32, field(337..345, "the device is not a number")? as u32)
        } else {
            (0, 0)
        };
        Ok(Entry {
            kind,
            mode: field(100..108, "the mode is not a number")? as u32 & 0o7777,
            uid: match extended.uid {
                Some(uid) => uid,
                None => field(108..116, "the owner is not a number")?,
            },
            gid: match extended.gid {
                Some(gid) => gid,
                None => field(116..124, "the group is not a number")?,
            },
            mtime,
            size: content,
            device,
            xattrs: extended.xattrs,
            link,
            path,
        })
    }

    fn skip_content(&mut self) -> Result<(), TarError> {
        let mut buffer = [0u8; 16 << 10];
        while self.read_content(&mut buffer)? > 0 {}
        self.content_left = std::mem::take(&mut self.padding);
        while self.read_content(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Reads a header block; `None` at the end: a block of zeros, or the end of the stream.
    fn read_header(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let at = self.position;
        let mut header = [0u8; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut header[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(TarError::Truncated),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.position += BLOCK as u64;
        if header.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let sum = number(&header[148..156]).ok_or_else(|| damaged(at, "the checksum is not a number"))?;
        let bytes = || header.iter().enumerate().map(|(n, b)| if (148..156).contains(&n) { b' ' } else { *b });
        let unsigned: u64 = bytes().map(u64::from).sum();
        let signed: i64 = bytes().map(|b| i64::from(b as i8)).sum();
        if sum != unsigned && i64::try_from(sum) != Ok(signed) {
            return Err(damaged(at, "the checksum is wrong"));
        }
        Ok(Some(header))
    }

    fn read_block(&mut self, size: u64, limit: u64, what: &'static str) -> Result<Vec<u8>, TarError> {
        if size > limit {
            return Err(TarError::TooLong { what, size, position: self.position });
        }
        self.content_left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        let mut block = vec![0; size as usize];
        let mut filled = 0;
        while filled < block.len() {
            filled += self.read_content(&mut block[filled..])?;
        }
        Ok(block)
    }

    fn read_text(&mut self, size: u64, limit: u64, what: &'static str) -> Result<Vec<u8>, TarError> {
        let block = self.read_block(size, limit, what)?;
        Ok(text(&block).to_vec())
    }
}

fn damaged(position: u64, problem: &'static str) -> TarError {
    TarError::Damaged { position, problem }
}

/// Bytes up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

fn header_path(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&header[..100]);
    let prefix = text(&header[345..500]);
    // Only POSIX archives have a prefix; GNU's put times there.
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() { [prefix, b"/", name].concat() } else { name.to_vec() }
}

/// An octal field, or GNU's base 256; an empty one is 0.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        if field[0] != 0x80 {
            return None;
        }
        return field[1..].iter().try_fold(0u64, |n, b| if n >> 56 == 0 { Some(n << 8 | u64::from(*b)) } else { None });
    }
    octal(field)
}

fn signed_number(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 == 0 {
        return octal(field)?.try_into().ok();
    }
    let negative = field[0] & 0x40 != 0;
    let start = if negative { -1i64 } else { 0 };
    let first = i64::from(field[0] & 0x3f) | if negative { !0x3f } else { 0 };
    let tail = &field[1..];
    let head_ok = tail[..tail.len() - 8].iter().all(|b| *b == if negative { 0xff } else { 0 }) && (first == start);
    if !head_ok {
        return None;
    }
    Some(i64::from_be_bytes(tail[tail.len() - 8..].try_into().ok()?))
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits: &[u8] = field.split(|b| *b == 0).next().unwrap_or_default();
    let digits = digits.trim_ascii();
    digits.iter().try_fold(0u64, |n, b| if (b'0'..=b'7').contains(b) && n >> 60 == 0 { Some(n * 8 + u64::from(b - b'0')) } else { None })
}

/// Records of `length key=value\n` (pax(1)).
fn parse_pax(mut records: &[u8], into: &mut Extended) -> Option<()> {
    while !records.is_empty() {
        let space = records.iter().take(20).position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        if length <= space + 1 || length > records.len() || records[length - 1] != b'\n' {
            return None;
        }
        let record = &records[space + 1..length - 1];
        let equals = record.iter().position(|b| *b == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let decimal = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        match key {
            b"path" => into.path = Some(no_nul(value)?),
            b"linkpath" => into.link = Some(no_nul(value)?),
            b"size" => into.size = Some(decimal()?),
            b"uid" => into.uid = Some(decimal()?),
            b"gid" => into.gid = Some(decimal()?),
            b"mtime" => into.mtime = Some(time(value)?),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    into.xattrs.push((no_nul(name)?, value.to_vec()));
                } else if key.starts_with(b"GNU.sparse.") {
                    into.sparse = true;
                }
            }
        }
        records = &records[length..];
    }
    Some(())
}

fn no_nul(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty() && !value.contains(&0)).then(|| value.to_vec())
}

/// `-1.5` is half a second before -1.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = digits.parse().ok()?;
    if text.starts_with('-') && nanos > 0 { Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)) } else { Some((seconds, nanos)) }
}
