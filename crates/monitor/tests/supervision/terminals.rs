//! Sessions on real terminals.

use crate::stage::{Ended, Stage, code, mini, signal};
use monitor::Stream;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
