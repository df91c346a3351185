//! Resource quantities, exact: `100m`, `1Gi`, `12e6` (upstream: apimachinery `api/resource/quantity.go`).
//!
//! A quantity is held as a whole number of nano units, so sums and comparisons never round. Finer amounts round up
//! on parsing, as upstream's do.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

#[cfg(test)]
mod tests;

/// How a quantity prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Powers of 1000: `n u m k M G T P E`.
    #[default]
    DecimalSi,
    /// Powers of 1024: `Ki Mi Gi Ti Pi Ei`.
    BinarySi,
    /// `12e6`.
    DecimalExponent,
}

/// An exact amount with the format it was written in. Equality and order look at the amount only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is no quantity. The texts are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text has the wrong shape.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number is wrong.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

const NANO: i128 = 1_000_000_000;
/// The largest amount a binary quantity may have, in nano units.
const MAX_BINARY: i128 = i64::MAX as i128 * NANO;
/// Decimal amounts are held up to this many nano units; larger ones are capped (upstream's are unbounded).
const MAX: i128 = 10_i128.pow(37);

// === parsing ===

/// The pieces of a quantity's text.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

enum Scale {
    Ten(i32),
    Two(u32),
}

fn split(text: &str) -> Result<Parts<'_>, ParseError> {
    let (negative, rest) = match text.as_bytes().first() {
        None => return Err(ParseError::Format),
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) => (false, text),
    };
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = rest.split_at(digits(rest));
    let whole_written = !whole.is_empty();
    let whole = whole.trim_start_matches('0');
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    // The suffix is letters, then a sign, then digits, as the regular expression in the error says.
    let letters = suffix.bytes().take_while(|b| b"eEinumkKMGTP".contains(b)).count();
    let tail = &suffix[letters..];
    let tail = tail.strip_prefix(['-', '+']).unwrap_or(tail);
    if !tail.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseError::Format);
    }
    if !whole_written && fraction.is_empty() {
        return Err(if suffix.is_empty() {
            ParseError::Numeric
        } else {
            ParseError::Format
        });
    }
    Ok(Parts {
        negative,
        whole,
        fraction,
        suffix,
    })
}

fn scale(suffix: &str) -> Result<(Scale, Format), ParseError> {
    let decimal = |exponent| Ok((Scale::Ten(exponent), Format::DecimalSi));
    let binary = |exponent| Ok((Scale::Two(exponent), Format::BinarySi));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(ParseError::Suffix)?;
            let exponent = exponent.parse::<i32>().map_err(|_| ParseError::Suffix)?;
            Ok((Scale::Ten(exponent), Format::DecimalExponent))
        }
    }
}

/// `digits` times 10^`exponent`, capped at [`MAX`]; the second part is whether something was cut off below one.
fn decimal(whole: &str, fraction: &str, exponent: i64) -> (i128, bool) {
    let mut value: i128 = 0;
    let mut inexact = false;
    let keep = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent);
    for (index, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        if i64::try_from(index).unwrap_or(i64::MAX) < keep {
            value = value
                .saturating_mul(10)
                .saturating_add(i128::from(digit - b'0'))
                .min(MAX);
        } else {
            inexact |= digit != b'0';
        }
    }
    let written = i64::try_from(whole.len() + fraction.len()).unwrap_or(i64::MAX);
    if value != 0 {
        for _ in written..keep.min(written.saturating_add(40)) {
            value = value.saturating_mul(10).min(MAX);
        }
    }
    (value, inexact)
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts = split(text)?;
        let (scale, mut format) = scale(parts.suffix)?;
        let (mut nanos, inexact) = match scale {
            Scale::Ten(exponent) => decimal(parts.whole, parts.fraction, i64::from(exponent) + 9),
            Scale::Two(exponent) => {
                // Scale by the power of two while the decimal places are still whole, then go to nano units.
                let places = parts.fraction.len().min(18);
                let (mantissa, cut) = decimal(parts.whole, parts.fraction, places as i64);
                let unit = 10_i128.pow(u32::try_from(places).unwrap_or(0));
                let factor = 1_i128 << exponent;
                let (units, rest) = (mantissa / unit, mantissa % unit);
                let whole = units.saturating_mul(factor).saturating_mul(NANO);
                let rest = rest.saturating_mul(factor);
                let nanos = rest / unit * NANO + (rest % unit) * NANO / unit;
                let inexact = cut || (rest % unit) * NANO % unit != 0;
                (whole.saturating_add(nanos).min(MAX_BINARY), inexact)
            }
        };
        if inexact {
            nanos += 1;
        }
        if format == Format::BinarySi && nanos > 0 && nanos < NANO {
            format = Format::DecimalSi;
        }
        if parts.negative {
            nanos = -nanos;
        }
        Ok(Self { nanos, format })
    }
}

/// The text a Go server would write for `text`: usually the canonical form, but a text it deems canonical enough
/// is kept letter by letter (upstream: the fast path of `ParseQuantity`).
///
/// # Errors
/// When `text` is no quantity.
pub fn canonical(text: &str) -> Result<Cow<'_, str>, ParseError> {
    if text == "0" || plainly_canonical(text) {
        return Ok(Cow::Borrowed(text));
    }
    let parts = split(text)?;
    let (scale, _) = scale(parts.suffix)?;
    let whole = if parts.whole.is_empty() { "0" } else { parts.whole };
    let written = whole.len() + parts.fraction.len();
    let kept = match scale {
        Scale::Ten(exponent) => {
            let places = i64::from(exponent) - parts.fraction.len() as i64;
            let mut last = whole.bytes().chain(parts.fraction.bytes()).rev();
            let thousands = written >= 3 && last.by_ref().take(3).all(|digit| digit == b'0');
            written <= 18 && places >= -9 && places % 3 == 0 && !thousands && !whole.starts_with('0')
        }
        Scale::Two(exponent) => {
            let precision = 15_i64 - written as i64 - (i64::from(exponent) * 3 / 10) - 1;
            parts.fraction.is_empty() && precision >= 0 && whole.parse::<i64>().is_ok_and(|value| value & 7 != 0)
        }
    };
    if kept {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Owned(text.parse::<Quantity>()?.to_string()))
}

/// Whether a text is of the usual kind (`100m`, `2`, `256Mi`) and certainly canonical; false means "look closer".
fn plainly_canonical(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 9 || bytes[0] == b'0' {
        return false;
    }
    match &bytes[digits..] {
        b"" | b"m" | b"k" | b"M" | b"G" => !bytes[..digits].ends_with(b"000"),
        b"Ki" | b"Mi" | b"Gi" => {
            let value = bytes[..digits]
                .iter()
                .fold(0_u32, |value, byte| value * 10 + u32::from(byte - b'0'));
            value % 1024 != 0
        }
        _ => false,
    }
}

// === impl Quantity ===

impl Quantity {
    /// Nothing at all.
    pub const ZERO: Self = Self {
        nanos: 0,
        format: Format::DecimalSi,
    };

    /// A whole amount.
    pub fn new(value: i64, format: Format) -> Self {
        Self {
            nanos: i128::from(value) * NANO,
            format,
        }
    }

    /// An amount in thousandths.
    pub fn from_milli(value: i64, format: Format) -> Self {
        Self {
            nanos: i128::from(value) * 1_000_000,
            format,
        }
    }

    /// Reads the API's type. An empty text is zero, as Go's zero value.
    ///
    /// # Errors
    /// When the text is no quantity.
    pub fn from_api(quantity: &ApiQuantity) -> Result<Self, ParseError> {
        if quantity.0.is_empty() {
            Ok(Self::ZERO)
        } else {
            quantity.0.parse()
        }
    }

    /// The API's type in canonical form.
    pub fn to_api(&self) -> ApiQuantity {
        ApiQuantity(self.to_string())
    }

    /// The amount rounded up (away from zero) to whole units, capped to `i64`.
    pub fn value(&self) -> i64 {
        self.scaled(NANO)
    }

    /// The amount rounded up (away from zero) to thousandths, capped to `i64`.
    pub fn milli_value(&self) -> i64 {
        self.scaled(NANO / 1000)
    }

    /// The exact amount in nano units (10^-9).
    pub fn nano_units(&self) -> i128 {
        self.nanos
    }

    /// The amount as a floating point number; loses precision.
    pub fn as_f64(&self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    /// The whole amount, when it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        if self.nanos % NANO == 0 {
            i64::try_from(self.nanos / NANO).ok()
        } else {
            None
        }
    }

    /// The format it prints in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether the amount is zero.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        i32::try_from(self.nanos.signum()).expect("a sign is one of three small numbers")
    }

    /// The sum. A zero takes the other's format.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    pub fn add(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            format,
        }
    }

    /// The difference. A zero takes the other's format.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    pub fn sub(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self {
            nanos: self.nanos.saturating_sub(other.nanos),
            format,
        }
    }

    /// The product with a whole number.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    pub fn mul(self, factor: i64) -> Self {
        Self {
            nanos: self.nanos.saturating_mul(i128::from(factor)),
            format: self.format,
        }
    }

    fn scaled(&self, unit: i128) -> i64 {
        let mut out = self.nanos / unit;
        if self.nanos % unit != 0 {
            out += self.nanos.signum();
        }
        i64::try_from(out).unwrap_or(if out > 0 { i64::MAX } else { i64::MIN })
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Quantity::add(self, other)
    }
}

impl std::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = Quantity::add(*self, other);
    }
}

impl std::ops::Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Quantity::sub(self, other)
    }
}

impl std::ops::SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = Quantity::sub(*self, other);
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Quantity::add)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let whole = self.nanos % NANO == 0;
        if self.format == Format::BinarySi && whole && self.nanos.abs() >= 1024 * NANO {
            let (mut number, mut power) = (self.nanos / NANO, 0);
            while number % 1024 == 0 && power < 6 {
                number /= 1024;
                power += 1;
            }
            return write!(f, "{number}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]);
        }
        let (mut number, mut exponent) = (self.nanos, -9);
        let top = if self.format == Format::DecimalExponent {
            i32::MAX
        } else {
            18
        };
        while number % 1000 == 0 && exponent < top {
            number /= 1000;
            exponent += 3;
        }
        if self.format == Format::DecimalExponent {
            return if exponent == 0 {
                write!(f, "{number}")
            } else {
                write!(f, "{number}e{exponent}")
            };
        }
        let suffix = match exponent {
            -9 => "n",
            -6 => "u",
            -3 => "m",
            0 => "",
            3 => "k",
            6 => "M",
            9 => "G",
            12 => "T",
            15 => "P",
            _ => "E",
        };
        write!(f, "{number}{suffix}")
    }
}
