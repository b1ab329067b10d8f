//! How fast output flows through a monitor, against the same program writing to a pipe into `cat`.
//!
//! `flood [megabytes [line-length [rounds]]]`; needs the `mini` example beside it. The ways are taken in turn, and the
//! medians are printed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let number = |index: usize, default: usize| words.get(index).map_or(default, |word| word.parse().expect("a number"));
    if words.get(1).is_some_and(|word| word == "produce") {
        return produce(number(2, 0), number(3, 0));
    }
    let (megabytes, line_length, rounds) = (number(1, 500), number(2, 100), number(3, 5));
    let program = std::env::current_exe().expect("this program");
    let mini = program.with_file_name("mini");
    let directory = std::env::temp_dir().join(format!("flood-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let source = format!("{} produce {megabytes} {line_length}", program.display());
    let ways = Ways { source, mini, directory: directory.clone() };
    let mut times: Vec<(String, Vec<Duration>)> = ways.all().into_iter().map(|(name, _)| (name.to_owned(), Vec::new())).collect();
    for _ in 0..rounds {
        for ((_, times), (_, script)) in times.iter_mut().zip(ways.all()) {
            let began = Instant::now();
            let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
            assert!(status.success(), "{script}");
            times.push(began.elapsed());
            let expected = (megabytes << 20) as u64;
            let shown = std::fs::metadata(directory.join("out")).map_or(expected, |file| file.len());
            assert_eq!(shown, expected, "{script}");
            for entry in std::fs::read_dir(&directory).expect("the directory") {
                std::fs::remove_file(entry.expect("an entry").path()).expect("removing");
            }
        }
    }
    std::fs::remove_dir(&directory).expect("removing");
    for (name, mut times) in times {
        times.sort();
        let median = times[times.len() / 2];
        println!("{:8.0} MB/s  {:7.1} ms  {name}", megabytes as f64 / median.as_secs_f64(), median.as_secs_f64() * 1000.0);
    }
}

struct Ways {
    source: String,
    mini: PathBuf,
    directory: PathBuf,
}

impl Ways {
    fn all(&self) -> Vec<(&'static str, String)> {
        let Ways { source, directory, .. } = self;
        let at = |name: &str| path(directory, name);
        let mini = |verb: &str, options: &str| format!("{} {verb} --no-stdin {options} -- {source}", self.mini.display());
        let log = format!("--log={}", at("log"));
        let bounded = format!("{log} --max-size=16777216");
        vec![
            ("program | cat > file", format!("{source} | cat > {}", at("out"))),
            ("no log, shown in a file", mini("run", "") + &format!(" > {}", at("out"))),
            ("k8s-file, detached", mini("monitor", &format!("{log} --max-size=-1"))),
            ("k8s-file with rotation, detached", mini("monitor", &bounded)),
            ("k8s-file with rotation, shown in a file", mini("run", &bounded) + &format!(" > {}", at("out"))),
            ("json-file with rotation, detached", mini("monitor", &format!("{bounded} --driver=json-file"))),
            ("program | cat | cat > /dev/null", format!("{source} | cat | cat > /dev/null")),
            ("k8s-file with rotation, shown in a pipe | cat > /dev/null", mini("run", &bounded) + " | cat > /dev/null"),
        ]
    }
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

/// Writes lines as fast as a pipe takes them.
fn produce(megabytes: usize, line_length: usize) {
    let line: Vec<u8> = (0..line_length.max(1) - 1).map(|n| b'a' + (n % 26) as u8).chain([b'\n']).collect();
    let block: Vec<u8> = line.iter().copied().cycle().take((64 << 10) + line.len()).collect();
    let mut stdout = std::fs::File::from(rustix::stdio::stdout().try_clone_to_owned().expect("stdout"));
    let mut written = 0;
    while written < megabytes << 20 {
        let from = written % line.len();
        let count = (64 << 10).min((megabytes << 20) - written);
        stdout.write_all(&block[from..from + count]).expect("writing");
        written += count;
    }
}
