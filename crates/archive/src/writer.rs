//! Writes tar: ustar where it suffices, PAX where not. The same entries always give the same bytes.

use crate::reader::{Entry, EntryKind};
use std::io::{self, Read, Write};

/// Writes entries one after the other.
pub struct TarWriter<W: Write> {
    writer: W,
}

impl<W: Write> TarWriter<W> {
    /// Writes to a stream.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// Writes an entry and, for a file, exactly `entry.size` bytes of content.
    pub fn append(&mut self, entry: &Entry, content: impl Read) -> io::Result<()> {
        let mut records = Vec::new();
        let mut record = |key: &[u8], value: &[u8]| {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + rest.to_string().len();
            if length.to_string().len() > rest.to_string().len() {
                length = rest + length.to_string().len();
            }
            records.extend(length.to_string().as_bytes());
            records.push(b' ');
            records.extend(key);
            records.push(b'=');
            records.extend(value);
            records.push(b'\n');
        };
        if entry.path.len() > 100 {
            record(b"path", &entry.path);
        }
        if entry.link.len() > 100 {
            record(b"linkpath", &entry.link);
        }
        let fits = |value: u64, digits: u32| value < 1 << (3 * digits);
        if !fits(entry.size, 11) {
            record(b"size", entry.size.to_string().as_bytes());
        }
        if !fits(entry.uid, 7) {
            record(b"uid", entry.uid.to_string().as_bytes());
        }
        if !fits(entry.gid, 7) {
            record(b"gid", entry.gid.to_string().as_bytes());
        }
        if entry.mtime.0 < 0 || !fits(entry.mtime.0 as u64, 11) {
            record(b"mtime", entry.mtime.0.to_string().as_bytes());
        }
        for (name, value) in &entry.xattrs {
            record(&[b"SCHILY.xattr.".as_slice(), name].concat(), value);
        }
        if !records.is_empty() {
            let header = header(b"././@PaxHeader", b'x', 0o644, 0, 0, 0, records.len() as u64, b"", (0, 0));
            self.writer.write_all(&header)?;
            self.writer.write_all(&records)?;
            self.pad(records.len() as u64)?;
        }
        let flag = match entry.kind {
            EntryKind::File => b'0',
            EntryKind::HardLink => b'1',
            EntryKind::Symlink => b'2',
            EntryKind::CharDevice => b'3',
            EntryKind::BlockDevice => b'4',
            EntryKind::Directory => b'5',
            EntryKind::Fifo => b'6',
        };
        let cut = |value: u64, digits: u32| if fits(value, digits) { value } else { 0 };
        let mtime = u64::try_from(entry.mtime.0).map_or(0, |mtime| cut(mtime, 11));
        let size = if entry.kind == EntryKind::File { entry.size } else { 0 };
        self.writer.write_all(&header(
            &entry.path[..entry.path.len().min(100)],
            flag,
            entry.mode,
            cut(entry.uid, 7),
            cut(entry.gid, 7),
            mtime,
            cut(size, 11),
            &entry.link[..entry.link.len().min(100)],
            entry.device,
        ))?;
        if size > 0 {
            let copied = io::copy(&mut content.take(size), &mut self.writer)?;
            if copied < size {
                // A file that shrank while we read it: the header is written, so zeros fill the rest.
                io::copy(&mut io::repeat(0).take(size - copied), &mut self.writer)?;
            }
            self.pad(size)?;
        }
        Ok(())
    }

    /// Writes the end of the archive and gives the stream back.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.write_all(&[0; 1024])?;
        self.writer.flush()?;
        Ok(self.writer)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = (size.wrapping_neg() % 512) as usize;
        self.writer.write_all(&[0; 512][..padding])
    }
}

#[allow(clippy::too_many_arguments)]
fn header(path: &[u8], flag: u8, mode: u32, uid: u64, gid: u64, mtime: u64, size: u64, link: &[u8], device: (u32, u32)) -> [u8; 512] {
    let mut header = [0u8; 512];
    let octal = |field: &mut [u8], value: u64| {
        let text = format!("{value:0width$o}\0", width = field.len() - 1);
        field.copy_from_slice(text.as_bytes());
    };
    header[..path.len()].copy_from_slice(path);
    octal(&mut header[100..108], u64::from(mode));
    octal(&mut header[108..116], uid);
    octal(&mut header[116..124], gid);
    octal(&mut header[124..136], size);
    octal(&mut header[136..148], mtime);
    header[156] = flag;
    header[157..157 + link.len()].copy_from_slice(link);
    header[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut header[329..337], u64::from(device.0));
    octal(&mut header[337..345], u64::from(device.1));
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|b| u64::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TarReader;

    fn entry(path: &str, kind: EntryKind, size: u64) -> Entry {
        Entry {
            path: path.into(),
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            size,
            link: Vec::new(),
            device: (0, 0),
            xattrs: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let long = format!("{}/file", "d".repeat(200));
        let mut entries = vec![entry("a/", EntryKind::Directory, 0), entry(&long, EntryKind::File, 700), entry("l", EntryKind::Symlink, 0)];
        entries[1].uid = 3_000_000_000;
        entries[1].xattrs = vec![(b"user.x".to_vec(), b"a\0b\n".to_vec())];
        entries[1].mtime = (-5, 0);
        entries[2].link = "t".repeat(150).into();
        let mut writer = TarWriter::new(Vec::new());
        for entry in &entries {
            writer.append(entry, &[7u8; 700][..]).unwrap();
        }
        let bytes = writer.finish().unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let mut reader = TarReader::new(&bytes[..]);
        for entry in &entries {
            assert_eq!(&reader.next_entry().unwrap().unwrap(), entry);
        }
        assert!(reader.next_entry().unwrap().is_none());
    }

    #[test]
    fn damage_is_refused() {
        let mut writer = TarWriter::new(Vec::new());
        writer.append(&entry("a", EntryKind::File, 100), &[1u8; 100][..]).unwrap();
        let good = writer.finish().unwrap();
        let mut bad_sum = good.clone();
        bad_sum[0] = b'b';
        assert!(TarReader::new(&bad_sum[..]).next_entry().is_err());
        let mut reader = TarReader::new(&good[..600]);
        reader.next_entry().unwrap();
        assert!(matches!(reader.next_entry(), Err(crate::TarError::Truncated)));
        assert!(TarReader::new(&[1u8; 300][..]).next_entry().is_err());
    }
}
