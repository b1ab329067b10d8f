//! Logs on a real disk: written by the drivers, rotated under a reader, read from the end.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use monitor::Stream;
use monitor::logs::{self, LogConfig, LogFormat, LogIdentity, LogSource, LogWriter, OpenLogError, ReadOptions};
use proptest::prelude::*;
use rustix::pipe::{PipeFlags, pipe_with};
use spec::log::LogDriver;
use tempfile::TempDir;

struct Log {
    directory: TempDir,
    format: LogFormat,
    max_size: Option<i64>,
    max_files: Option<u32>,
}

/// What was read: stream, text, and whether the line begins and ends with it.
type Seen = (Stream, Vec<u8>, bool, bool);

impl Log {
    fn new(format: LogFormat) -> Log {
        Log { directory: tempfile::tempdir().unwrap(), format, max_size: Some(-1), max_files: None }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ctr.log")
    }

    fn open(&self) -> Box<dyn LogWriter> {
        logs::open(&self.config()).unwrap()
    }

    fn config(&self) -> LogConfig {
        LogConfig {
            driver: if self.format == LogFormat::K8sFile { LogDriver::K8sFile } else { LogDriver::JsonFile },
            path: self.path(),
            max_size: self.max_size,
            max_files: self.max_files,
            identity: LogIdentity::default(),
        }
    }

    fn read(&self, options: ReadOptions<'_>) -> Vec<Seen> {
        read(&self.path(), self.format, options)
    }

    /// Returns the lines of both streams as text, unfinished ones with `…`.
    fn lines(&self, options: ReadOptions<'_>) -> Vec<String> {
        let text = |(_, text, _, ends): &Seen| String::from_utf8_lossy(text).into_owned() + if *ends { "" } else { "…" };
        self.read(options).iter().map(text).collect()
    }
}

fn read(path: &Path, format: LogFormat, options: ReadOptions<'_>) -> Vec<Seen> {
    let mut seen = Vec::new();
    logs::read(LogSource::File { path, format }, options, &mut |record| {
        seen.push((record.stream, record.text.to_vec(), record.begins_line, record.ends_line));
        ControlFlow::Continue(())
    })
    .unwrap();
    seen
}

fn all() -> ReadOptions<'static> {
    ReadOptions::default()
}

fn tail(count: u64) -> ReadOptions<'static> {
    ReadOptions { tail: Some(count), ..all() }
}

fn put(log: &mut Box<dyn LogWriter>, stream: Stream, text: &str) {
    log.write(stream, text.as_bytes(), SystemTime::now());
}

const BOTH: [LogFormat; 2] = [LogFormat::K8sFile, LogFormat::JsonFile];

#[test]
fn pieces_become_lines_again() {
    for format in BOTH {
        let log = Log::new(format);
        let mut writer = log.open();
        put(&mut writer, Stream::Stdout, "one\ntw");
        put(&mut writer, Stream::Stderr, "error\n");
        put(&mut writer, Stream::Stdout, "o\n\n");
        put(&mut writer, Stream::Stdout, "no newline");
        assert_eq!(log.lines(all()), ["one", "error", "two", "", "no newline…"], "{format:?}");
        let seen = log.read(all());
        assert_eq!(seen[1].0, Stream::Stderr);
        assert!(seen.iter().all(|(_, _, begins, _)| *begins));
    }
}

#[test]
fn a_character_cut_in_two_stays_one_in_json() {
    let log = Log::new(LogFormat::JsonFile);
    let mut writer = log.open();
    let euro = "€\n".as_bytes();
    writer.write(Stream::Stdout, &euro[..2], SystemTime::now());
    writer.write(Stream::Stdout, &euro[2..], SystemTime::now());
    writer.write(Stream::Stderr, b"\xe2\x82", SystemTime::now());
    writer.finish(SystemTime::now());
    let text = std::fs::read_to_string(log.path()).unwrap();
    assert!(text.contains(r#"{"log":"€\n","stream":"stdout""#), "{text}");
    assert_eq!(log.read(all())[1].1, b"\xe2\x82");
    // Every line is JSON to others, too.
    for line in text.lines().take(1) {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn tails() {
    for format in BOTH {
        let log = Log::new(format);
        let mut writer = log.open();
        let whole: Vec<String> = (0..5000).map(|n| format!("line {n} {}", "x".repeat(n % 200))).collect();
        for line in &whole {
            put(&mut writer, Stream::Stdout, line);
            put(&mut writer, Stream::Stdout, "\n");
        }
        for count in [0, 1, 2, 10, 3000, 4999, 5000, 6000] {
            let first = 5000_usize.saturating_sub(count as usize);
            assert!(log.lines(tail(count)) == whole[first..], "{format:?} {count}");
        }
    }
}

#[test]
fn a_tail_begins_with_the_beginning_of_its_lines() {
    for format in BOTH {
        let log = Log::new(format);
        let mut writer = log.open();
        put(&mut writer, Stream::Stdout, "before\nlong ");
        put(&mut writer, Stream::Stderr, "between\n");
        put(&mut writer, Stream::Stdout, "line\n");
        assert_eq!(log.lines(tail(1)), ["long line"], "{format:?}");
        assert_eq!(log.lines(tail(2)), ["between", "long line"]);
        put(&mut writer, Stream::Stderr, "prompt> ");
        assert_eq!(log.lines(tail(1)), ["prompt> …"]);
        assert_eq!(log.lines(tail(2)), ["long line", "prompt> …"]);
        put(&mut writer, Stream::Stderr, "x\n");
        assert_eq!(log.lines(tail(1)), ["prompt> x"]);
    }
}

#[test]
fn since_and_until() {
    let log = Log::new(LogFormat::K8sFile);
    let mut writer = log.open();
    let start = SystemTime::now();
    let at = |n: u64| start + Duration::from_secs(n);
    for n in 0..10 {
        writer.write(Stream::Stdout, format!("{n}\n").as_bytes(), at(n));
    }
    let between = |since: Option<u64>, until: Option<u64>| log.lines(ReadOptions { since: since.map(at), until: until.map(at), ..all() });
    assert_eq!(between(Some(8), None), ["8", "9"]);
    assert_eq!(between(None, Some(1)), ["0", "1"]);
    assert_eq!(between(Some(4), Some(5)), ["4", "5"]);
    assert_eq!(log.lines(ReadOptions { since: Some(at(9)), ..tail(3) }), ["9"]);
}

#[test]
fn rotation_keeps_to_its_bounds_and_order() {
    for format in BOTH {
        for (max_size, max_files) in [(2000, 3), (1024, 1), (5000, 2), (1024, 10)] {
            let mut log = Log::new(format);
            (log.max_size, log.max_files) = (Some(max_size), Some(max_files));
            let mut writer = log.open();
            for batch in 0..100 {
                let lines: String = (0..20).map(|n| format!("line {}\n", batch * 20 + n)).collect();
                put(&mut writer, Stream::Stdout, &lines);
            }
            let sizes: Vec<u64> = std::fs::read_dir(log.directory.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
            assert!(sizes.len() == max_files as usize && sizes.iter().all(|size| *size <= max_size as u64), "{sizes:?}");
            let lines = log.lines(all());
            let first = 2000 - lines.len();
            assert!(lines.iter().enumerate().all(|(n, line)| *line == format!("line {}", first + n)), "{format:?} {lines:?}");
            assert!(!lines.is_empty());
            // Opened again, it goes on where it was.
            let mut writer = log.open();
            put(&mut writer, Stream::Stdout, "again\n");
            assert_eq!(log.lines(tail(1)), ["again"]);
            assert!(max_files == 1 || log.lines(tail(2)) == ["line 1999", "again"]);
        }
    }
}

#[test]
fn lines_longer_than_a_file() {
    for format in BOTH {
        let mut log = Log::new(format);
        (log.max_size, log.max_files) = (Some(1500), Some(100));
        let mut writer = log.open();
        let long = "0123456789abcdef".repeat(1000);
        put(&mut writer, Stream::Stdout, &format!("{long}\nshort\n"));
        for entry in std::fs::read_dir(log.directory.path()).unwrap() {
            assert!(entry.unwrap().metadata().unwrap().len() <= 1500);
        }
        assert_eq!(log.lines(all()), [long.as_str(), "short"], "{format:?}");
        assert_eq!(log.lines(tail(2)), [long.as_str(), "short"]);
    }
}

#[test]
fn a_giant_line_is_given_out_in_pieces() {
    let log = Log::new(LogFormat::K8sFile);
    let mut writer = log.open();
    let piece = vec![b'x'; 100_000];
    for _ in 0..50 {
        writer.write(Stream::Stdout, &piece, SystemTime::now());
    }
    put(&mut writer, Stream::Stdout, "end\n");
    let seen = log.read(all());
    assert!(seen.iter().all(|(_, text, _, _)| text.len() < 2 << 20));
    assert_eq!(seen.iter().map(|(_, text, _, _)| text.len()).sum::<usize>(), 5_000_003);
    assert_eq!(seen.iter().filter(|(_, _, begins, _)| *begins).count(), 1);
    assert_eq!(seen.iter().filter(|(_, _, _, ends)| *ends).count(), 1);
}

/// Reads on in a thread; the log ends for it when the returned descriptor is closed.
fn follow(path: PathBuf, format: LogFormat, options: ReadOptions<'static>) -> (mpsc::Receiver<String>, OwnedFd) {
    let (ended, alive) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let options = ReadOptions { follow: Some(ended.as_fd()), ..options };
        logs::read(LogSource::File { path: &path, format }, options, &mut |record| {
            let text = String::from_utf8_lossy(record.text).into_owned() + if record.ends_line { "\n" } else { "" };
            if sender.send(text).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    });
    (receiver, alive)
}

const SOON: Duration = Duration::from_secs(20);

#[test]
fn following() {
    for format in BOTH {
        let log = Log::new(format);
        let mut writer = log.open();
        put(&mut writer, Stream::Stdout, "old\n");
        let (lines, alive) = follow(log.path(), format, tail(1));
        assert_eq!(lines.recv_timeout(SOON).unwrap(), "old\n");
        put(&mut writer, Stream::Stdout, "new\n");
        assert_eq!(lines.recv_timeout(SOON).unwrap(), "new\n");
        put(&mut writer, Stream::Stdout, "name: ");
        assert_eq!(lines.recv_timeout(SOON).unwrap(), "name: ");
        put(&mut writer, Stream::Stdout, "joe\n");
        assert_eq!(lines.recv_timeout(SOON).unwrap(), "joe\n");
        put(&mut writer, Stream::Stdout, "last\n");
        drop(alive);
        assert_eq!(lines.recv_timeout(SOON).unwrap(), "last\n");
        assert!(lines.recv_timeout(SOON).is_err());
    }
}

#[test]
fn following_ends_when_told() {
    let log = Log::new(LogFormat::K8sFile);
    let mut writer = log.open();
    put(&mut writer, Stream::Stdout, "x\n");
    let until = Some(SystemTime::now() + Duration::from_millis(200));
    let (lines, _alive) = follow(log.path(), log.format, ReadOptions { until, ..all() });
    assert_eq!(lines.recv_timeout(SOON).unwrap(), "x\n");
    assert_eq!(lines.recv_timeout(SOON), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn no_line_is_lost_when_the_log_rotates_under_a_follower() {
    for format in BOTH {
        let mut log = Log::new(format);
        (log.max_size, log.max_files) = (Some(4000), Some(3));
        let mut writer = log.open();
        let (lines, alive) = follow(log.path(), format, all());
        for n in 0..5000 {
            put(&mut writer, Stream::Stdout, &format!("line {n}\n"));
            // As far ahead as half of what is kept; a writer that is further ahead than all files leaves gaps by design.
            if n >= 30 {
                assert_eq!(lines.recv_timeout(SOON).unwrap(), format!("line {}\n", n - 30));
            }
        }
        drop(alive);
        let rest: Vec<String> = lines.iter().collect();
        assert_eq!(rest.len(), 30);
        assert_eq!(rest[29], "line 4999\n");
    }
}

#[test]
fn a_log_that_vanishes_comes_back() {
    let log = Log::new(LogFormat::K8sFile);
    let mut writer = log.open();
    let (lines, alive) = follow(log.path(), log.format, all());
    put(&mut writer, Stream::Stdout, "one\n");
    assert_eq!(lines.recv_timeout(SOON).unwrap(), "one\n");
    std::fs::remove_file(log.path()).unwrap();
    put(&mut writer, Stream::Stdout, "two\n");
    assert_eq!(lines.recv_timeout(SOON).unwrap(), "two\n");
    drop(alive);
    let log_again = logs::read(LogSource::File { path: &log.path(), format: log.format }, all(), &mut |_| ControlFlow::Continue(()));
    assert!(log_again.is_err());
}

#[test]
fn what_is_no_log_is_refused() {
    let log = Log::new(LogFormat::K8sFile);
    let check = |path: PathBuf, expected: &str| {
        let error = logs::open(&LogConfig { path, ..log.config() }).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        error
    };
    let at = |name: &str| log.directory.path().join(name);
    std::os::unix::fs::symlink("/etc/passwd", at("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    assert!(matches!(check(at("link"), "opening log"), OpenLogError::File { .. }));
    check(at("fifo"), "opening log");
    check(at("."), "opening log");
    check(at("no/such"), "opening log");
    assert!(matches!(check(PathBuf::from("/dev/null"), "not a regular file"), OpenLogError::NotAFile { .. }));
}

#[test]
fn damage_is_passed_over() {
    let log = Log::new(LogFormat::K8sFile);
    let mut writer = log.open();
    put(&mut writer, Stream::Stdout, "one\n");
    let mut bytes = std::fs::read(log.path()).unwrap();
    bytes.extend_from_slice(b"2026-11-27T16:17:01.12345\n\0\0\0\0\n\n");
    std::fs::write(log.path(), bytes).unwrap();
    put(&mut writer, Stream::Stdout, "two\n");
    std::fs::write(log.directory.path().join("ctr.log.1"), vec![b'x'; 6 << 20]).unwrap();
    assert_eq!(log.lines(all()), ["one", "two"]);
    assert_eq!(log.lines(tail(2)), ["one", "two"]);
    assert_eq!(log.lines(tail(5)), ["one", "two"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Any bytes, cut anywhere, on both streams, through rotation, come back as they were.
    #[test]
    fn what_is_written_is_read(
        pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>(), Just(b'a')], 1..400)), 1..40),
        json in any::<bool>(),
    ) {
        let mut log = Log::new(if json { LogFormat::JsonFile } else { LogFormat::K8sFile });
        (log.max_size, log.max_files) = (Some(2048), Some(1000));
        let mut writer = log.open();
        let mut expected = [Vec::new(), Vec::new()];
        for (is_error, bytes) in &pieces {
            let stream = if *is_error { Stream::Stderr } else { Stream::Stdout };
            writer.write(stream, bytes, SystemTime::now());
            expected[*is_error as usize].extend_from_slice(bytes);
        }
        writer.finish(SystemTime::now());
        let mut seen = [Vec::new(), Vec::new()];
        for (stream, text, _, ends_line) in log.read(all()) {
            let out = &mut seen[stream as usize];
            out.extend_from_slice(&text);
            if ends_line {
                out.push(b'\n');
            }
        }
        prop_assert_eq!(&seen, &expected);
        // The same through a tail that wants everything.
        let tailed: usize = log.read(tail(1_000_000)).iter().map(|(_, text, _, ends)| text.len() + usize::from(*ends)).sum();
        prop_assert_eq!(tailed, expected[0].len() + expected[1].len());
    }
}
