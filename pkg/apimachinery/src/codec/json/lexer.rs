//! Tokens of JSON with the error texts of Go's scanner (Go: `encoding/json/scanner.go`).

use std::borrow::Cow;

use super::DecodeError;

pub(super) struct Lexer<'a> {
    text: &'a str,
    pub(super) at: usize,
}

/// What a value starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

impl Start {
    /// The word Go's type errors use.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::Text => "string",
            Self::Number => "number",
            Self::True | Self::False => "bool",
            Self::Null => "null",
        }
    }
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The next byte that is no white space, not consumed.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Consumes `expected` or fails with the given context.
    pub(super) fn expect(&mut self, expected: u8, context: &str) -> Result<()> {
        match self.peek() {
            Some(byte) if byte == expected => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.invalid(context)),
        }
    }

    pub(super) fn start(&mut self) -> Result<Start> {
        Ok(match self.peek() {
            Some(b'{') => Start::Object,
            Some(b'[') => Start::Array,
            Some(b'"') => Start::Text,
            Some(b'-' | b'0'..=b'9') => Start::Number,
            Some(b't') => Start::True,
            Some(b'f') => Start::False,
            Some(b'n') => Start::Null,
            _ => return Err(self.invalid("looking for beginning of value")),
        })
    }

    /// Consumes `true`, `false` or `null`.
    pub(super) fn literal(&mut self, start: Start) -> Result<()> {
        let word = match start {
            Start::True => "true",
            Start::False => "false",
            _ => "null",
        };
        for (index, byte) in word.bytes().enumerate() {
            if self.bytes().get(self.at) != Some(&byte) {
                let context = format!("in literal {word} (expecting '{}')", char::from(byte));
                debug_assert!(index > 0, "the caller saw the first letter");
                return Err(self.invalid(&context));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Consumes a number and returns its text.
    pub(super) fn number(&mut self) -> Result<&'a str> {
        let begin = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.invalid("in numeric literal")),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            if !self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.invalid("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            if !self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.invalid("in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(&self.text[begin..self.at])
    }

    /// Consumes a string; the opening quote is next.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        self.at += 1;
        let begin = self.at;
        self.plain();
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[begin..self.at - 1]));
        }
        let mut out = self.text[begin..self.at].to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                _ => return Err(self.invalid("in string literal")),
            }
            let begin = self.at;
            self.plain();
            out.push_str(&self.text[begin..self.at]);
        }
    }

    /// Goes over the bytes that stand for themselves, eight at a time.
    fn plain(&mut self) {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let bytes = self.bytes();
        while let Some(chunk) = bytes.get(self.at..self.at + 8) {
            let word = u64::from_le_bytes(chunk.try_into().expect("a chunk of eight bytes"));
            // A byte of a difference is zero where the byte looked for stands; the subtraction then borrows into
            // its high bit. Borrows may mark a later byte falsely, so only the first mark counts.
            let zero = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
            let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
            let marks = control | zero(word ^ (LOW * u64::from(b'"'))) | zero(word ^ (LOW * u64::from(b'\\')));
            if marks != 0 {
                self.at += marks.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let rest = &bytes[self.at..];
        let run = rest
            .iter()
            .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
        self.at += run.unwrap_or(rest.len());
    }

    fn escape(&mut self, out: &mut String) -> Result<()> {
        let byte = self.byte();
        let plain = match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let first = self.hex()?;
                out.push(self.surrogate(first)?);
                return Ok(());
            }
            _ => return Err(self.invalid("in string escape code")),
        };
        self.at += 1;
        out.push(plain);
        Ok(())
    }

    /// The character of one `\u` escape or a pair of them; halves that do not pair become U+FFFD.
    fn surrogate(&mut self, first: u32) -> Result<char> {
        if (0xd800..0xdc00).contains(&first) && self.bytes()[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.invalid("in \\u hexadecimal character escape"))?;
            self.at += 1;
        }
        Ok(code)
    }

    fn byte(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    fn digits(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// Go's syntax error at the current byte.
    pub(super) fn invalid(&self, context: &str) -> DecodeError {
        let Some(found) = self.text[floor(self.text, self.at)..].chars().next() else {
            return DecodeError::Syntax("unexpected end of JSON input".to_owned());
        };
        let shown = match found {
            '\'' => "'\\''".to_owned(),
            '"' => "'\"'".to_owned(),
            other => {
                let quoted = crate::field::quote(&other.to_string());
                format!("'{}'", &quoted[1..quoted.len() - 1])
            }
        };
        DecodeError::Syntax(format!("invalid character {shown} {context}"))
    }
}

/// The start of the character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
