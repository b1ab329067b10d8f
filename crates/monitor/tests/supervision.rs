//! A monitor around real processes, real pipes and real terminals, through the `mini` example.

use std::io::{BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use monitor::Stream;
use monitor::logs::{self, LogFormat, LogSource, ReadOptions};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tempfile::TempDir;

/// A directory of its own for each test, and the program.
struct Stage {
    directory: TempDir,
}

impl Stage {
    fn new() -> Stage {
        Stage { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn option(&self, name: &str) -> String {
        format!("--{name}={}", self.path(name).display())
    }

    /// `mini VERB options… -- sh -c SCRIPT`, recording and logging in the stage's directory.
    fn script(&self, verb: &str, options: &[&str], script: &str) -> Command {
        let mut command = mini();
        command.arg(verb).args([self.option("log"), self.option("record"), self.option("init-pid-file")]);
        command.args(options).args(["--", "sh", "-c", script]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, options: &[&str], script: &str) -> Output {
        self.script("run", options, script).output().unwrap()
    }

    fn record(&self) -> String {
        std::fs::read_to_string(self.path("record")).unwrap_or_default()
    }

    /// Returns what the log has of a stream.
    fn logged(&self, stream: Stream) -> Vec<u8> {
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

    fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < deadline, "waiting for {what}; record: {}", self.record());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn attach(&self, options: &[&str]) -> Command {
        let mut command = mini();
        command.arg("attach").arg(self.path("socket")).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

fn mini() -> Command {
    let tests = std::env::current_exe().unwrap();
    Command::new(tests.parent().unwrap().parent().unwrap().join("examples/mini"))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// Ends a child when a test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn codes_and_signals() {
    for (script, expected) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -9 $$", 137), ("kill -SEGV $$", 139)]
    {
        let stage = Stage::new();
        assert_eq!(code(&stage.run(&["--no-stdin"], script)), expected, "{script}");
        assert!(stage.record().contains(&format!("finished {expected} restarts=0")), "{}", stage.record());
    }
}

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

#[test]
fn restarts_back_off_and_stop() {
    let stage = Stage::new();
    let output = stage.run(&["--no-stdin", "--restart=2"], "echo run; exit 3");
    // The foreground's session is the first run.
    assert_eq!((code(&output), output.stdout.as_slice()), (3, &b"run\n"[..]));
    stage.wait_for("the last run", || stage.record().contains("finished 3 restarts=2"));
    assert_eq!(stage.logged(Stream::Stdout), b"run\nrun\nrun\n");
    let record = stage.record();
    let times: Vec<u64> =
        record.lines().filter_map(|line| line.strip_prefix("relaunched after ")?.split(' ').next()?.parse().ok()).collect();
    assert!(times.len() == 2 && times[0] >= 100 && times[1] >= times[0] + 200, "{record}");
}

#[test]
fn a_success_is_not_restarted_on_failure() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run(&["--no-stdin", "--restart=5"], "exit 0")), 0);
    assert_eq!(stage.record(), "ended 0 None due=false\nfinished 0 restarts=0\n");
}

#[test]
fn a_relaunch_that_fails_counts_as_a_run() {
    let stage = Stage::new();
    stage.run(&["--no-stdin", "--restart=2", "--fail-relaunch"], "exit 1");
    stage.wait_for("the end", || stage.record().contains("finished 125 restarts=2"));
}

#[test]
fn a_stop_ends_a_pending_restart() {
    let stage = Stage::new();
    let socket = stage.option("socket");
    let mut child = Ended(stage.script("monitor", &["--restart=always", &socket], "exit 1").spawn().unwrap());
    stage.wait_for("a long back-off", || stage.record().lines().count() >= 9);
    let said = mini().arg("stop").arg(stage.path("socket")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "None\n");
    assert_eq!(child.0.wait().unwrap().code(), Some(1));
    assert!(stage.record().contains("finished 1"));
}

#[test]
fn a_stop_names_the_init_that_still_runs() {
    let stage = Stage::new();
    let socket = stage.option("socket");
    let mut child = Ended(stage.script("monitor", &["--restart=always", &socket], "exec sleep 100").spawn().unwrap());
    stage.wait_for("the socket", || stage.path("socket").exists());
    let said = mini().arg("stop").arg(stage.path("socket")).output().unwrap();
    let pid = std::fs::read_to_string(stage.path("init-pid-file")).unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), format!("Some({pid})\n"));
    signal(pid.parse().unwrap(), Signal::TERM);
    assert_eq!(child.0.wait().unwrap().code(), Some(143));
}

#[test]
fn a_stuck_monitor_does_not_make_a_stop_hang() {
    let stage = Stage::new();
    let socket = stage.option("socket");
    let child = Ended(stage.script("monitor", &[&socket], "exec sleep 100").spawn().unwrap());
    stage.wait_for("the socket", || stage.path("socket").exists());
    signal(child.0.id(), Signal::STOP);
    let began = Instant::now();
    let error = monitor::attach::announce_stop(&stage.path("socket")).unwrap_err();
    assert!(matches!(error, monitor::attach::AttachError::Talk(_)), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    signal(std::fs::read_to_string(stage.path("init-pid-file")).unwrap().parse().unwrap(), Signal::KILL);
}

#[test]
fn a_stop_flag_prevents_a_restart() {
    let stage = Stage::new();
    let flag = stage.option("stop-flag");
    let script = format!("touch {}; exit 1", stage.path("stop-flag").display());
    assert_eq!(code(&stage.run(&["--no-stdin", "--restart=always", &flag], &script)), 1);
    assert!(stage.record().contains("finished 1 restarts=0"));
}

#[test]
fn a_term_to_the_monitor_goes_to_init() {
    let stage = Stage::new();
    let mut child = Ended(stage.script("monitor", &[], "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done").spawn().unwrap());
    stage.wait_for("the trap", || stage.logged(Stream::Stdout) == b"ready\n");
    for other in [Signal::INT, Signal::HUP, Signal::USR1, Signal::PIPE] {
        signal(child.0.id(), other);
    }
    signal(child.0.id(), Signal::TERM);
    assert_eq!(child.0.wait().unwrap().code(), Some(42));
}

#[test]
fn time_runs_out() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run(&["--no-stdin", "--timeout-ms=200"], "exec sleep 100")), 137);
}

#[test]
fn orphans_are_reaped() {
    let stage = Stage::new();
    stage.run(&["--no-stdin"], "(sh -c 'sleep 0.1' & ); sleep 0.5");
    assert!(stage.record().contains("child ended"), "{}", stage.record());
}

#[test]
fn two_clients_and_one_that_vanishes() {
    let stage = Stage::new();
    let socket = stage.option("socket");
    let script = format!("while [ ! -e {} ]; do sleep 0.02; done; seq 100; exit 9", stage.path("go").display());
    let mut monitor = Ended(stage.script("monitor", &[&socket], &script).spawn().unwrap());
    stage.wait_for("the socket", || stage.path("socket").exists());
    let clients: Vec<Child> = (0..2).map(|_| stage.attach(&["--no-stdin"]).spawn().unwrap()).collect();
    let mut third = stage.attach(&["--no-stdin"]).spawn().unwrap();
    // A session is on once its monitor answered; what it does then is to wait for more, with its signals caught.
    std::thread::sleep(Duration::from_millis(300));
    third.kill().unwrap();
    third.wait().unwrap();
    std::fs::write(stage.path("go"), "").unwrap();
    let expected: String = (1..=100).map(|n| format!("{n}\n")).collect();
    for client in clients {
        let output = client.wait_with_output().unwrap();
        assert_eq!((code(&output), String::from_utf8(output.stdout).unwrap()), (9, expected.clone()));
    }
    assert_eq!(monitor.0.wait().unwrap().code(), Some(9));
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let stage = Stage::new();
    let socket = stage.option("socket");
    let mut monitor = Ended(stage.script("monitor", &["--max-size=100000", &socket], "sleep 0.5; seq 1000000; exit 6").spawn().unwrap());
    stage.wait_for("the socket", || stage.path("socket").exists());
    let stalled = Ended(stage.attach(&["--no-stdin"]).spawn().unwrap());
    assert_eq!(monitor.0.wait().unwrap().code(), Some(6));
    drop(stalled);
}

/// Connections come and go, some talk nonsense: nothing stays of them.
#[test]
fn clients_without_number() {
    let stage = Stage::new();
    let socket = stage.option("socket");
    let child = Ended(stage.script("monitor", &[&socket, "--stdin=open"], "exec cat").spawn().unwrap());
    stage.wait_for("the socket", || stage.path("socket").exists());
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", child.0.id())).unwrap().count();
    let before = descriptors();
    for n in 0..1000_u32 {
        let mut client = std::os::unix::net::UnixStream::connect(stage.path("socket")).unwrap();
        let words: [&[u8]; 5] = [b"", b"\xff\xff\xff\xff\xff", b"\x01\x02\0\0\0\x01\xff", b"\x02\x01\0\0\0x", b"\x01\0\0\0\0"];
        let _ = client.write_all(words[n as usize % 5]);
    }
    stage.wait_for("the end of all clients", || descriptors() == before);
    assert!(stage.logged(Stream::Stdout).is_empty());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(stage.path("socket")).unwrap().permissions().mode() & 0o777, 0o600);
    signal(std::fs::read_to_string(stage.path("init-pid-file")).unwrap().parse().unwrap(), Signal::KILL);
}

#[test]
fn a_socket_with_a_long_path() {
    let stage = Stage::new();
    let deep = stage.path(&"d".repeat(150));
    std::fs::create_dir(&deep).unwrap();
    let socket = deep.join("attach.sock");
    let mut child = Ended(stage.script("monitor", &[&format!("--socket={}", socket.display())], "exec sleep 100").spawn().unwrap());
    stage.wait_for("the socket", || socket.exists());
    let said = mini().arg("stop").arg(&socket).output().unwrap();
    assert!(said.stdout.starts_with(b"Some("));
    signal(std::fs::read_to_string(stage.path("init-pid-file")).unwrap().parse().unwrap(), Signal::KILL);
    assert_eq!(child.0.wait().unwrap().code(), Some(137));
}

#[test]
fn a_slow_foreground_loses_nothing() {
    let stage = Stage::new();
    let mut child = stage.script("run", &["--no-stdin"], "seq 300000; exit 8").spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // Longer than others are given, and longer than the program would run.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(stage.record().is_empty());
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert!(text.len() == 1_988_895 && text.ends_with("299999\n300000\n"));
    assert_eq!(child.wait().unwrap().code(), Some(8));
}

#[test]
fn a_reader_that_goes_ends_the_session() {
    let stage = Stage::new();
    let mut child = stage.script("run", &["--no-stdin"], "echo one; while :; do sleep 1; done").spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    // The reader was dropped; no further output is needed to notice it.
    assert_eq!(child.wait().unwrap().code(), Some(101));
    let pid = std::fs::read_to_string(stage.path("init-pid-file")).unwrap();
    signal(pid.parse().unwrap(), Signal::KILL);
}

#[test]
fn a_killed_foreground_leaves_the_container_running() {
    let stage = Stage::new();
    let mut child = stage.script("run", &["--no-stdin"], "seq 10; sleep 0.5; seq 100000 100010; exit 4").spawn().unwrap();
    stage.wait_for("output", || stage.logged(Stream::Stdout).len() == 21);
    child.kill().unwrap();
    child.wait().unwrap();
    stage.wait_for("the end", || stage.record().contains("finished 4"));
    assert!(stage.logged(Stream::Stdout).ends_with(b"100010\n"));
}

#[test]
fn a_killed_monitor_is_noticed() {
    let stage = Stage::new();
    let pid_file = stage.option("pid-file");
    let child = stage.script("run", &["--no-stdin", &pid_file], "echo on; exec sleep 100").spawn().unwrap();
    stage.wait_for("output", || stage.logged(Stream::Stdout) == b"on\n");
    signal(std::fs::read_to_string(stage.path("pid-file")).unwrap().parse().unwrap(), Signal::KILL);
    assert_eq!(code(&child.wait_with_output().unwrap()), 102);
    signal(std::fs::read_to_string(stage.path("init-pid-file")).unwrap().parse().unwrap(), Signal::KILL);
}

#[test]
fn signals_are_passed_on() {
    let stage = Stage::new();
    let script = "trap 'echo got usr1' USR1; trap 'exit 33' TERM; echo ready; while :; do sleep 0.05; done";
    let child = stage.script("run", &["--no-stdin"], script).spawn().unwrap();
    stage.wait_for("the traps", || stage.logged(Stream::Stdout) == b"ready\n");
    signal(child.id(), Signal::USR1);
    stage.wait_for("the first signal", || stage.logged(Stream::Stdout).ends_with(b"got usr1\n"));
    signal(child.id(), Signal::TERM);
    assert_eq!(code(&child.wait_with_output().unwrap()), 33);
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

#[test]
fn an_idle_monitor_is_small_and_asleep() {
    let stage = Stage::new();
    let socket = stage.option("socket");
    let child = Ended(stage.script("monitor", &[&socket, "--restart=always"], "seq 2000000; sleep 100").spawn().unwrap());
    stage.wait_for("output", || stage.logged(Stream::Stdout).ends_with(b"\n2000000\n"));
    std::thread::sleep(Duration::from_millis(200));
    let proc = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.0.id())).unwrap();
    let number = |text: &str, name: &str| -> u64 {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    };
    let switches = || number(&proc("status"), "voluntary_ctxt_switches:");
    let before = switches();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(switches(), before);
    // Private_Dirty also counts the pages of a program file that was just built and is not on the disk yet.
    let memory = proc("smaps_rollup");
    let private = number(&memory, "Anonymous:");
    assert!(private <= 1024, "{private} kB\n{memory}");
    signal(std::fs::read_to_string(stage.path("init-pid-file")).unwrap().parse().unwrap(), Signal::KILL);
}

/// A terminal with a program in its foreground.
struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
}

impl Terminal {
    fn new() -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).and_then(|()| unlockpt(&master)).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        let terminal = Terminal { master, slave };
        terminal.resize(30, 100);
        terminal
    }

    fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    }

    fn start(&self, command: &Command) -> Ended {
        let stdio = || Stdio::from(self.slave.try_clone().unwrap());
        let mut session = Command::new("setsid");
        session.args(["-c", "-w"]).arg(command.get_program()).args(command.get_args());
        Ended(session.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap())
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    fn type_keys(&self, keys: &str) {
        assert_eq!(rustix::io::write(&self.master, keys.as_bytes()).unwrap(), keys.len());
    }

    /// Reads until the text appears.
    fn expect(&self, text: &str) -> String {
        let mut seen = String::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !seen.contains(text) {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            assert!(Instant::now() < deadline, "waiting for {text:?}, saw {seen:?}");
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            if poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).unwrap() > 0 {
                let mut buffer = [0; 4096];
                let count = rustix::io::read(&self.master, &mut buffer).unwrap();
                seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        }
        seen
    }
}

const SHELL: &str = "stty size; trap 'stty size' WINCH; while :; do read line && echo \"<$line>\"; [ \"$line\" = bye ] && exit 21; done";

#[test]
fn a_terminal_session() {
    let stage = Stage::new();
    let terminal = Terminal::new();
    let mut session = terminal.start(&stage.script("run", &["--tty", "--stdin=once"], &format!("sleep 0.3; {SHELL}")));
    terminal.expect("30 100");
    assert!(terminal.is_raw());
    terminal.type_keys("hello\r");
    terminal.expect("<hello>\r\n");
    terminal.resize(40, 120);
    terminal.type_keys("again\r");
    terminal.expect("40 120");
    terminal.type_keys("bye\r");
    assert_eq!(session.0.wait().unwrap().code(), Some(21));
    assert!(!terminal.is_raw());
    assert!(String::from_utf8_lossy(&stage.logged(Stream::Stdout)).contains("<bye>"));
}

#[test]
fn detaching_and_attaching_again() {
    let stage = Stage::new();
    let terminal = Terminal::new();
    let socket = stage.option("socket");
    let mut session = terminal.start(&stage.script("run", &["--tty", "--stdin=open", &socket], SHELL));
    terminal.type_keys("one\r");
    terminal.expect("<one>");
    terminal.type_keys("\x10\x11");
    assert_eq!(session.0.wait().unwrap().code(), Some(100));
    assert!(!terminal.is_raw());
    let mut session = terminal.start(&stage.attach(&["--tty", "--detach-keys=ctrl-a,x"]));
    stage.wait_for("the session", || terminal.is_raw());
    terminal.type_keys("two\r");
    terminal.expect("<two>");
    terminal.type_keys("\x01x");
    assert_eq!(session.0.wait().unwrap().code(), Some(100));
    let mut session = terminal.start(&stage.attach(&["--tty", "--detach-keys="]));
    stage.wait_for("the session", || terminal.is_raw());
    terminal.type_keys("\x10\x11bye\r");
    terminal.expect("<");
    signal(std::fs::read_to_string(stage.path("init-pid-file")).unwrap().parse().unwrap(), Signal::KILL);
    assert_eq!(session.0.wait().unwrap().code(), Some(137));
    assert!(!terminal.is_raw());
}

#[test]
fn a_terminal_all_have_closed_may_be_opened_again() {
    let stage = Stage::new();
    let script = "t=$(tty); exec </dev/null >/dev/null 2>&1; sleep 0.3; echo first >$t; sleep 0.3; echo second >$t; sleep 0.1; exit 2";
    let output = stage.run(&["--no-stdin", "--tty"], script);
    assert_eq!((code(&output), output.stdout.as_slice()), (2, &b"first\r\nsecond\r\n"[..]));
}

#[test]
fn the_last_words_of_a_terminal() {
    for _ in 0..20 {
        let stage = Stage::new();
        let output = stage.run(&["--no-stdin", "--tty"], "stty -opost; seq 2000");
        assert!(output.stdout.ends_with(b"\n2000\n") && output.stdout.len() == 8893, "{}", output.stdout.len());
    }
}

#[test]
fn interrupted_without_proxy_the_terminal_is_restored() {
    let stage = Stage::new();
    let terminal = Terminal::new();
    let socket = stage.option("socket");
    let _monitor = Ended(stage.script("monitor", &["--tty", "--stdin=open", &socket], "sleep 100").spawn().unwrap());
    stage.wait_for("the socket", || stage.path("socket").exists());
    let mut session = terminal.start(&stage.attach(&["--tty"]));
    stage.wait_for("the session", || terminal.is_raw());
    // setsid waits for it; it is its only child.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", session.0.id())).unwrap();
    let pid = children.trim().parse().unwrap_or(session.0.id());
    signal(pid, Signal::TERM);
    assert_eq!(session.0.wait().unwrap().code(), Some(200 + 15));
    assert!(!terminal.is_raw());
    signal(std::fs::read_to_string(stage.path("init-pid-file")).unwrap().parse().unwrap(), Signal::KILL);
}

#[test]
fn a_terminal_without_a_monitor() {
    let stage = Stage::new();
    let terminal = Terminal::new();
    let command = |script: &str| {
        let mut command = mini();
        command.args(["pump", "--", "sh", "-c", script]);
        command
    };
    let mut session = terminal.start(&command(SHELL));
    terminal.expect("30 100");
    terminal.type_keys("hello\r");
    terminal.expect("<hello>");
    terminal.resize(50, 90);
    terminal.type_keys("x\r");
    terminal.expect("50 90");
    terminal.type_keys("bye\r");
    assert_eq!(session.0.wait().unwrap().code(), Some(21));
    assert!(!terminal.is_raw());
    // All output of a process that ends at once; then detaching.
    let output = command("stty -opost; seq 2000").stdin(Stdio::null()).output().unwrap();
    assert!(output.stdout.ends_with(b"\n2000\n") && output.stdout.len() == 8893);
    let marker = stage.path("marker");
    let mut session = terminal.start(&command(&format!("echo on; sleep 0.5; echo more; touch {}", marker.display())));
    terminal.expect("on");
    terminal.type_keys("\x10\x11");
    assert_eq!(session.0.wait().unwrap().code(), Some(100));
    assert!(marker.exists());
}
