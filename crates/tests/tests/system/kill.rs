//! Whatever is killed at whatever moment: everything works afterwards, and nothing is left (threats R01, R02).

use std::process::Stdio;
use std::time::Duration;
use system_tests::Place;

#[test]
fn a_killed_monitor_ends_its_container() {
    let place = Place::new();
    place.run(&["run", "-d", "--name", "c", "--network", "none", "box", "sleep", "1000"]).ok();
    let pids = place.run(&["inspect", "-f", "{{.State.ConmonPid}} {{.State.Pid}}", "c"]).ok();
    let pids: Vec<i32> = pids.split(' ').map(|pid| pid.parse().unwrap()).collect();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pids[0]).unwrap(), rustix::process::Signal::KILL).unwrap();
    place.until("the container to be seen as ended", || place.run(&["inspect", "-f", "{{.State.Status}}", "c"]).out.trim() == "exited");
    // Ended, or waiting for whoever inherited it to look.
    place.until("its process to end", || {
        std::fs::read_to_string(format!("/proc/{}/stat", pids[1])).map_or(true, |stat| stat.contains(") Z "))
    });
    place.run(&["start", "c"]).ok();
    assert_eq!(place.run(&["exec", "c", "echo", "again"]).ok(), "again");
    place.run(&["rm", "-f", "-t", "0", "c"]).ok();
}

#[test]
fn a_killed_command_leaves_a_usable_place() {
    let place = Place::new();
    for delay in [0u64, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20] {
        let mut child = place
            .command(&["run", "-d", "--name", "k", "--network", "none", "box", "sleep", "1000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        let _ = child.wait();
        // Whatever came of it can be removed, and the name is free again.
        place.until("the name to be free", || {
            place.run(&["rm", "-f", "-t", "0", "k"]).ok();
            let again = place.run(&["run", "--rm", "--name", "k", "--network", "none", "box", "true"]);
            again.code == 0
        });
    }
    assert_eq!(place.run(&["ps", "-aq"]).ok(), "");
    place.until("all processes to be gone", || place.processes().is_empty());
}

#[test]
fn a_killed_pull_leaves_nothing_visible() {
    let place = Place::new();
    place.run(&["rmi", "box"]).ok();
    let source = format!("oci:{}:localhost/box:latest", place.path("layout").display());
    for delay in [1u64, 3, 6, 10, 15] {
        let mut child = place.command(&["pull", "-q", &source]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        let _ = child.wait();
        place.run(&["images", "-q"]).ok();
    }
    place.run(&["pull", "-q", &source]).ok();
    assert_eq!(place.shell(&[], "cat /data/seed").ok(), "from the image");
}
