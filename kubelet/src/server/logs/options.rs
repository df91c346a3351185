//! What a request for logs asks. Upstream: core/v1 `PodLogOptions` and its validation
//! (pkg/apis/core/validation/validation.go `ValidatePodLogOptions`).

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Which of the container's outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stream {
    #[default]
    All,
    Stdout,
    Stderr,
}

/// A checked request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogOptions {
    /// Go on as the container writes.
    pub(crate) follow: bool,
    /// The container before the running one.
    pub(crate) previous: bool,
    /// Each line begins with its time.
    pub(crate) timestamps: bool,
    /// Nothing older.
    pub(crate) since: Option<Timestamp>,
    /// Only the last lines of what is there.
    pub(crate) tail_lines: Option<u64>,
    /// Stop after this many bytes.
    pub(crate) limit_bytes: Option<u64>,
    /// Standard output, standard error, or both.
    pub(crate) stream: Stream,
}

impl LogOptions {
    /// Reads a query's parameters. `now` is what `sinceSeconds` counts back from.
    ///
    /// # Errors
    /// What is wrong, as upstream says it.
    pub(crate) fn from_query<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let mut options = Self::default();
        let (mut seconds, mut time) = (None, None);
        for (name, value) in pairs {
            match name {
                // Go's conversion: a parameter without value is true (`Convert_Slice_string_To_bool`).
                "follow" => options.follow = flag(value),
                "previous" => options.previous = flag(value),
                "timestamps" => options.timestamps = flag(value),
                "tailLines" => options.tail_lines = Some(at_least(name, value, 0)?),
                "limitBytes" => options.limit_bytes = Some(at_least(name, value, 1)?),
                "sinceSeconds" => seconds = Some(at_least(name, value, 1)?),
                "sinceTime" => {
                    let parsed = value.parse::<Timestamp>();
                    time = Some(parsed.map_err(|error| format!("sinceTime: Invalid value: {value:?}: {error}"))?);
                }
                "stream" => {
                    options.stream = match value {
                        "All" | "" => Stream::All,
                        "Stdout" => Stream::Stdout,
                        "Stderr" => Stream::Stderr,
                        _ => {
                            return Err(format!(
                                "stream: Unsupported value: {value:?}: supported values: \"All\", \"Stderr\", \"Stdout\""
                            ));
                        }
                    }
                }
                _ => {}
            }
        }
        options.since = match (seconds, time) {
            (Some(_), Some(_)) => {
                return Err("at most one of `sinceTime` or `sinceSeconds` may be specified".to_owned());
            }
            (Some(seconds), None) => {
                let back = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
                Some(now.checked_sub(back).unwrap_or(Timestamp::MIN))
            }
            (None, time) => time,
        };
        if options.tail_lines.is_some() && options.stream != Stream::All {
            return Err(
                "stream: Forbidden: `tailLines` and specific `stream` are mutually exclusive for now".to_owned(),
            );
        }
        Ok(options)
    }
}

fn flag(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "false" | "0")
}

fn at_least(name: &str, value: &str, least: u64) -> Result<u64, String> {
    let number: i64 = value
        .parse()
        .map_err(|_| format!("{name}: Invalid value: {value:?}: must be an integer"))?;
    u64::try_from(number)
        .ok()
        .filter(|&number| number >= least)
        .ok_or_else(|| match least {
            0 => format!("{name}: Invalid value: {number}: must be greater than or equal to 0"),
            _ => format!("{name}: Invalid value: {number}: must be greater than 0"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<LogOptions, String> {
        LogOptions::from_query(pairs.iter().copied(), Timestamp::from_second(1000).unwrap())
    }

    #[test]
    fn parameters_are_read_as_go_reads_them() {
        let options = parse(&[
            ("follow", "true"),
            ("timestamps", ""),
            ("previous", "0"),
            ("tailLines", "0"),
        ])
        .unwrap();
        assert!(options.follow && options.timestamps && !options.previous);
        assert_eq!(options.tail_lines, Some(0));
        assert_eq!(
            parse(&[("sinceSeconds", "10")]).unwrap().since,
            Some(Timestamp::from_second(990).unwrap())
        );
        let since = parse(&[("sinceTime", "1970-01-01T00:00:05Z")]).unwrap().since;
        assert_eq!(since, Some(Timestamp::from_second(5).unwrap()));
        assert_eq!(parse(&[("container", "c")]).unwrap(), LogOptions::default());
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |pairs: &[(&str, &str)], part: &str| {
            let error = parse(pairs).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        wrong(&[("tailLines", "-1")], "must be greater than or equal to 0");
        wrong(&[("limitBytes", "0")], "must be greater than 0");
        wrong(&[("tailLines", "x")], "must be an integer");
        wrong(&[("sinceTime", "yesterday")], "sinceTime: Invalid value");
        wrong(
            &[("sinceSeconds", "1"), ("sinceTime", "1970-01-01T00:00:05Z")],
            "at most one of",
        );
        wrong(&[("stream", "Both")], "Unsupported value");
        wrong(&[("stream", "Stdout"), ("tailLines", "1")], "mutually exclusive");
    }
}
