//! Pieces of lines put together again.

use std::ops::ControlFlow;
use std::time::SystemTime;

use super::Record;
use super::parse::Piece;
use crate::Stream;

/// Longer lines are given out in pieces: a line of gigabytes is not for memory.
const LONGEST: usize = 1 << 20;

/// Joins pieces per stream and keeps to the times that are wanted.
pub(crate) struct Joiner {
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    unfinished: [Option<Unfinished>; 2],
}

/// A line whose end has not come.
struct Unfinished {
    time: SystemTime,
    text: Vec<u8>,
    /// Its beginning was given out.
    begun: bool,
}

type Sink<'a> = &'a mut dyn FnMut(&Record<'_>) -> ControlFlow<()>;

impl Joiner {
    pub fn new(since: Option<SystemTime>, until: Option<SystemTime>) -> Joiner {
        Joiner { since, until, unfinished: [None, None] }
    }

    /// Takes the next piece.
    pub fn add(&mut self, piece: &Piece<'_>, sink: Sink<'_>) -> ControlFlow<()> {
        let stream = piece.stream;
        let waiting = &mut self.unfinished[stream as usize];
        if waiting.is_none() && !piece.partial {
            let record = Record { time: piece.time, stream, text: &piece.text, begins_line: true, ends_line: true };
            return self.give(&record, sink);
        }
        let line = waiting.get_or_insert_with(|| Unfinished { time: piece.time, text: Vec::new(), begun: false });
        line.text.extend_from_slice(&piece.text);
        if piece.partial && line.text.len() < LONGEST {
            return ControlFlow::Continue(());
        }
        self.give_unfinished(stream, !piece.partial, sink)
    }

    /// Gives out what waits for the rest of its line.
    pub fn flush(&mut self, sink: Sink<'_>) -> ControlFlow<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.unfinished[stream as usize].as_ref().is_some_and(|line| !line.text.is_empty()) {
                self.give_unfinished(stream, false, sink)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn give_unfinished(&mut self, stream: Stream, ends_line: bool, sink: Sink<'_>) -> ControlFlow<()> {
        let Some(line) = self.unfinished[stream as usize].take() else {
            return ControlFlow::Continue(());
        };
        let record = Record { time: line.time, stream, text: &line.text, begins_line: !line.begun, ends_line };
        let flow = self.give(&record, sink);
        if !ends_line {
            self.unfinished[stream as usize] = Some(Unfinished { time: line.time, text: Vec::new(), begun: true });
        }
        flow
    }

    fn give(&self, record: &Record<'_>, sink: Sink<'_>) -> ControlFlow<()> {
        let wanted = self.since.is_none_or(|since| record.time >= since) && self.until.is_none_or(|until| record.time <= until);
        if wanted { sink(record) } else { ControlFlow::Continue(()) }
    }
}
