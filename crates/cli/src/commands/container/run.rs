//! `run`

use super::super::image::obtain;
use super::Command;
use crate::app::App;
use crate::args::{Flag, Kind, Parsed, flag};
use crate::failure::Failure;
use crate::{flags, session};
use engine::container::start::StartOptions;
use engine::container::{find, remove, run};
use spec::log::LogDriver;

pub(crate) const RUN: Command = Command {
    paths: &["run", "container run"],
    about: "Run a command in a new container",
    description: "Makes a container of an image and runs a command in it.",
    usage: "[options] IMAGE [COMMAND [ARG...]]",
    examples: &["run --rm coracle/hello", "run --rm -it alpine sh", "run -d --name web -p 8080:80 nginx"],
    flags: ALL_FLAGS,
    options_first: true,
    arguments: (1, None),
    run: main,
};

const OWN: &[Flag] = &[
    flag("detach", 'd', Kind::Switch, "", "Leave it running and print its id"),
    flag("attach", 'a', Kind::Words, "STREAM", "Attach to stdin, stdout or stderr"),
    flag("detach-keys", ' ', Kind::Value, "KEYS", "Keys that leave it running (default ctrl-p,ctrl-q)"),
    flag("sig-proxy", ' ', Kind::Switch, "", "Pass signals on to it (default true)"),
];

const ALL_FLAGS: &[&[Flag]] = &{
    let mut all: [&[Flag]; flags::CONTAINER.len() + 1] = [OWN; flags::CONTAINER.len() + 1];
    let mut at = 0;
    while at < flags::CONTAINER.len() {
        all[at] = flags::CONTAINER[at];
        at += 1;
    }
    all
};

fn main(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let mut spec = flags::container_spec(&parsed)?;
    let engine = app.engine()?;
    spec.create_command = app.line.clone();
    let detach = parsed.on("detach");
    if detach && !parsed.all("attach").is_empty() {
        return Err(Failure::usage("conflicting options: you cannot specify both detach and attach"));
    }
    let streams = streams(&parsed)?;
    let image = if spec.rootfs { None } else { Some(obtain::for_container(&engine, &spec.image, &parsed)?) };
    if parsed.on("replace") {
        replace(&engine, &spec)?;
    }
    let passthrough = matches!(spec.log.driver, Some(LogDriver::Passthrough | LogDriver::PassthroughTty));
    let preserve_fds = preserved(&spec)?;
    let (record, started) = run::run(&engine, spec, image, StartOptions { attach: !detach && !passthrough, preserve_fds })?;
    if detach {
        println!("{}", record.id);
        return Ok(0);
    }
    let code = match started.session {
        Some(fd) => {
            let client = monitor::attach::Client::from_fd(fd);
            let wish = session::Wish {
                stdin: record.spec.process.interactive && streams.0,
                stdout: streams.1,
                stderr: streams.2,
                detach_keys: parsed.value("detach-keys"),
                sig_proxy: parsed.given("sig-proxy") != Some(false),
            };
            session::attach(&engine, &record, client, &wish)?.unwrap_or(0)
        }
        None => engine::container::wait::wait(
            &engine,
            &record,
            &engine::container::wait::Condition::Stopped,
            std::time::Duration::from_millis(250),
        )?,
    };
    if record.spec.remove_image
        && let Some(image) = &record.image
    {
        // Another container may use it; then it stays, as Podman has it.
        let _ = engine::image::remove::remove(&engine, &image.name, false);
    }
    Ok(code)
}

/// `-a` chooses; without it everything is attached.
fn streams(parsed: &Parsed) -> Result<(bool, bool, bool), Failure> {
    let wishes = parsed.all("attach");
    if wishes.is_empty() {
        return Ok((true, true, true));
    }
    let mut chosen = (false, false, false);
    for wish in wishes {
        match wish.to_ascii_lowercase().as_str() {
            "stdin" => chosen.0 = true,
            "stdout" => chosen.1 = true,
            "stderr" => chosen.2 = true,
            _ => return Err(Failure::usage(format!("invalid stream {wish:?} for --attach - must be one of stdin, stdout, or stderr"))),
        }
    }
    Ok(chosen)
}

/// `--replace`: a container of this name goes first.
pub(super) fn replace(engine: &engine::Engine, spec: &spec::ContainerSpec) -> Result<(), Failure> {
    let Some(name) = &spec.name else { return Err(Failure::usage("cannot replace container without --name being set")) };
    match find::find(engine, name.as_str()) {
        Ok(old) => Ok(remove::remove(engine, &old, remove::RemoveOptions { force: true, volumes: false, timeout: None })?),
        Err(error) if error.kind() == engine::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Our own descriptors that the container gets.
fn preserved(spec: &spec::ContainerSpec) -> Result<Vec<std::os::fd::OwnedFd>, Failure> {
    let numbers: Vec<i32> =
        (0..spec.process.preserve_fds as i32).map(|n| n + 3).chain(spec.process.preserve_fd.iter().map(|fd| *fd as i32)).collect();
    numbers
        .into_iter()
        .map(|number| sys::process::duplicate_inherited(number).map_err(|e| Failure::usage(format!("passing descriptor {number}: {e}"))))
        .collect()
}
