//! What a program writes arrives, whole and in order, and costs no memory.

use crate::stage::{Stage, code, mini, signal};
use monitor::Stream;
use monitor::logs::{self, LogFormat, LogSource, ReadOptions};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn both_streams_arrive_shown_and_logged() {
    let stage = Stage::new();
    let output = stage.run(&["--no-stdin"], "echo out; echo err >&2; printf 'no newline'");
    assert_eq!(output.stdout, b"out\nno newline");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(stage.logged(Stream::Stdout), output.stdout);
    assert_eq!(stage.logged(Stream::Stderr), output.stderr);
}

#[test]
fn stdin_flows_and_ends() {
    let stage = Stage::new();
    let mut command = stage.script("run", &["--stdin=once"], "wc -c; echo done");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || (0..300).for_each(|_| stdin.write_all(&[7; 10_000]).unwrap()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3000000\ndone\n");
}

#[test]
fn a_grandchild_with_the_pipe_open_keeps_nobody_waiting() {
    let stage = Stage::new();
    let began = Instant::now();
    let output = stage.run(&["--no-stdin"], "sleep 20 & echo pid $!; exit 3");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(code(&output), 3);
    let text = String::from_utf8(output.stdout).unwrap();
    signal(text.trim().strip_prefix("pid ").unwrap().parse().unwrap(), Signal::KILL);
}

#[test]
fn a_flood_is_neither_lost_nor_kept_in_memory() {
    let stage = Stage::new();
    let line = "0123456789 the quick brown fox jumps over the lazy dog, and over it again, and again 0123456789";
    let script = format!("yes '{line}' | head -c 200000000; grep VmHWM /proc/$PPID/status >&2");
    let mut child = stage.script("run", &["--no-stdin", "--max-size=-1"], &script).spawn().unwrap();
    let mut total = 0;
    let mut reader = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
    let expected = format!("{line}\n").repeat(20_000).into_bytes();
    let period = line.len() + 1;
    loop {
        let bytes = reader.fill_buf().unwrap();
        if bytes.is_empty() {
            break;
        }
        let from = total % period;
        assert!(bytes == &expected[from..from + bytes.len()]);
        total += bytes.len();
        let count = bytes.len();
        reader.consume(count);
    }
    assert_eq!(total, 200_000_000);
    let output = child.wait_with_output().unwrap();
    let peak: u64 = String::from_utf8_lossy(&output.stderr).split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 10 << 10, "{peak} kB");
    let mut logged = 0;
    let path = stage.path("log");
    logs::read(LogSource::File { path: &path, format: LogFormat::K8sFile }, ReadOptions::default(), &mut |record| {
        if record.stream == Stream::Stdout {
            assert!(record.text == &line.as_bytes()[..record.text.len()]);
            logged += record.text.len() + usize::from(record.ends_line);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(logged, 200_000_000);
}

#[test]
fn one_line_of_64_megabytes() {
    let stage = Stage::new();
    let output = stage.run(&["--no-stdin", "--max-size=-1"], "head -c 67108864 /dev/zero; grep VmHWM /proc/$PPID/status >&2");
    assert!(output.stdout.len() == 64 << 20 && output.stdout.iter().all(|byte| *byte == 0));
    assert!(stage.logged(Stream::Stdout) == output.stdout);
    let peak: u64 = String::from_utf8_lossy(&output.stderr).split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 10 << 10, "{peak} kB");
}

#[test]
fn each_stream_keeps_its_order() {
    let stage = Stage::new();
    let output = stage.run(&["--no-stdin"], "for i in $(seq 5000); do echo out $i; echo err $i >&2; done");
    for (bytes, name, stream) in [(&output.stdout, "out", Stream::Stdout), (&output.stderr, "err", Stream::Stderr)] {
        let expected: String = (1..=5000).map(|n| format!("{name} {n}\n")).collect();
        assert!(*bytes == expected.as_bytes());
        assert!(stage.logged(stream) == expected.as_bytes());
    }
}

/// A full disk: the program goes on, its output is shown, what fits is kept in whole lines.
#[test]
fn a_log_on_a_full_disk() {
    let stage = Stage::new();
    let disk = stage.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mini = mini().get_program().to_owned();
    let script = format!(
        "mount -t tmpfs -o size=64k none {disk} && {mini} run --no-stdin --log={disk}/log {record} -- sh -c 'seq 100000; exit 5'; \
         code=$?; cat {disk}/log >&2; exit $code",
        disk = disk.display(),
        record = stage.option("record"),
        mini = Path::new(&mini).display()
    );
    let output = Command::new("unshare").args(["-rm", "--propagation", "private", "sh", "-c", &script]).output().unwrap();
    let log = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(code(&output), 5, "{log}");
    assert!(output.stdout.len() == 588_895 && output.stdout.ends_with(b"100000\n"));
    assert!(log.ends_with('\n') && log.lines().count() > 500);
    // What was not kept was counted to the byte.
    let kept: usize = log.lines().map(|line| line.len() - "2026-11-27T16:17:01.123456789+00:00 stdout F ".len()).sum();
    let newlines = log.lines().filter(|line| line.contains(" stdout F ")).count();
    let record = stage.record();
    assert!(record.contains(&format!("dropped {}\n", 588_895 - kept - newlines)), "{record}");
    assert!(log.lines().all(|line| line.len() > 45 && line.contains("+00:00 stdout ")), "{log}");
}
