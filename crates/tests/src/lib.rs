//! A place of its own for each whole-program test: home, store, run directory, an image made on the spot.

#![forbid(unsafe_code)]

use archive::{Entry, EntryKind, TarWriter};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// No command of these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store of its own.
pub struct Place {
    dir: PathBuf,
    binary: PathBuf,
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; -1 for none.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Insists on success and returns what was printed, trimmed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out.trim_end().to_owned()
    }

    /// Insists on a code, and on words in the error.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        self
    }
}

impl Place {
    /// Makes a place with the image `box` (a static busybox) in it.
    pub fn new() -> Self {
        let place = Self::empty();
        place.run(&["pull", "-q", &format!("oci:{}:localhost/box:latest", place.layout().display())]).ok();
        place
    }

    /// Makes a place without an image.
    pub fn empty() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let base = if Path::new("/var/tmp").is_dir() { "/var/tmp" } else { "/tmp" };
        let dir = PathBuf::from(format!("{base}/coracle-system-{}-{number}", std::process::id()));
        std::fs::create_dir_all(dir.join("home")).expect("a directory for the test");
        let binary = std::env::var_os("CORACLE_BIN").map(PathBuf::from).expect("CORACLE_BIN names the program under test");
        Self { dir, binary }
    }

    /// A path in the place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A command on this place, not started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--root").arg(self.dir.join("root")).arg("--runroot").arg(self.dir.join("run")).args(args);
        command.env("HOME", self.dir.join("home")).env_remove("XDG_RUNTIME_DIR").env_remove("XDG_DATA_HOME").current_dir(&self.dir);
        command
    }

    /// Runs a command without input.
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, b"")
    }

    /// Runs a command with input.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Outcome {
        use std::io::Write;
        let mut child =
            self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("it was asked for");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a child has a pid");
        let (done, watch) = std::sync::mpsc::channel::<()>();
        let guard = std::thread::spawn(move || {
            if watch.recv_timeout(PATIENCE).is_err() {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let Output { status, stdout, stderr } = child.wait_with_output().expect("its output");
        let _ = done.send(());
        let _ = (writer.join(), guard.join());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Outcome { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Runs a shell line in a new container without a network.
    pub fn shell(&self, flags: &[&str], line: &str) -> Outcome {
        let args: Vec<&str> =
            ["run", "--rm", "--network", "none"].into_iter().chain(flags.iter().copied()).chain(["box", "sh", "-c", line]).collect();
        self.run(&args)
    }

    /// Runs the program's own probe in a new container and returns its facts.
    pub fn probe(&self, flags: &[&str]) -> serde_json::Value {
        let args: Vec<&str> = ["run", "--rm", "--network", "none"]
            .into_iter()
            .chain(flags.iter().copied())
            .chain(["coracle/hello", "/hello", "--json"])
            .collect();
        serde_json::from_str(&self.run(&args).ok()).expect("the probe prints JSON")
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(20), "waiting for: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Processes of the program that work on this place.
    pub fn processes(&self) -> Vec<i32> {
        let mark = self.dir.to_string_lossy().into_owned();
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&mark)))
            .collect()
    }

    /// An OCI layout with a busybox image.
    fn layout(&self) -> PathBuf {
        let dir = self.dir.join("layout");
        let mut tar = TarWriter::new(Vec::new());
        for name in ["bin/", "dev/", "etc/", "proc/", "root/", "run/", "sys/", "var/", "data/"] {
            tar.append(&entry(name, EntryKind::Directory, 0o755, 0, ""), std::io::empty()).expect("memory");
        }
        tar.append(&entry("tmp/", EntryKind::Directory, 0o1777, 0, ""), std::io::empty()).expect("memory");
        let busybox = std::fs::read("/bin/busybox").or_else(|_| std::fs::read("/usr/bin/busybox")).expect("busybox-static is installed");
        tar.append(&entry("bin/busybox", EntryKind::File, 0o755, busybox.len() as u64, ""), &busybox[..]).expect("memory");
        for name in [
            "sh", "ls", "cat", "id", "echo", "touch", "sleep", "true", "false", "grep", "stat", "tty", "mount", "ps", "kill", "rm",
            "mkdir", "ln", "chmod", "printf", "seq", "head", "wc", "env", "pwd", "hostname", "dd", "nc", "httpd", "readlink",
        ] {
            tar.append(&entry(&format!("bin/{name}"), EntryKind::Symlink, 0o777, 0, "busybox"), std::io::empty()).expect("memory");
        }
        for (name, text) in [
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:web:/srv:/bin/sh\n"),
            ("etc/group", "root:x:0:\nweb:x:102:\nextra:x:33:web\n"),
            ("data/seed", "from the image\n"),
        ] {
            tar.append(&entry(name, EntryKind::File, 0o644, text.len() as u64, ""), text.as_bytes()).expect("memory");
        }
        write_layout(
            &dir,
            "localhost/box:latest",
            &[tar.finish().expect("memory")],
            json!({"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["sh"]}),
        );
        dir
    }
}

/// An entry of an archive.
pub fn entry(path: &str, kind: EntryKind, mode: u32, size: u64, link: &str) -> Entry {
    Entry { path: path.into(), kind, mode, uid: 0, gid: 0, mtime: (1, 0), size, link: link.into(), device: (0, 0), xattrs: Vec::new() }
}

/// Writes an OCI layout of plain tar layers.
pub fn write_layout(dir: &Path, name: &str, layers: &[Vec<u8>], config: serde_json::Value) {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("a directory");
    let blob = |bytes: &[u8]| {
        let digest = oci::Digest::from_sha256(&Sha256::digest(bytes).into());
        std::fs::write(blobs.join(digest.hex()), bytes).expect("a file");
        (digest, bytes.len())
    };
    let layers: Vec<_> = layers.iter().map(|layer| blob(layer)).collect();
    let config = json!({"architecture": architecture(), "os": "linux", "created": "2026-01-01T00:00:00Z", "config": config, "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|(digest, _)| digest.to_string()).collect::<Vec<_>>()}});
    let (config_digest, config_size) = blob(config.to_string().as_bytes());
    let layers: Vec<_> = layers
        .iter()
        .map(|(digest, size)| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size}))
        .collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config_size}, "layers": layers});
    let (digest, size) = blob(manifest.to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size, "annotations": {"org.opencontainers.image.ref.name": name}}]});
    std::fs::write(dir.join("index.json"), index.to_string()).expect("a file");
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.run(&["rm", "-f", "-a", "-t", "0"]);
        let _ = self.run(&["rmi", "-f", "-a"]);
        let _ = std::fs::remove_dir_all(&self.dir);
        if self.dir.exists() && !rustix::process::geteuid().is_root() {
            // What belongs to sub-ids is deleted where they are known.
            let _ = Command::new(&self.binary).args(["unshare", "rm", "-rf"]).arg(&self.dir).env("HOME", "/tmp").output();
        }
    }
}
