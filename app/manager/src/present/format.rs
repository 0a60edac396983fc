//! Numbers and times as people read them. A no-break space stands between a number and its unit.

/// A share of one core.
#[must_use]
pub fn percent(value: f32) -> String {
    if value > 0.0 && value < 9.95 { format!("{value:.1}\u{a0}%") } else { format!("{value:.0}\u{a0}%") }
}

/// An amount of memory, with three digits at most.
#[must_use]
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut amount = value as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(amount < 9.95 && unit > 0);
    format!("{amount:.digits$}\u{a0}{}", UNITS.get(unit).copied().unwrap_or_default())
}

/// How long something has been going on.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}\u{a0}s"),
        (0, 0, minutes) => format!("{minutes}\u{a0}min"),
        (0, hours, minutes) => format!("{hours}\u{a0}h {minutes}\u{a0}min"),
        (days, hours, _) => format!("{days}\u{a0}d {hours}\u{a0}h"),
    }
}

/// How long ago something was.
#[must_use]
pub fn ago(now: u64, then: u64) -> String {
    let plural = |count: u64, unit: &str| format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" });
    match now.saturating_sub(then) {
        0..60 => "just now".to_owned(),
        seconds @ 60..3600 => plural(seconds / 60, "minute"),
        seconds @ 3600..86_400 => plural(seconds / 3600, "hour"),
        seconds => plural(seconds / 86_400, "day"),
    }
}

/// How often something happened.
#[must_use]
pub fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// A moment in UTC: year-month-day hour:minute.
#[must_use]
pub fn date(unix_seconds: u64) -> String {
    let days = unix_seconds / 86_400;
    // Days since 1 March of year 0, in eras of 400 years (146 097 days): the usual civil calendar arithmetic.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (unix_seconds / 3600 % 24, unix_seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let plain = |text: String| text.replace('\u{a0}', " ");
        assert_eq!(
            [0.0, 0.04, 3.25, 42.4, 180.0].map(|value| plain(percent(value))),
            ["0 %", "0.0 %", "3.2 %", "42 %", "180 %"]
        );
        assert_eq!(
            [0, 900 << 10, 34 << 20, 1200 << 20, 5 << 40].map(|value| plain(bytes(value))),
            ["0 KiB", "900 KiB", "34 MiB", "1.2 GiB", "5.0 TiB"]
        );
        assert_eq!(
            [59, 60, 3700, 90_000].map(|value| plain(duration(value))),
            ["59 s", "1 min", "1 h 1 min", "1 d 1 h"]
        );
        assert_eq!(
            [(9, 10), (70, 10), (7300, 0)].map(|(now, then)| ago(now, then)),
            ["just now", "1 minute ago", "2 hours ago"]
        );
    }

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_795_434_300), "2026-11-23 11:45 UTC");
    }
}
