//! Sizes, durations and times as users type them.

use crate::ParseError;

/// Parses a number of digits alone: no sign, no spaces.
pub fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// Parses a file mode in octal, at most `7777`.
pub fn parse_mode(what: &'static str, text: &str) -> Result<u32, ParseError> {
    let good = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = if good { u32::from_str_radix(text, 8).ok() } else { None };
    mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| ParseError::new(what, text, "a mode is up to four octal digits"))
}

/// Parses a number of processors: positive, finite, not absurd; 0 is no limit.
pub fn parse_cpus(text: &str) -> Result<f64, ParseError> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let cpus = if plain { text.parse::<f64>().ok() } else { None };
    cpus.filter(|cpus| (0.0..=8192.0).contains(cpus)).ok_or_else(|| ParseError::new("number of cpus", text, "it is a number such as 1.5"))
}

/// Checks a list of processors or memory nodes, `0-2,4`. It is bounded: the kernel's own parser is not asked to be.
pub fn check_cpuset(text: &str) -> Result<(), ParseError> {
    let good = !text.is_empty()
        && text.len() < 4096
        && text.split(',').all(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            matches!((digits::<u32>(first), digits::<u32>(last)), (Some(first), Some(last)) if first <= last && last < 8192)
        });
    if good { Ok(()) } else { Err(ParseError::new("cpuset", text, "it is a list such as 0-2,4")) }
}

/// Parses a size in bytes: `10`, `10b`, `4k`, `2.5m`, `1GiB`; units are powers of 1024, as Docker counts.
pub fn parse_size(what: &'static str, text: &str) -> Result<u64, ParseError> {
    let invalid = || ParseError::new(what, text, "it is a number with a unit of b, k, m, g or t");
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let unit = unit.trim();
    let power = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit) {
        "" if unit == "ib" => return Err(invalid()),
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(invalid()),
    };
    let value: f64 = number.parse().map_err(|_| invalid())?;
    let bytes = value * 1024f64.powi(power);
    // Beyond 2^63 nothing on this planet is a size, and the kernel counts in signed numbers.
    if bytes.is_finite() && (0.0..9.2e18).contains(&bytes) { Ok(bytes as u64) } else { Err(invalid()) }
}

/// Parses a size where `-1` means unlimited.
pub fn parse_limit(what: &'static str, text: &str) -> Result<i64, ParseError> {
    if text == "-1" { Ok(-1) } else { parse_size(what, text).map(|size| size as i64) }
}

/// Parses a Go duration, `1h2m3.5s`, in nanoseconds; a number alone is seconds.
pub fn parse_duration(what: &'static str, text: &str) -> Result<u64, ParseError> {
    let invalid = || ParseError::new(what, text, "it is a duration such as 90s, 1m30s or 500ms");
    if let Some(Ok(seconds)) = text.bytes().all(|b| b.is_ascii_digit() || b == b'.').then(|| text.parse::<f64>()) {
        return if seconds.is_finite() && (0.0..9.2e9).contains(&seconds) { Ok((seconds * 1e9) as u64) } else { Err(invalid()) };
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let number: f64 = rest[..end].parse().map_err(|_| invalid())?;
        rest = &rest[end..];
        let (unit, factor) = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit) && !(*unit == "m" && rest.starts_with("ms")))
            .ok_or_else(invalid)?;
        total += number * factor;
        rest = &rest[unit.len()..];
    }
    if total < 9.2e18 { Ok(total as u64) } else { Err(invalid()) }
}

/// Parses a point in time, in nanoseconds since 1970: RFC 3339 and shorter forms of it, seconds since 1970, or a
/// duration before now.
pub fn parse_time(what: &'static str, text: &str, now: u128) -> Result<u128, ParseError> {
    let invalid =
        || ParseError::new(what, text, "it is a time such as 2026-01-02T15:04:05Z, seconds since 1970, or a duration such as 10m");
    if let Some(nanos) = parse_unix(text) {
        return Ok(nanos);
    }
    if text.len() >= 10 && text.as_bytes()[4] == b'-' {
        return parse_date(text).ok_or_else(invalid);
    }
    let ago = parse_duration(what, text.strip_prefix('-').unwrap_or(text)).map_err(|_| invalid())?;
    Ok(now.saturating_sub(u128::from(ago)))
}

fn parse_unix(text: &str) -> Option<u128> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if seconds.is_empty() || !seconds.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some(seconds.parse::<u128>().ok()?.checked_mul(1_000_000_000)? + nanos.parse::<u128>().ok()?)
}

/// `2026-01-02[T15:04[:05[.9]]][Z|+01:00]`; without a zone it is UTC.
fn parse_date(text: &str) -> Option<u128> {
    if !text.is_ascii() {
        return None;
    }
    let number = |text: &str| -> Option<i64> { text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())? };
    let (year, month, day) = (number(text.get(0..4)?)?, number(text.get(5..7)?)?, number(text.get(8..10)?)?);
    if text.get(7..8)? != "-" || !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) || year < 1970 {
        return None;
    }
    let rest = &text[10..];
    let (clock, offset) = match rest.find(['Z', '+', '-']) {
        Some(at) if rest[at..].starts_with('Z') => (&rest[..at], 0),
        Some(at) => {
            let zone = &rest[at + 1..];
            let minutes = number(zone.get(0..2)?)? * 60 + number(zone.get(zone.len().checked_sub(2)?..)?)?;
            (&rest[..at], if rest[at..].starts_with('-') { -minutes } else { minutes })
        }
        None => (rest, 0),
    };
    let clock = clock.trim_start_matches(['T', 't', ' ']);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':').filter(|part| !part.is_empty());
    let mut next = || parts.next().map_or(Some(0), number);
    let (hour, minute, second) = (next()?, next()?, next()?);
    if hour > 23 || minute > 59 || second > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Days since 1970 of the proleptic Gregorian calendar.
    let (y, m) = if month <= 2 { (year - 1, month + 12) } else { (year, month) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * (m - 3) + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some(u128::try_from(seconds).ok()? * 1_000_000_000 + nanos.parse::<u128>().ok()?)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("10", 10),
            ("10b", 10),
            ("4k", 4096),
            ("4KB", 4096),
            ("4kib", 4096),
            ("2.5m", 2_621_440),
            ("1G", 1 << 30),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse_size("size", text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "k", "-1", "1x", "1e30", "nan", "inf", "1..2", "99999999999p"] {
            assert!(parse_size("size", bad).is_err(), "{bad}");
        }
        assert_eq!(parse_limit("limit", "-1").unwrap(), -1);
    }

    #[test]
    fn durations_are_gos() {
        for (text, nanos) in
            [("1h2m3.5s", 3_723_500_000_000u64), ("500ms", 500_000_000), ("10", 10_000_000_000), ("1m", 60_000_000_000), ("1us", 1000)]
        {
            assert_eq!(parse_duration("time", text).unwrap(), nanos, "{text}");
        }
        for bad in ["", "h", "1x", "-5s", "1h2", "nan"] {
            assert!(parse_duration("time", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_dates_numbers_or_durations() {
        let at = |text: &str| parse_time("time", text, 1_000_000_000_000).unwrap();
        assert_eq!(at("1970-01-02T00:00:01Z"), 86_401_000_000_000);
        assert_eq!(at("2026-11-27T16:17:01.5+01:00"), 1_795_792_621_500_000_000);
        assert_eq!(at("2000-03-01"), 951_868_800_000_000_000);
        assert_eq!(at("5.25"), 5_250_000_000);
        assert_eq!(at("10s"), 990_000_000_000);
        for bad in ["", "2026-13-01", "2026-01-01T25:00", "tomorrow", "é026-01-01T"] {
            assert!(parse_time("time", bad, 0).is_err(), "{bad}");
        }
    }
}
