//! `logs`

use super::Command;
use crate::app::App;
use crate::args::{Kind, Parsed, flag, refused};
use crate::failure::Failure;
use engine::container::{ContainerRecord, find, logs};
use monitor::Stream;
use monitor::logs::Record;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, UNIX_EPOCH};

pub(crate) const LOGS: Command = Command {
    paths: &["logs", "container logs"],
    about: "Show the output of containers",
    description: "Shows what containers wrote; with --follow, what they write until they end.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["logs web", "logs -f --tail 10 web", "logs --since 10m -t web db"],
    flags: &[&[
        flag("color", ' ', Kind::Switch, "", "Colour the lines of different containers"),
        flag("follow", 'f', Kind::Switch, "", "Go on as more is written"),
        flag("latest", 'l', Kind::Switch, "", "The container made last"),
        flag("names", 'n', Kind::Switch, "", "Show names of containers"),
        flag("since", ' ', Kind::Value, "TIME", "Only what was written since"),
        flag("tail", ' ', Kind::Value, "N", "Only the last so many lines"),
        flag("timestamps", 't', Kind::Switch, "", "Show times"),
        flag("until", ' ', Kind::Value, "TIME", "Only what was written until then"),
        refused("details", ' ', false),
    ]],
    options_first: false,
    arguments: (0, None),
    run: main,
};

fn main(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let records: Vec<ContainerRecord> = if parsed.on("latest") || parsed.positionals.is_empty() {
        vec![super::one(&engine, &parsed)?]
    } else {
        parsed.positionals.iter().map(|typed| find::find(&engine, typed)).collect::<engine::Result<_>>()?
    };
    let now = engine::host::now();
    let time = |flag: &'static str| -> Result<_, Failure> {
        Ok(parsed
            .value(flag)
            .map(|text| spec::quantity::parse_time("time", text, now))
            .transpose()?
            .map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos as u64)))
    };
    let tail = parsed.number::<i64>("tail")?.and_then(|n| u64::try_from(n).ok());
    let wish = logs::LogsWish { tail, since: time("since")?, until: time("until")?, follow: parsed.on("follow") };
    let several = records.len() > 1;
    if several && wish.follow {
        return follow_several(&engine, &records, &wish, &parsed);
    }
    let shower = |record: &ContainerRecord| Shower::new(record, several || parsed.on("names"), &parsed);
    if several {
        // One after the other would mix up time; all are read and sorted.
        let mut lines: Vec<(usize, Line)> = Vec::new();
        for (index, record) in records.iter().enumerate() {
            logs::read(&engine, record, &wish, |line| {
                lines.push((index, Line::of(line)));
                ControlFlow::Continue(())
            })?;
        }
        lines.sort_by_key(|(_, line)| line.time);
        let showers: Vec<Shower> = records.iter().map(shower).collect();
        for (index, line) in &lines {
            if showers[*index].show(&line.as_record()).is_break() {
                break;
            }
        }
        return Ok(0);
    }
    for record in &records {
        let shower = shower(record);
        logs::read(&engine, record, &wish, |line| shower.show(line))?;
    }
    Ok(0)
}

/// A thread for each; lines are written whole.
fn follow_several(engine: &engine::Engine, records: &[ContainerRecord], wish: &logs::LogsWish, parsed: &Parsed) -> Result<i32, Failure> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = records
            .iter()
            .map(|record| {
                scope.spawn(move || {
                    let shower = Shower::new(record, true, parsed);
                    logs::read(engine, record, wish, |line| shower.show(line))
                })
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => return Err(Failure::usage("reading a log ended early")),
            }
        }
        Ok(0)
    })
}

/// A record that is kept.
struct Line {
    time: std::time::SystemTime,
    stream: Stream,
    text: Vec<u8>,
    begins_line: bool,
    ends_line: bool,
}

impl Line {
    fn of(record: &Record<'_>) -> Self {
        Self {
            time: record.time,
            stream: record.stream,
            text: record.text.to_vec(),
            begins_line: record.begins_line,
            ends_line: record.ends_line,
        }
    }

    fn as_record(&self) -> Record<'_> {
        Record { time: self.time, stream: self.stream, text: &self.text, begins_line: self.begins_line, ends_line: self.ends_line }
    }
}

struct Shower {
    prefix: String,
    timestamps: bool,
}

impl Shower {
    fn new(record: &ContainerRecord, with_name: bool, parsed: &Parsed) -> Self {
        let label = if parsed.on("names") { record.name.to_string() } else { record.id.short().to_owned() };
        let prefix = match (with_name, parsed.on("color")) {
            (false, _) => String::new(),
            (true, false) => format!("{label} "),
            (true, true) => format!("\x1b[{}m{label}\x1b[0m ", 31 + record.id.as_str().bytes().map(u32::from).sum::<u32>() % 6),
        };
        Self { prefix, timestamps: parsed.on("timestamps") }
    }

    /// Writes one record where the container wrote it; a reader that left ends it.
    fn show(&self, line: &Record<'_>) -> ControlFlow<()> {
        let mut text = Vec::with_capacity(line.text.len() + 64);
        if line.begins_line {
            text.extend_from_slice(self.prefix.as_bytes());
            if self.timestamps {
                text.extend_from_slice(&monitor::logs::timestamp::format(line.time));
                text.push(b' ');
            }
        }
        text.extend_from_slice(line.text);
        if line.ends_line {
            text.push(b'\n');
        }
        let written = match line.stream {
            Stream::Stdout => {
                std::io::stdout().lock().write_all(&text).and_then(|()| if line.ends_line { std::io::stdout().flush() } else { Ok(()) })
            }
            Stream::Stderr => std::io::stderr().lock().write_all(&text),
        };
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
