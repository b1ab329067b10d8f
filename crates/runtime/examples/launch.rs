//! Runs a bundle: `launch BUNDLE`. For trying the runtime by itself.
use std::os::fd::AsFd;

fn main() {
    let bundle = std::env::args().nth(1).expect("a bundle");
    let text = std::fs::read_to_string(format!("{bundle}/config.json")).expect("config.json");
    let config: oci::runtime::Config = serde_json::from_str(&text).expect("a configuration");
    let duplicate = |fd: std::os::fd::BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3).expect("a descriptor");
    let caps = config.process.as_ref().and_then(|p| p.capabilities.clone()).unwrap_or_default();
    let started = runtime::spawn(runtime::Launch {
        config: &config,
        root: runtime::Root::Path(format!("{bundle}/rootfs").into()),
        stdio: runtime::Stdio::Fds {
            stdin: duplicate(rustix::stdio::stdin()),
            stdout: duplicate(rustix::stdio::stdout()),
            stderr: duplicate(rustix::stdio::stderr()),
        },
        preserve_fds: Vec::new(),
        cgroup: None,
        seccomp: runtime::seccomp::default_program(&caps.bounding, false).ok(),
        mount_trees: Default::default(),
        die_with_parent: true,
    })
    .and_then(runtime::Spawned::ready)
    .and_then(runtime::Created::start);
    match started {
        Ok(started) => {
            let status =
                rustix::process::waitid(rustix::process::WaitId::PidFd(started.pidfd.as_fd()), rustix::process::WaitIdOptions::EXITED);
            std::process::exit(status.ok().flatten().and_then(|s| s.exit_status()).unwrap_or(255) as i32);
        }
        Err(error) => {
            eprintln!("Error: {error}");
            std::process::exit(error.exit_code());
        }
    }
}
