//! This program inside a container of ours: as `/hello` of the built-in image it tells what it sees, as
//! `/run/podman-init` it is the first process of `--init`.

/// Runs as one of them if it was called so.
pub(crate) fn main(program: &str, args: &[String]) -> Option<u8> {
    match program.rsplit('/').next() {
        Some("hello") => Some(probe::main(args)),
        Some("podman-init") => Some(init(args)),
        _ => None,
    }
}

/// The smallest init: runs one program, passes signals on, reaps whatever is left to it, and ends as it does.
fn init(args: &[String]) -> u8 {
    let command: Vec<&String> = args.iter().skip_while(|arg| *arg == "--").collect();
    let Some((program, arguments)) = command.split_first() else { return 125 };
    let all = sys::signal::SignalSet::full();
    let Ok(before) = sys::signal::block(&all) else { return 125 };
    let Ok(signals) = sys::signal::signalfd(&all) else { return 125 };
    let spawned = {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new(program);
        command.args(arguments).process_group(0);
        let _ = sys::signal::set_mask(&before);
        let spawned = command.spawn();
        let _ = sys::signal::block(&all);
        spawned
    };
    let child = match spawned {
        Ok(child) => child.id() as i32,
        Err(e) => {
            eprintln!("init: running {program:?}: {e}");
            return if e.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        }
    };
    let mut fds = [rustix::event::PollFd::new(&signals, rustix::event::PollFlags::IN)];
    loop {
        while let Ok(Some((pid, status))) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
            if pid.as_raw_nonzero().get() == child {
                let code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(255);
                return code as u8;
            }
        }
        fds[0].clear_revents();
        let _ = rustix::event::poll(&mut fds, None);
        while let Ok(Some(number)) = sys::signal::next_signal(&signals) {
            if number != 17
                && let (Some(pid), Some(signal)) = (rustix::process::Pid::from_raw(child), rustix::process::Signal::from_named_raw(number))
            {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }
}
