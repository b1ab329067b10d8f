//! Finding the last lines of a log, backwards from its end.

use std::io;
use std::time::SystemTime;

use memchr::memrchr;
use rustix::io::{Errno, pread};

use super::chain::{Chain, File};
use super::lines::{LONGEST_LINE, Position};
use super::{LogFormat, parse};
use crate::Stream;

/// What one read may bring.
const READ: u64 = 128 << 10;
/// How much further back the beginning of a line is looked for whose end is wanted.
const FURTHER: u64 = 1 << 20;

/// Where to begin, for each stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning([Position; 2]);

impl Beginning {
    /// Begins with the first line, leaving out files that were last written before `since`.
    pub fn of_all(chain: &Chain, since: Option<SystemTime>) -> Beginning {
        let too_old = |file: &&File| since.is_some_and(|since| file.modified < since);
        let first = chain.files().find(|file| !too_old(file)).or(chain.newest());
        Beginning([(first.map_or(0, |file| file.ordinal), 0); 2])
    }

    /// Returns where the first wanted line of either stream begins.
    pub fn position(&self) -> Position {
        self.0[0].min(self.0[1])
    }

    pub fn includes(&self, position: Position, stream: Stream) -> bool {
        position >= self.0[stream as usize]
    }
}

/// Finds where the last `count` lines begin.
pub(crate) fn find(chain: &Chain, format: LogFormat, count: u64) -> io::Result<Beginning> {
    let end = chain.newest().map_or((0, 0), |file| (file.ordinal, file.size));
    let mut search = Search { wanted: count, counted: 0, streams: [State::Unseen; 2], beginning: Beginning([end; 2]), further: 0 };
    for file in chain.files().rev() {
        search_file(file, format, &mut search)?;
        if search.is_over() {
            break;
        }
    }
    Ok(search.beginning)
}

struct Search {
    wanted: u64,
    counted: u64,
    streams: [State; 2],
    beginning: Beginning,
    /// Bytes gone back since the last wanted line was found.
    further: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of this stream was met.
    Unseen,
    /// Inside a wanted line, whose beginning may be further back.
    Inside,
    /// All that is wanted was found.
    Done,
}

impl Search {
    fn is_over(&self) -> bool {
        self.counted >= self.wanted && (!self.streams.contains(&State::Inside) || self.further > FURTHER)
    }

    /// Looks at the piece before the one looked at last.
    fn meet(&mut self, position: Position, stream: Stream, partial: bool) {
        let state = &mut self.streams[stream as usize];
        let begins_another_line = !partial || *state == State::Unseen;
        if begins_another_line && self.counted < self.wanted {
            self.counted += 1;
            *state = State::Inside;
        } else if begins_another_line {
            *state = State::Done;
        }
        if *state == State::Inside {
            self.beginning.0[stream as usize] = position;
        }
    }
}

fn search_file(file: &File, format: LogFormat, search: &mut Search) -> io::Result<()> {
    // The bytes from `start` on, up to the end of the last line not looked at.
    let mut window: Vec<u8> = Vec::new();
    let mut start = file.size;
    while start > 0 && !search.is_over() {
        let count = READ.min(start);
        start -= count;
        let mut joined = read_exactly(file, start, count as usize)?;
        joined.append(&mut window);
        window = joined;
        if search.counted >= search.wanted {
            search.further += count;
        }
        // Whole lines, the last first; what is before the first newline may be the end of a longer line.
        while let Some(end) = memrchr(b'\n', &window) {
            let line_start = memrchr(b'\n', &window[..end]).map(|newline| newline + 1);
            let Some(line_start) = line_start.or((start == 0).then_some(0)) else {
                break;
            };
            if let Some(piece) = parse::line(format, &window[line_start..end]) {
                search.meet((file.ordinal, start + line_start as u64), piece.stream, piece.partial);
            }
            window.truncate(line_start);
            if search.is_over() {
                break;
            }
        }
        if window.len() > LONGEST_LINE {
            window.clear();
        }
    }
    Ok(())
}

fn read_exactly(file: &File, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match pread(&file.fd, &mut bytes[filled..], offset + filled as u64) {
            // Cut short by somebody since it was opened.
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
