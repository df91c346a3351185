//! The API's two time types: seconds (`Time`) and microseconds (`MicroTime`), both RFC 3339 in UTC.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The wall clock now. Logic that is tested takes the time as a parameter instead.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The wall clock now, cut to whole seconds, as the API stores it.
pub fn now_time() -> Time {
    to_time(now())
}

/// Cuts to whole seconds.
pub fn to_time(at: Timestamp) -> Time {
    let seconds = at.as_nanosecond().div_euclid(1_000_000_000);
    let seconds = i64::try_from(seconds).unwrap_or_default();
    Time(Timestamp::from_second(seconds).unwrap_or(at))
}

/// `2006-01-02T15:04:05Z`.
pub fn format_seconds(at: Timestamp) -> String {
    civil::format(at, false).unwrap_or_else(|| {
        strtime::format("%Y-%m-%dT%H:%M:%SZ", at).expect("the format has no directive that can fail on a timestamp")
    })
}

/// `2006-01-02T15:04:05.000000Z`.
pub fn format_micro(at: Timestamp) -> String {
    civil::format(at, true).unwrap_or_else(|| {
        strtime::format("%Y-%m-%dT%H:%M:%S%.6fZ", at).expect("the format has no directive that can fail on a timestamp")
    })
}

/// Now, as `metadata.creationTimestamp` shows it.
pub fn now_rfc3339() -> String {
    format_seconds(now())
}

/// Now in microseconds, as leases and events show it.
pub fn now_rfc3339_micro() -> String {
    format_micro(now())
}

/// Parses RFC 3339 with any offset and any precision.
///
/// # Errors
/// Go's text when the text is no such time.
pub fn parse(text: &str) -> Result<Timestamp, ParseError> {
    if let Some(at) = civil::parse(text) {
        return Ok(at);
    }
    // Go takes exactly this shape; the library behind the general case takes more.
    let bytes = text.as_bytes();
    let offset = match bytes {
        [head @ .., b'Z'] => Some(head),
        [head @ .., b'+' | b'-', _, _, b':', _, _] => Some(head),
        _ => None,
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let shaped = offset.is_some_and(|head| {
        let digits = head.iter().skip(19).skip(1).all(u8::is_ascii_digit);
        let dot = head.get(19).is_none_or(|byte| *byte == b'.') && head.len() != 20;
        head.len() >= 19 && digits && dot && marks.iter().all(|(at, mark)| head[*at] == *mark)
    });
    if !shaped {
        return Err(ParseError::new(text));
    }
    text.parse::<Timestamp>().map_err(|_| ParseError::new(text))
}

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parsing time {quoted} as \"2006-01-02T15:04:05Z07:00\": cannot parse {quoted} as \"2006\"")]
pub struct ParseError {
    quoted: String,
}

impl ParseError {
    fn new(text: &str) -> Self {
        Self {
            quoted: crate::field::quote(text),
        }
    }
}

/// The local calendar's zone by name, for cron schedules; UTC for the empty name.
pub fn zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name == "UTC" {
        Some(TimeZone::UTC)
    } else {
        TimeZone::get(name).ok()
    }
}

mod civil;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_print_as_the_api_does() {
        let at = parse("2026-11-21T10:00:00.123456789+02:00").unwrap();
        assert_eq!(format_seconds(at), "2026-11-21T08:00:00Z");
        assert_eq!(format_micro(at), "2026-11-21T08:00:00.123456Z");
        assert_eq!(format_seconds(to_time(at).0), "2026-11-21T08:00:00Z");
        assert_eq!(
            format_micro(parse("2026-11-21T08:00:00Z").unwrap()),
            "2026-11-21T08:00:00.000000Z"
        );
    }

    #[test]
    fn the_short_way_agrees_with_the_calendar_library() {
        for seconds in (-62_135_596_800..253_402_300_799_i64).step_by(86_399 * 997 + 12_345) {
            let at = Timestamp::new(seconds, 123_456_000).unwrap();
            let text = strtime::format("%Y-%m-%dT%H:%M:%S%.6fZ", at).unwrap();
            assert_eq!(format_micro(at), text);
            assert_eq!(parse(&text).unwrap(), at);
            assert_eq!(text.parse::<Timestamp>().unwrap(), at);
            assert_eq!(format_seconds(at), format!("{}Z", &text[..19]));
        }
        assert_eq!(
            format_micro(Timestamp::new(-1, -500_000_000).unwrap()),
            "1969-12-31T23:59:58.500000Z"
        );
        assert!(parse("2026-02-29T00:00:00Z").is_err());
        assert!(parse("2024-02-29T23:59:59Z").is_ok());
        assert!(parse("2026-13-01T00:00:00Z").is_err());
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21 10:00:00Z",
            "2026-11-21T10:00:00",
            "x",
            "2026-11-21T10:00:00Z[UTC]",
            "2026-11-21T10:00:00+02",
            "2026-11-21T10:00:00.Z",
            "2026-11-21T10:00Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
