//! One line of a log file.

use std::borrow::Cow;
use std::time::SystemTime;

use memchr::memchr;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::LogFormat;
use crate::Stream;
use crate::logs::json_file::unescape;
use crate::logs::timestamp;

/// A line or a piece of one, as the driver wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub time: SystemTime,
    pub stream: Stream,
    /// Its line goes on in another piece.
    pub partial: bool,
    pub text: Cow<'a, [u8]>,
}

/// Reads a line; `None` if it is none of this format (cut off by a full disk, say).
pub(crate) fn line(format: LogFormat, line: &[u8]) -> Option<Piece<'_>> {
    match format {
        LogFormat::K8sFile => k8s(line),
        LogFormat::JsonFile => json(line),
    }
}

fn k8s(line: &[u8]) -> Option<Piece<'_>> {
    let (time, rest) = word(line)?;
    let (stream, rest) = word(rest)?;
    let (tags, text) = word(rest)?;
    // The CRI allows more tags after a colon.
    let tag = tags.split(|&byte| byte == b':').next()?;
    let partial = match tag {
        b"F" => false,
        b"P" => true,
        _ => return None,
    };
    Some(Piece { time: timestamp::parse(time)?, stream: stream_of(stream)?, partial, text: Cow::Borrowed(text) })
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', text)?;
    Some((&text[..space], &text[space + 1..]))
}

fn stream_of(name: &[u8]) -> Option<Stream> {
    match name {
        b"stdout" => Some(Stream::Stdout),
        b"stderr" => Some(Stream::Stderr),
        _ => None,
    }
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: &'a RawValue,
    stream: &'a str,
    time: &'a str,
}

fn json(line: &[u8]) -> Option<Piece<'_>> {
    let record: DockerLine<'_> = serde_json::from_slice(line).ok()?;
    let quoted = record.log.get().as_bytes().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut text = unescape(quoted)?;
    let partial = text.pop_if(|byte| *byte == b'\n').is_none();
    Some(Piece {
        time: timestamp::parse(record.time.as_bytes())?,
        stream: stream_of(record.stream.as_bytes())?,
        partial,
        text: Cow::Owned(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(format: LogFormat, text: &str, expected: Option<(Stream, bool, &[u8])>) {
        let piece = line(format, text.as_bytes());
        let seen = piece.as_ref().map(|piece| (piece.stream, piece.partial, &*piece.text));
        assert_eq!(seen, expected, "{text}");
    }

    #[test]
    fn kubernetes_lines() {
        let time = "2026-11-27T16:17:01.123456789+00:00";
        let good = |text: &str, expected| check(LogFormat::K8sFile, &format!("{time} {text}"), Some(expected));
        good("stdout F hello world", (Stream::Stdout, false, b"hello world"));
        good("stderr P  two spaces ", (Stream::Stderr, true, b" two spaces "));
        good("stdout F ", (Stream::Stdout, false, b""));
        good("stdout F:x y", (Stream::Stdout, false, b"y"));
        check(LogFormat::K8sFile, "2016-10-06T00:17:09.669794202Z stdout P cri", Some((Stream::Stdout, true, b"cri")));
        for bad in ["", "x", "stdout F", "stdin F x", "stdout Q x", "stdout", " stdout F x"] {
            check(LogFormat::K8sFile, &format!("{time} {bad}"), None);
        }
        check(LogFormat::K8sFile, "yesterday stdout F x", None);
    }

    #[test]
    fn docker_lines() {
        let time = r#""time":"2026-11-27T16:17:01.123456789Z""#;
        let good = |text: &str, expected| check(LogFormat::JsonFile, &format!("{{{text},{time}}}"), Some(expected));
        good(r#""log":"hi\n","stream":"stdout""#, (Stream::Stdout, false, b"hi"));
        good(r#""log":"hi","stream":"stderr""#, (Stream::Stderr, true, b"hi"));
        good(r#""log":"\u003c\u00fc\n","stream":"stdout","attrs":{"a":"b"}"#, (Stream::Stdout, false, "<ü".as_bytes()));
        good(r#""log":"\udcff\u0000\n","stream":"stdout""#, (Stream::Stdout, false, b"\xff\0"));
        for bad in ["", "{}", "[]", r#"{"log":1,"stream":"stdout","time":"2026-11-27T16:17:01Z"}"#, r#"{"log":"x\n","stream":"std"#] {
            check(LogFormat::JsonFile, bad, None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_do_not(text in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = (line(LogFormat::K8sFile, &text).is_some(), line(LogFormat::JsonFile, &text).is_some());
        }
    }
}
