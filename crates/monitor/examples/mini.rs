//! A container engine without containers: supervises plain commands, for tests and measurements.
//!
//! ```text
//! mini run     [options] -- command …    foreground: a monitor of its own, joined to our stdio
//! mini monitor [options] -- command …    the monitor alone
//! mini attach SOCKET [--no-stdin] [--detach-keys KEYS]
//! mini stop SOCKET
//! mini pump -- command …                 a terminal without a monitor, as `exec -t`
//! ```

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use monitor::attach::{Client, DetachKeys, SessionEnd, SessionOptions, listen, run_session};
use monitor::logs::{LogConfig, LogIdentity};
use monitor::terminal::{PumpEnd, PumpOptions, linger, pump};
use monitor::{Channels, Exit, Lifecycle, Next, Relaunched, StdinPolicy, Supervision, TerminalSize, supervise};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use spec::log::LogDriver;
use spec::restart::RestartPolicy;
use sys::signal::{SignalSet, set_mask};

fn main() {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    let arguments = Arguments::parse(words);
    let code = match verb.as_str() {
        "run" => run(&arguments),
        "monitor" => stay(&arguments),
        "attach" => session(Client::connect(Path::new(&arguments.plain[0])).expect("connecting"), &arguments),
        "stop" => {
            println!("{:?}", monitor::attach::announce_stop(Path::new(&arguments.plain[0])).expect("announcing"));
            0
        }
        "pump" => pump_command(&arguments),
        other => panic!("no such verb: {other}"),
    };
    std::process::exit(code);
}

#[derive(Default)]
struct Arguments {
    options: HashMap<String, String>,
    plain: Vec<String>,
    command: Vec<String>,
}

impl Arguments {
    fn parse(words: impl Iterator<Item = String>) -> Arguments {
        let mut arguments = Arguments::default();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                arguments.command = words.collect();
                break;
            }
            match word.strip_prefix("--").map(|word| word.split_once('=').unwrap_or((word, ""))) {
                Some((name, value)) => drop(arguments.options.insert(name.to_owned(), value.to_owned())),
                None => arguments.plain.push(word),
            }
        }
        arguments
    }

    fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).map(|text| text.parse().ok().expect("a number"))
    }
}

// The monitor outlives a session its user detached from: it is not waited for.
#[allow(clippy::zombie_processes)]
fn run(arguments: &Arguments) -> i32 {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("socketpair");
    let monitor = Command::new(std::env::current_exe().expect("this program"))
        .args(["monitor", "--first-client"])
        .args(std::env::args().skip(2))
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .expect("spawning the monitor");
    if let Some(path) = arguments.get("pid-file") {
        std::fs::write(path, monitor.id().to_string()).expect("writing");
    }
    session(Client::from_fd(ours.into()), arguments)
}

fn session(client: Client, arguments: &Arguments) -> i32 {
    let init_pid = arguments.get("init-pid-file");
    let mut proxy = |signal: i32| {
        let pid = init_pid.and_then(|path| std::fs::read_to_string(path).ok()).and_then(|pid| pid.trim().parse().ok());
        let signal = rustix::process::Signal::from_named_raw(signal);
        if let (Some(pid), Some(signal)) = (pid.and_then(Pid::from_raw), signal) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    };
    let options = SessionOptions {
        stdin: !arguments.has("no-stdin"),
        stdout: !arguments.has("no-stdout"),
        stderr: true,
        terminal: arguments.has("tty"),
        detach_keys: arguments.get("detach-keys").map_or(DetachKeys::default(), |keys| keys.parse().expect("keys")),
        on_signal: init_pid.is_some().then_some(&mut proxy as &mut dyn FnMut(i32)),
    };
    match run_session(client, options).expect("the session") {
        SessionEnd::Exited(code) => code,
        SessionEnd::Detached => 100,
        SessionEnd::OutputClosed(_) => 101,
        SessionEnd::Interrupted(signal) => 200 + signal,
        SessionEnd::Lost => 102,
    }
}

fn stay(arguments: &Arguments) -> i32 {
    let driver = match arguments.get("driver") {
        None if !arguments.has("log") => LogDriver::None,
        None | Some("k8s-file") => LogDriver::K8sFile,
        Some("json-file") => LogDriver::JsonFile,
        Some("journald") => LogDriver::Journald,
        Some(other) => panic!("no such driver: {other}"),
    };
    let identity = LogIdentity { container_id: "0123456789abcdef".repeat(4), container_name: "mini".into(), ..LogIdentity::default() };
    let config = LogConfig {
        driver,
        path: PathBuf::from(arguments.get("log").unwrap_or_default()),
        max_size: arguments.number("max-size"),
        max_files: arguments.number("max-files"),
        identity,
    };
    let mut life = Life { arguments, launches: Vec::new(), began: Instant::now() };
    let log = monitor::logs::open(&config).expect("opening the log");
    let run = life.launch();
    let exit = supervise(
        Supervision {
            channels: run.channels,
            init: run.init,
            init_pid: run.init_pid,
            log,
            attach_listener: arguments.get("socket").map(|path| listen(Path::new(path)).expect("listening")),
            first_client: arguments.has("first-client").then(|| rustix::stdio::stdin().try_clone_to_owned().expect("dup")),
            stdin_policy: match arguments.get("stdin") {
                None => StdinPolicy::Closed,
                Some("open") => StdinPolicy::Open,
                Some(_) => StdinPolicy::Once,
            },
            restart: match arguments.get("restart") {
                None => RestartPolicy::No,
                Some("always") => RestartPolicy::Always,
                Some(max) => RestartPolicy::OnFailure { max_retries: max.parse().ok() },
            },
            stop_flag: arguments.get("stop-flag").map(PathBuf::from),
            timeout: arguments.number("timeout-ms").map(Duration::from_millis),
            terminal_size: Some(TerminalSize { rows: 24, columns: 80 }),
        },
        &mut life,
    );
    exit.code
}

/// Records what happens in a file, one line each.
struct Life<'a> {
    arguments: &'a Arguments,
    launches: Vec<Duration>,
    began: Instant,
}

impl Life<'_> {
    fn record(&self, line: &str) {
        if let Some(path) = self.arguments.get("record") {
            let mut file = OpenOptions::new().append(true).create(true).open(path).expect("opening the record");
            writeln!(file, "{line}").expect("recording");
        }
    }

    fn launch(&mut self) -> Relaunched {
        self.launches.push(self.began.elapsed());
        let (child, channels) = spawn(self.arguments);
        let pid = Pid::from_child(&child);
        if let Some(path) = self.arguments.get("init-pid-file") {
            std::fs::write(path, child.id().to_string()).expect("writing");
        }
        Relaunched { channels, init: pidfd_open(pid, PidfdFlags::empty()).expect("pidfd"), init_pid: child.id() as i32 }
    }
}

fn spawn(arguments: &Arguments) -> (Child, Channels) {
    let mut command = Command::new("setsid");
    let channels = if arguments.has("tty") {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("unlocking");
        let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("the other end");
        let again = || Stdio::from(slave.try_clone().expect("dup"));
        command.arg("-c").stdin(again()).stdout(again()).stderr(again());
        Channels::Terminal(master)
    } else {
        let (stdin, give) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
        let (stdout, out) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
        let (stderr, err) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
        command.stdin(stdin).stdout(out).stderr(err);
        Channels::Pipes { stdin: Some(give), stdout, stderr }
    };
    // A supervised process blocks all signals, and children inherit that.
    let mask = set_mask(&SignalSet::empty()).expect("mask");
    let child = command.args(&arguments.command).spawn().expect("spawning");
    set_mask(&mask).expect("mask");
    (child, channels)
}

impl Lifecycle for Life<'_> {
    fn ended(&mut self, exit: &Exit) -> Next {
        self.record(&format!("ended {} {:?} due={}", exit.code, exit.signal, exit.restart_due));
        Next::Restart
    }

    fn relaunch(&mut self) -> Result<Relaunched, String> {
        if self.arguments.has("fail-relaunch") {
            return Err("told to".to_owned());
        }
        let run = self.launch();
        self.record(&format!("relaunched after {} ms", self.began.elapsed().as_millis()));
        Ok(run)
    }

    fn finished(&mut self, exit: &Exit) {
        self.record(&format!("finished {} restarts={}", exit.code, exit.restarts));
        if exit.output_dropped > 0 {
            self.record(&format!("dropped {}", exit.output_dropped));
        }
    }

    fn child_ended(&mut self, _pid: i32) {
        self.record("child ended");
    }
}

fn pump_command(arguments: &Arguments) -> i32 {
    let mut with_tty = Arguments { command: arguments.command.clone(), ..Arguments::default() };
    with_tty.options.insert("tty".into(), String::new());
    let (mut child, channels) = spawn(&with_tty);
    let Channels::Terminal(master) = channels else { unreachable!("it was asked for") };
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("pidfd");
    let keys = arguments.get("detach-keys").map_or(DetachKeys::default(), |keys| keys.parse().expect("keys"));
    match pump(&master, &process, PumpOptions { stdin: true, detach_keys: keys, on_signal: None }).expect("pumping") {
        PumpEnd::Exited => child.wait().expect("waiting").code().unwrap_or(99),
        PumpEnd::Detached => {
            linger(master, &process);
            100
        }
        PumpEnd::OutputClosed => 101,
        PumpEnd::Interrupted(signal) => 200 + signal,
    }
}
