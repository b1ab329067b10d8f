//! Reading the journal by running `journalctl`: its files have many formats, and only it knows them all.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memchr::memchr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Deserialize;

use super::join::Joiner;
use super::parse::Piece;
use super::{ReadLogError, ReadOptions, Record};
use crate::Stream;

/// How long the journal is given to show the last lines of a container that has ended.
const LAST_WORDS: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

pub(crate) fn read(
    container_id: &str,
    options: ReadOptions<'_>,
    sink: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
) -> Result<(), ReadLogError> {
    let mut journalctl = Journalctl(command(container_id, &options).spawn().map_err(ReadLogError::Journalctl)?);
    let mut joiner = Joiner::new(options.since, options.until);
    let mut text = Vec::new();
    while journalctl.read_more(&mut text, options.follow, options.until).map_err(ReadLogError::Journalctl)? {
        let mut given = 0;
        while let Some(length) = memchr(b'\n', &text[given..]) {
            if let Some(piece) = entry(&text[given..given + length])
                && joiner.add(&piece, sink).is_break()
            {
                return Ok(());
            }
            given += length + 1;
        }
        text.drain(..given);
        if options.follow.is_some() && joiner.flush(sink).is_break() {
            return Ok(());
        }
    }
    let _ = joiner.flush(sink);
    Ok(())
}

fn command(container_id: &str, options: &ReadOptions<'_>) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager", "--all", "--output=json"]);
    command.arg("--output-fields=MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE");
    if let Some(since) = options.since {
        command.arg(format!("--since=@{}", whole_seconds(since)));
    }
    if let Some(until) = options.until.filter(|_| options.follow.is_none()) {
        command.arg(format!("--until=@{}", whole_seconds(until) + 1));
    }
    match options.tail {
        Some(count) => command.arg(format!("--lines={count}")),
        None => command.arg("--lines=all"),
    };
    if options.follow.is_some() {
        command.arg("--follow");
    }
    command.arg(format!("CONTAINER_ID_FULL={container_id}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A running `journalctl`, ended when dropped.
struct Journalctl(Child);

impl Journalctl {
    /// Reads on; false when there is no more.
    fn read_more(&mut self, text: &mut Vec<u8>, follow: Option<BorrowedFd<'_>>, until: Option<SystemTime>) -> io::Result<bool> {
        let output = self.0.stdout.as_mut().expect("it was spawned with a pipe");
        let mut ended = false;
        loop {
            let left = follow.and(until).map(|until| until.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO));
            let left = left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
            let mut fds = vec![PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)];
            fds.extend(follow.filter(|_| !ended).map(|ended| PollFd::from_borrowed_fd(ended, PollFlags::IN)));
            match poll(&mut fds, if ended { Some(&LAST_WORDS) } else { left.as_ref() }) {
                Ok(0) => return Ok(false),
                Ok(_) if fds[0].revents().is_empty() => ended = true,
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let used = text.len();
        text.resize(used + (64 << 10), 0);
        let count = output.read(&mut text[used..])?;
        text.truncate(used + count);
        Ok(count > 0)
    }
}

impl Drop for Journalctl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Deserialize)]
struct JournalEntry {
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    time: String,
    #[serde(rename = "PRIORITY")]
    priority: Option<String>,
    #[serde(rename = "MESSAGE")]
    message: Option<Message>,
    #[serde(rename = "CONTAINER_PARTIAL_MESSAGE")]
    partial: Option<String>,
}

/// Text, or the numbers of bytes that are none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
}

fn entry(line: &[u8]) -> Option<Piece<'static>> {
    let entry: JournalEntry = serde_json::from_slice(line).ok()?;
    let text = match entry.message {
        Some(Message::Text(text)) => text.into_bytes(),
        Some(Message::Bytes(bytes)) => bytes,
        None => Vec::new(),
    };
    Some(Piece {
        time: UNIX_EPOCH.checked_add(Duration::from_micros(entry.time.parse().ok()?))?,
        stream: if entry.priority.as_deref() == Some("3") { Stream::Stderr } else { Stream::Stdout },
        partial: entry.partial.as_deref() == Some("true"),
        text: text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_journal() {
        let check = |line: &str, expected: Option<(u64, Stream, bool, &[u8])>| {
            let piece = entry(line.as_bytes());
            let seen = piece.as_ref().map(|piece| {
                let time = piece.time.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
                (time, piece.stream, piece.partial, &*piece.text)
            });
            assert_eq!(seen, expected, "{line}");
        };
        check(r#"{"__REALTIME_TIMESTAMP":"5","PRIORITY":"6","MESSAGE":"hi"}"#, Some((5, Stream::Stdout, false, b"hi")));
        check(r#"{"__REALTIME_TIMESTAMP":"5","PRIORITY":"3","MESSAGE":[104,0,255]}"#, Some((5, Stream::Stderr, false, b"h\0\xff")));
        check(
            r#"{"__REALTIME_TIMESTAMP":"5","MESSAGE":"x","CONTAINER_PARTIAL_MESSAGE":"true","_BOOT_ID":"b"}"#,
            Some((5, Stream::Stdout, true, b"x")),
        );
        check(r#"{"__REALTIME_TIMESTAMP":"5","MESSAGE":null}"#, Some((5, Stream::Stdout, false, b"")));
        check(r#"{"MESSAGE":"x"}"#, None);
        check("not json", None);
    }
}
