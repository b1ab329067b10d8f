//! RFC 3339 times in log lines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a time as the k8s-file driver writes it.
pub const LENGTH: usize = 35;

/// Formats a time as conmon does: nanoseconds, and UTC written as an offset.
pub fn format(time: SystemTime) -> [u8; LENGTH] {
    let mut text = *b"0000-00-00T00:00:00.000000000+00:00";
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86400, since.as_secs() % 86400);
    let (year, month, day) = date_of(days as i64);
    digits(&mut text[0..4], year.clamp(0, 9999) as u64);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], second / 3600);
    digits(&mut text[14..16], second / 60 % 60);
    digits(&mut text[17..19], second % 60);
    digits(&mut text[20..29], since.subsec_nanos().into());
    text
}

/// Formats a time with `Z`, as Docker's JSON lines have it.
pub fn format_utc(time: SystemTime) -> [u8; 30] {
    let mut text = [b'Z'; 30];
    text[..29].copy_from_slice(&format(time)[..29]);
    text
}

fn digits(text: &mut [u8], mut value: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Parses an RFC 3339 time with any number of fraction digits and any offset.
pub fn parse(text: &[u8]) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| date[at] != byte) || !matches!(date[10], b'T' | b't' | b' ') {
        return None;
    }
    let field = |from: usize, to: usize| number(&date[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanoseconds, zone) = fraction(rest)?;
    let seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let whole = if seconds >= 0 { UNIX_EPOCH.checked_add(whole) } else { UNIX_EPOCH.checked_sub(whole) };
    whole?.checked_add(Duration::from_nanos(nanoseconds))
}

fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let nanoseconds = (0..9).fold(0, |value, place| value * 10 + digits[..count].get(place).map_or(0, |digit| u64::from(digit - b'0')));
    Some((nanoseconds, &digits[count..]))
}

/// Returns the seconds a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), hours @ .., b':', a, b] if hours.len() == 2 => {
            let ahead = number(hours)? * 3600 + number(&[*a, *b])? * 60;
            Some(if *sign == b'+' { ahead } else { -ahead })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Returns year, month and day of a day after 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn date_of(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u64, day as u64)
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64, nanoseconds: u32) -> SystemTime {
        UNIX_EPOCH + Duration::new(seconds, nanoseconds)
    }

    #[test]
    fn known_times() {
        for (time, text) in [
            (at(0, 0), "1970-01-01T00:00:00.000000000+00:00"),
            (at(951_782_400, 1), "2000-02-29T00:00:00.000000001+00:00"),
            (at(1_795_796_221, 123_456_789), "2026-11-27T16:17:01.123456789+00:00"),
            (at(4_107_542_399, 999_999_999), "2100-02-28T23:59:59.999999999+00:00"),
        ] {
            assert_eq!(std::str::from_utf8(&format(time)).unwrap(), text);
            assert_eq!(parse(text.as_bytes()), Some(time));
        }
        assert_eq!(&format_utc(at(0, 5)), b"1970-01-01T00:00:00.000000005Z");
    }

    #[test]
    fn foreign_spellings() {
        let check = |text: &str, expected| assert_eq!(parse(text.as_bytes()), expected, "{text}");
        check("1970-01-01T00:00:01Z", Some(at(1, 0)));
        check("1970-01-01t02:00:01.5+02:00", Some(at(1, 500_000_000)));
        check("1970-01-01 00:00:00.1234567891-01:30", Some(at(5400, 123_456_789)));
        check("1969-12-31T23:59:59Z", Some(UNIX_EPOCH - Duration::from_secs(1)));
        for bad in [
            "",
            "1970",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00+aa:00",
        ] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn times_round_trip(seconds in 0u64..253_402_300_800, nanoseconds in 0u32..1_000_000_000) {
            let time = at(seconds, nanoseconds);
            prop_assert_eq!(parse(&format(time)), Some(time));
            prop_assert_eq!(parse(&format_utc(time)), Some(time));
        }

        #[test]
        fn any_bytes_parse_or_do_not(text in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _ = parse(&text);
        }
    }
}
