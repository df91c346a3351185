//! Numbers of pods that people give as a count or as a percentage.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// A count, or a percentage of `total`; nothing is zero. Upstream: apimachinery
/// `intstr.GetScaledValueFromIntOrPercent`.
pub(crate) fn scaled(value: Option<&IntOrString>, total: i32, round_up: bool) -> i32 {
    match value {
        None => 0,
        Some(IntOrString::Int(count)) => *count,
        Some(IntOrString::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let product = i128::from(percent) * i128::from(total);
            let whole = if round_up {
                (product + 99).div_euclid(100)
            } else {
                product.div_euclid(100)
            };
            // Nothing bounds `maxSurge`.
            i32::try_from(whole).unwrap_or(i32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_rounded_as_asked_and_never_overflow() {
        // percentage, of how many, rounded up, rounded down
        for (text, total, up, down) in [
            ("25%", 10, 3, 2),
            ("0%", 10, 0, 0),
            ("100%", 7, 7, 7),
            ("9223372036854775807%", i32::MAX, i32::MAX, i32::MAX),
        ] {
            let value = IntOrString::String(text.to_owned());
            let found = [true, false].map(|round_up| scaled(Some(&value), total, round_up));
            assert_eq!(found, [up, down], "{text} of {total}");
        }
        assert_eq!(scaled(Some(&IntOrString::Int(3)), 1, true), 3);
        assert_eq!(scaled(None, 1, true), 0);
    }
}
