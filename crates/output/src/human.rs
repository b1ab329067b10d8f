//! Sizes and times as people read them, in the words of Docker's units library.

/// `1.02 MB`: powers of 1000, at most three digits.
pub fn size(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB"], true)
}

/// `1.02MB`: the same without the space.
pub fn size_tight(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB"], false)
}

fn scaled(mut value: f64, base: f64, units: &[&str], spaced: bool) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    // Go's %.4g, shortened to three digits as Podman's table shows them.
    let digits = if value >= 100.0 || unit == 0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let mut text = format!("{value:.digits$}");
    if text.contains('.') {
        text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{text}{}{}", if spaced { " " } else { "" }, units[unit])
}

/// `About an hour`, `3 minutes`: a span of seconds.
pub fn duration(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds as f64 / 3600.0).round() as u64);
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// `3 minutes ago`; both in nanoseconds since 1970.
pub fn ago(then: u128, now: u128) -> String {
    format!("{} ago", duration((now.saturating_sub(then) / 1_000_000_000) as u64))
}

/// RFC 3339 with nanoseconds, in UTC: `2026-11-27T16:17:01.000000000Z`, trailing zeros dropped.
pub fn rfc3339(nanos: u128) -> String {
    if nanos == 0 {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    let (y, mo, d, h, mi, s) = civil(nanos);
    let fraction = format!("{:09}", nanos % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}{dot}{fraction}Z")
}

/// Go's default form: `2026-11-27 16:17:01.5 +0000 UTC`.
pub fn go_time(nanos: u128) -> String {
    if nanos == 0 {
        return "0001-01-01 00:00:00 +0000 UTC".to_owned();
    }
    let text = rfc3339(nanos);
    format!("{} +0000 UTC", text.trim_end_matches('Z').replacen('T', " ", 1))
}

/// Year, month, day, hour, minute, second of a time in UTC.
fn civil(nanos: u128) -> (i64, u32, u32, u32, u32, u32) {
    let seconds = (nanos / 1_000_000_000) as i64;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to date in the proleptic Gregorian calendar, years beginning in March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, (rest / 3600) as u32, (rest % 3600 / 60) as u32, (rest % 60) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_020_000, "1.02 MB"), (44_500_000, "44.5 MB"), (133_000_000, "133 MB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size_tight(1500), "1.5kB");
    }

    #[test]
    fn spans_read_well() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (180, "3 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (86_400 * 3, "3 days"),
            (86_400 * 21, "3 weeks"),
            (86_400 * 90, "3 months"),
            (86_400 * 800, "2 years"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(rfc3339(1_795_792_621_500_000_000), "2026-11-27T15:17:01.5Z");
        assert_eq!(rfc3339(951_868_800_000_000_000), "2000-03-01T00:00:00Z");
        assert_eq!(go_time(1_000_000_000), "1970-01-01 00:00:01 +0000 UTC");
    }
}
