//! Clients that come, go, stall, lie and die.

use crate::stage::{Ended, Stage, code, mini, signal};
use monitor::Stream;
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Child;
use std::time::Duration;

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
