//! Ends, restarts, stops, signals: the life of a container seen by its monitor.

use crate::stage::{Ended, Stage, code, mini, signal};
use monitor::Stream;
use rustix::process::Signal;
use std::time::{Duration, Instant};

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
