//! Times as people write them, and back: Unix milliseconds inside.
//!
//! A time is always absolute when it leaves here; what is relative ("two hours ago") is counted from now once. Times
//! without a zone are refused: the machine that a command runs on is rarely where its reader is.

use std::time::{SystemTime, UNIX_EPOCH};

use toml::value::{Datetime, Offset};

use crate::config::quantity::parse_milliseconds;

const DAY_MS: i64 = 86_400_000;

/// A time if the text is one: RFC 3339, `@` and Unix milliseconds, or `-` and a duration with its unit, counted back
/// from now. `None` if it is meant as something else.
pub(super) fn parse_time(text: &str) -> Option<Result<i64, String>> {
    if let Some(milliseconds) = text.strip_prefix('@') {
        return Some(unix_milliseconds(milliseconds));
    }
    if let Some(duration) =
        text.strip_prefix('-').filter(|rest| rest.ends_with(|c: char| c.is_ascii_alphabetic()))
    {
        let ago = parse_milliseconds(duration);
        return Some(ago.map(|ago| now_ms().saturating_sub_unsigned(ago)));
    }
    // A date is told from a number by its dashes, and from a negative number by where they stand.
    let is_date =
        text.len() > 4 && text.as_bytes()[4] == b'-' && text.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    is_date.then(|| rfc_3339(text))
}

/// Unix milliseconds, as a number.
pub(super) fn unix_milliseconds(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(time) if time >= 0 => Ok(time),
        _ => Err(format!("'{text}' is not a time in Unix milliseconds")),
    }
}

/// Parses `2026-01-01T00:00:00Z`, with a fraction and any zone.
pub(super) fn rfc_3339(text: &str) -> Result<i64, String> {
    let wrong = |why: String| format!("'{text}' is not a time: {why}; write it as 2026-01-01T00:00:00Z");
    let parsed: Datetime = text.parse().map_err(|error| wrong(format!("{error}")))?;
    let (Some(date), Some(time)) = (parsed.date, parsed.time) else {
        return Err(wrong("a date and a time of day are needed".to_owned()));
    };
    let zone_minutes = match parsed.offset {
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => i64::from(minutes),
        None => return Err(wrong("its zone is missing: Z or +01:00".to_owned())),
    };
    let days = days_since_epoch(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let second = time.second;
    let of_day = (i64::from(time.hour) * 60 + i64::from(time.minute) - zone_minutes) * 60 + i64::from(second);
    let time = days * DAY_MS + of_day * 1000 + i64::from(time.nanosecond / 1_000_000);
    if time < 0 { Err(wrong("it is before 1970".to_owned())) } else { Ok(time) }
}

/// Writes a time in RFC 3339, in UTC, to the millisecond.
pub(super) fn shown(time_ms: i64) -> String {
    let (year, month, day) = date_of(time_ms.div_euclid(DAY_MS));
    let of_day = time_ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

/// Now, by the machine's clock.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that the day that only some
/// of them have is their last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// The date that is so many days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let begins = |year: i64| days_since_epoch(year, 3, 1);
    // The year by its mean length of 146097 / 400 days is off by one at most.
    let mut year = (days + 719_468) * 400 / 146_097 + 1;
    while begins(year) > days {
        year -= 1;
    }
    let of_year = days - begins(year);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let pairs = [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2026-01-01T00:00:00.000Z", 1_767_225_600_000),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
        ];
        for (text, time) in pairs {
            assert_eq!(rfc_3339(text), Ok(time), "{text}");
            assert_eq!(shown(time), text);
        }
        assert_eq!(rfc_3339("2026-01-01T01:30:00+01:30"), Ok(1_767_225_600_000));
        assert_eq!(rfc_3339("2025-12-31 23:00:00-01:00"), Ok(1_767_225_600_000));
    }

    #[test]
    fn every_day_of_centuries_comes_back() {
        let mut last = date_of(-1);
        for days in 0..200_000 {
            let date = date_of(days);
            assert_eq!(days_since_epoch(date.0, date.1, date.2), days);
            let follows = date > last && (date.2 == last.2 + 1 || date.2 == 1);
            assert!(follows, "{last:?} and then {date:?}");
            last = date;
        }
    }

    #[test]
    fn a_time_is_told_from_a_number() {
        assert_eq!(parse_time("@1767225600000"), Some(Ok(1_767_225_600_000)));
        assert_eq!(parse_time("2026-01-01T00:00:00Z"), Some(Ok(1_767_225_600_000)));
        for number in ["12", "-5", "+5", "1767225600000", "earliest"] {
            assert_eq!(parse_time(number), None, "{number}");
        }
        let ago = parse_time("-2h").expect("a time").expect("right");
        assert!((now_ms() - 7_200_000 - ago).abs() < 60_000);
        for wrong in [
            "@-1",
            "@x",
            "-5x",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "1969-12-31T00:00:00Z",
        ] {
            assert!(parse_time(wrong).is_some_and(|parsed| parsed.is_err()), "{wrong}");
        }
    }
}
