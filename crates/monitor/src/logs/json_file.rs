//! The `json-file` driver, as Docker writes it: `{"log":"text\n","stream":"stdout","time":"2026-11-27T16:17:01.123456789Z"}`.
//!
//! A piece of a line has no `\n` at its end. Bytes that are not UTF-8 are written as the lone surrogates U+DC80 to
//! U+DCFF: every reader of JSON shows U+FFFD for them, as for what Docker writes, but ours gives the bytes back.

use std::time::SystemTime;

use memchr::memchr;

use super::batch::Batch;
use super::file::RotatingFile;
use super::read::LogFormat;
use super::{LogWriter, timestamp};
use crate::Stream;

/// The longest piece of a line in one record, Docker's too.
const PIECE: usize = 16 << 10;
/// All of a record but its text.
const FRAME: usize = r#"{"log":"","stream":"stdout","time":"2026-11-27T16:17:01.123456789Z"}"#.len() + 1;
/// The most characters one byte can become.
const WORST_ESCAPE: usize = 6;

/// Writes Docker's JSON lines.
pub(crate) struct JsonFile {
    batch: Batch,
    /// Per stream, the beginning of a character whose rest has not come yet.
    unfinished: [Vec<u8>; 2],
    escaped: Vec<u8>,
}

impl JsonFile {
    pub fn new(file: RotatingFile) -> JsonFile {
        JsonFile { batch: Batch::new(file, LogFormat::JsonFile), unfinished: [Vec::new(), Vec::new()], escaped: Vec::new() }
    }

    fn add_lines(&mut self, stream: Stream, bytes: &[u8], now: SystemTime) {
        let time = timestamp::format_utc(now);
        let stream_and_time = [br#"","stream":""#.as_slice(), stream.name().as_bytes(), br#"","time":""#, &time, b"\"}\n"].concat();
        let longest = ((self.batch.longest_record() - FRAME) / WORST_ESCAPE).min(PIECE);
        let mut rest = bytes;
        while !rest.is_empty() {
            let window = &rest[..rest.len().min(longest)];
            let length = match memchr(b'\n', window) {
                Some(end) => end + 1,
                None if window.len() < rest.len() => window.len() - unfinished_tail(window),
                None => window.len(),
            };
            self.escaped.clear();
            escape(&rest[..length], &mut self.escaped);
            self.batch.add(&[br#"{"log":""#, &self.escaped, &stream_and_time]);
            rest = &rest[length..];
        }
    }
}

impl LogWriter for JsonFile {
    fn write(&mut self, stream: Stream, bytes: &[u8], now: SystemTime) {
        let held = &mut self.unfinished[stream as usize];
        let joined;
        let bytes = if held.is_empty() {
            bytes
        } else {
            held.extend_from_slice(bytes);
            joined = std::mem::take(held);
            &joined
        };
        let (whole, tail) = bytes.split_at(bytes.len() - unfinished_tail(bytes));
        self.unfinished[stream as usize] = tail.to_vec();
        self.add_lines(stream, whole, now);
        self.batch.flush();
    }

    fn finish(&mut self, now: SystemTime) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let tail = std::mem::take(&mut self.unfinished[stream as usize]);
            self.add_lines(stream, &tail, now);
        }
        self.batch.flush();
    }

    fn dropped(&self) -> u64 {
        self.batch.dropped()
    }
}

/// Returns how many bytes at the end are the beginning of a UTF-8 character.
fn unfinished_tail(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let needed = match bytes[bytes.len() - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if needed > back { back } else { 0 };
    }
    0
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(bytes).is_ok() {
        return escape_text(bytes, out);
    }
    for chunk in bytes.utf8_chunks() {
        escape_text(chunk.valid().as_bytes(), out);
        for byte in chunk.invalid() {
            escape_unit(0xdc00 | u16::from(*byte), out);
        }
    }
}

/// Copies runs that need no escape; a run is looked for in blocks, without a branch per byte.
fn escape_text(text: &[u8], out: &mut Vec<u8>) {
    for block in text.chunks(32) {
        if block.iter().fold(false, |any, &byte| any | (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == 0x7f)) {
            escape_block(block, out);
        } else {
            out.extend_from_slice(block);
        }
    }
}

fn escape_block(text: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, &byte) in text.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f | 0x7f => 0,
            _ => continue,
        };
        out.extend_from_slice(&text[plain..at]);
        plain = at + 1;
        match short {
            0 => escape_unit(byte.into(), out),
            short => out.extend_from_slice(&[b'\\', short]),
        }
    }
    out.extend_from_slice(&text[plain..]);
}

fn escape_unit(unit: u16, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    out.extend([12, 8, 4, 0].map(|shift| DIGITS[usize::from(unit >> shift & 15)]));
}

/// Takes the escapes out of the inside of a JSON string; the inverse of what this driver and Docker write.
pub(crate) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (&letter, after) = rest[at + 1..].split_first()?;
        rest = after;
        match letter {
            b'"' | b'\\' | b'/' => out.push(letter),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => rest = unescape_unit(rest, &mut out)?,
            _ => return None,
        }
    }
    out.extend_from_slice(rest);
    Some(out)
}

fn unescape_unit<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (unit, mut rest) = take_unit(text)?;
    let mut code = u32::from(unit);
    if let 0xdc80..=0xdcff = unit {
        out.push(unit as u8);
        return Some(rest);
    }
    if let 0xd800..=0xdbff = unit
        && let Some((low @ 0xdc00..=0xdfff, after)) = rest.strip_prefix(b"\\u").and_then(take_unit)
    {
        code = 0x10000 + ((code - 0xd800) << 10) + (u32::from(low) - 0xdc00);
        rest = after;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

fn take_unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes() {
        assert_eq!(escaped(b"plain\n"), r"plain\n");
        assert_eq!(escaped(b"\"\\\t\r\x00\x1b[0m\x7f"), r#"\"\\\t\r\u0000\u001b[0m\u007f"#);
        assert_eq!(escaped("ü€😀".as_bytes()), "ü€😀");
        assert_eq!(escaped(b"\xff\xfe a\xc3"), r"\udcff\udcfe a\udcc3");
        assert_eq!(unescape(br"\ud83d\ude00\u00fc\/\b\f").unwrap(), "😀ü/\u{8}\u{c}".as_bytes());
        assert_eq!(unescape(br"\ud83d!").unwrap(), "\u{fffd}!".as_bytes());
        for bad in [r"\", r"\x", r"\u12", r"\u+123", r"\uzzzz"] {
            assert_eq!(unescape(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn tails() {
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"abc", 0),
            (b"a\xc3", 1),
            (b"\xc3\xa4", 0),
            (b"\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
            (b"\xf0\x9f\x98\x80", 0),
            (b"\x80\x80\x80\x80", 0),
            (b"\xff", 0),
        ] {
            assert_eq!(unfinished_tail(bytes), expected, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = escaped(&bytes);
            prop_assert_eq!(unescape(text.as_bytes()).unwrap(), bytes);
            let quoted = format!("\"{text}\"");
            prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&quoted).is_ok());
        }
    }
}
