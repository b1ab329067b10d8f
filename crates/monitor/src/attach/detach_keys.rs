//! The keys that leave a session without ending the container.

use std::str::FromStr;

use thiserror::Error;

/// A key that is none.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "parsing detach keys \"{keys}\": unknown key \"{key}\" (a character, ctrl-a to ctrl-z, ctrl-@, ctrl-[, ctrl-\\, ctrl-], ctrl-^, ctrl-_, or DEL)"
)]
pub struct DetachKeysError {
    /// All that was given.
    pub keys: String,
    /// The part that is no key.
    pub key: String,
}

/// A sequence of keys (`ctrl-p,ctrl-q`); an empty one never matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys {
    sequence: Vec<u8>,
    /// For each length of a partial match: the longest shorter one that the same input is too (Knuth, Morris, Pratt).
    fallback: Vec<usize>,
}

impl DetachKeys {
    /// Keys that are never typed.
    pub fn none() -> DetachKeys {
        DetachKeys::new(Vec::new())
    }

    fn new(sequence: Vec<u8>) -> DetachKeys {
        let mut fallback = vec![0; sequence.len() + 1];
        for length in 2..=sequence.len() {
            let mut border: usize = fallback[length - 1];
            while border > 0 && sequence[border] != sequence[length - 1] {
                border = fallback[border];
            }
            fallback[length] = if sequence[border] == sequence[length - 1] { border + 1 } else { 0 };
        }
        DetachKeys { sequence, fallback }
    }
}

impl Default for DetachKeys {
    /// Podman's and Docker's: ctrl-p, then ctrl-q.
    fn default() -> DetachKeys {
        DetachKeys::new(vec![0x10, 0x11])
    }
}

impl FromStr for DetachKeys {
    type Err = DetachKeysError;

    fn from_str(keys: &str) -> Result<DetachKeys, DetachKeysError> {
        if keys.is_empty() {
            return Ok(DetachKeys::none());
        }
        let unknown = |key: &str| DetachKeysError { keys: keys.to_owned(), key: key.to_owned() };
        let sequence = keys.split(',').map(|key| code(key).ok_or_else(|| unknown(key))).collect::<Result<_, _>>()?;
        Ok(DetachKeys::new(sequence))
    }
}

fn code(key: &str) -> Option<u8> {
    match (key.as_bytes(), key.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([single], _) if single.is_ascii() => Some(*single),
        (b"DEL", _) => Some(0x7f),
        (_, Some([letter @ b'a'..=b'z'])) => Some(letter - b'a' + 1),
        (_, Some(b"@")) => Some(0),
        (_, Some(b"[")) => Some(0x1b),
        (_, Some(b"\\")) => Some(0x1c),
        (_, Some(b"]")) => Some(0x1d),
        (_, Some(b"^")) => Some(0x1e),
        (_, Some(b"_")) => Some(0x1f),
        _ => None,
    }
}

/// Watches typed bytes for the detach keys.
#[derive(Debug)]
pub struct DetachWatch {
    keys: DetachKeys,
    matched: usize,
}

impl DetachWatch {
    /// Starts with nothing typed.
    pub fn new(keys: DetachKeys) -> DetachWatch {
        DetachWatch { keys, matched: 0 }
    }

    /// Appends to `passed` what is not part of the keys; true once they are complete (the rest of `typed` is then dropped).
    ///
    /// The beginning of the sequence is held back until it is clear what it becomes.
    pub fn feed(&mut self, typed: &[u8], passed: &mut Vec<u8>) -> bool {
        let DetachKeys { sequence, fallback } = &self.keys;
        if sequence.is_empty() {
            passed.extend_from_slice(typed);
            return false;
        }
        for &byte in typed {
            while self.matched > 0 && sequence[self.matched] != byte {
                let shorter = fallback[self.matched];
                passed.extend_from_slice(&sequence[..self.matched - shorter]);
                self.matched = shorter;
            }
            if sequence[self.matched] == byte {
                self.matched += 1;
                if self.matched == sequence.len() {
                    return true;
                }
            } else {
                passed.push(byte);
            }
        }
        false
    }

    /// Returns what was held back; for the end of the input.
    pub fn held_back(&mut self) -> &[u8] {
        &self.keys.sequence[..std::mem::take(&mut self.matched)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings() {
        let check = |keys: &str, expected: &[u8]| assert_eq!(keys.parse::<DetachKeys>().unwrap().sequence, expected, "{keys}");
        check("", b"");
        check("ctrl-p,ctrl-q", b"\x10\x11");
        check("ctrl-a", b"\x01");
        check("ctrl-z", b"\x1a");
        check("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f");
        check("DEL", b"\x7f");
        check("q", b"q");
        check("Z,-,1", b"Z-1");
        check("a,b,c", b"abc");
        for bad in ["ctrl-", "ctrl-A", "ctrl-1", "ctrl-pp", "ctrl", "ab", ",", "a,", ",a", "ü", "ctrl-p ctrl-q", "del", "^P"] {
            assert!(bad.parse::<DetachKeys>().is_err(), "{bad}");
        }
        let error = "ctrl-p,foo".parse::<DetachKeys>().unwrap_err();
        assert_eq!((error.keys.as_str(), error.key.as_str()), ("ctrl-p,foo", "foo"));
    }

    fn watch(keys: &str, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut watch = DetachWatch::new(keys.parse().unwrap());
        let mut passed = Vec::new();
        for piece in pieces {
            if watch.feed(piece, &mut passed) {
                return (passed, true);
            }
        }
        (passed, false)
    }

    #[test]
    fn watching() {
        assert_eq!(watch("ctrl-p,ctrl-q", &[b"ls\n"]), (b"ls\n".to_vec(), false));
        assert_eq!(watch("ctrl-p,ctrl-q", &[b"ab\x10\x11cd"]), (b"ab".to_vec(), true));
        assert_eq!(watch("ctrl-p,ctrl-q", &[b"ab\x10", b"\x11cd"]), (b"ab".to_vec(), true));
        assert_eq!(watch("ctrl-p,ctrl-q", &[b"\x10"]), (b"".to_vec(), false));
        assert_eq!(watch("ctrl-p,ctrl-q", &[b"\x10", b"x"]), (b"\x10x".to_vec(), false));
        assert_eq!(watch("ctrl-p,ctrl-q", &[b"\x10\x10\x11"]), (b"\x10".to_vec(), true));
        assert_eq!(watch("ctrl-p,ctrl-q", &[b"\x11\x10"]), (b"\x11".to_vec(), false));
        assert_eq!(watch("a,a,b", &[b"aaab"]), (b"a".to_vec(), true));
        assert_eq!(watch("a,b,a,c", &[b"aba", b"bac"]), (b"ab".to_vec(), true));
        assert_eq!(watch("", &[b"\x10\x11"]), (b"\x10\x11".to_vec(), false));
        assert_eq!(watch("ctrl-@", &[b"a\0b"]), (b"a".to_vec(), true));
    }

    #[test]
    fn what_was_held_back_is_given_at_the_end() {
        let mut watch = DetachWatch::new(DetachKeys::default());
        let mut passed = Vec::new();
        assert!(!watch.feed(b"x\x10", &mut passed));
        assert_eq!((passed.as_slice(), watch.held_back()), (&b"x"[..], &b"\x10"[..]));
        assert_eq!(watch.held_back(), b"");
    }

    proptest! {
        #[test]
        fn it_is_a_search(
            sequence in proptest::collection::vec(0u8..3, 1..6),
            typed in proptest::collection::vec(0u8..3, 0..60),
            cut in 1usize..8,
        ) {
            let found = typed.windows(sequence.len()).position(|window| window == sequence);
            let mut watch = DetachWatch::new(DetachKeys::new(sequence));
            let mut passed = Vec::new();
            let detached = typed.chunks(cut).any(|piece| watch.feed(piece, &mut passed));
            prop_assert_eq!(detached, found.is_some());
            match found {
                Some(at) => prop_assert_eq!(&passed, &typed[..at]),
                None => {
                    passed.extend_from_slice(watch.held_back());
                    prop_assert_eq!(&passed, &typed);
                }
            }
        }

        #[test]
        fn any_text_parses_or_does_not(keys in ".{0,20}") {
            let _ = keys.parse::<DetachKeys>();
        }
    }
}
