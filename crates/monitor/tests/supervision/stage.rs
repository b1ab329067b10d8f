//! What every test stands on: a directory, the `mini` example, its log and its record.

use monitor::Stream;
use monitor::logs::{self, LogFormat, LogSource, ReadOptions};
use rustix::process::{Pid, Signal, kill_process};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A directory of its own for each test, and the program.
pub struct Stage {
    pub directory: TempDir,
}

impl Stage {
    pub fn new() -> Stage {
        Stage { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn option(&self, name: &str) -> String {
        format!("--{name}={}", self.path(name).display())
    }

    /// `mini VERB options… -- sh -c SCRIPT`, recording and logging in the stage's directory.
    pub fn script(&self, verb: &str, options: &[&str], script: &str) -> Command {
        let mut command = mini();
        command.arg(verb).args([self.option("log"), self.option("record"), self.option("init-pid-file")]);
        command.args(options).args(["--", "sh", "-c", script]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, options: &[&str], script: &str) -> Output {
        self.script("run", options, script).output().unwrap()
    }

    pub fn record(&self) -> String {
        std::fs::read_to_string(self.path("record")).unwrap_or_default()
    }

    /// Returns what the log has of a stream.
    pub fn logged(&self, stream: Stream) -> Vec<u8> {
        let mut seen = Vec::new();
        let path = self.path("log");
        if !path.exists() {
            return seen;
        }
        let source = LogSource::File { path: &path, format: LogFormat::K8sFile };
        logs::read(source, ReadOptions::default(), &mut |record| {
            if record.stream == stream {
                seen.extend_from_slice(record.text);
                seen.extend(record.ends_line.then_some(b'\n'));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        seen
    }

    pub fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < deadline, "waiting for {what}; record: {}", self.record());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn attach(&self, options: &[&str]) -> Command {
        let mut command = mini();
        command.arg("attach").arg(self.path("socket")).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

pub fn mini() -> Command {
    let tests = std::env::current_exe().unwrap();
    Command::new(tests.parent().unwrap().parent().unwrap().join("examples/mini"))
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// Ends a child when a test fails.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
