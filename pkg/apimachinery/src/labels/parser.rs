//! Parser of the selector's text form (upstream: apimachinery `labels/selector.go`, `Lexer` and `Parser`).

use std::collections::BTreeSet;

use super::{Operator, Requirement};
use crate::{field, validation};

#[derive(Clone, Debug, PartialEq)]
enum Token {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Less,
    NotEquals,
    Open,
    In,
    NotIn,
    Word,
    Bad,
}

/// Words `in` and `notin` are operators after a key and plain values elsewhere.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Operator,
    Value,
}

pub(super) struct Parser<'a> {
    tokens: Vec<(Token, &'a str)>,
    next: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            tokens: scan(text),
            next: 0,
        }
    }

    pub(super) fn parse(mut self) -> Result<Vec<Requirement>, String> {
        let mut out = Vec::new();
        loop {
            match self.peek(Place::Value) {
                (Token::Word | Token::Not, _) => {
                    let one = self
                        .requirement()
                        .map_err(|error| format!("unable to parse requirement: {error}"))?;
                    out.push(one);
                    match self.take(Place::Value) {
                        (Token::End, _) => return Ok(out),
                        (Token::Comma, _) => {
                            let (token, text) = self.peek(Place::Value);
                            if !matches!(token, Token::Word | Token::Not) {
                                return Err(format!("found '{text}', expected: identifier after ','"));
                            }
                        }
                        (_, text) => return Err(format!("found '{text}', expected: ',' or 'end of string'")),
                    }
                }
                (Token::End, _) => return Ok(out),
                (_, text) => return Err(format!("found '{text}', expected: !, identifier, or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut text) = self.take(Place::Value);
        let negated = token == Token::Not;
        if negated {
            (token, text) = self.take(Place::Value);
        }
        if token != Token::Word {
            return Err(format!("found '{text}', expected: identifier"));
        }
        let key = text;
        let faults = validation::is_qualified_name(key);
        if !faults.is_empty() {
            return Err(field::Error::invalid(&field::Path::root(), key, faults.join("; ")).to_string());
        }
        if negated {
            return self.build(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(Place::Value).0, Token::End | Token::Comma) {
            return self.build(key, Operator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.set()?,
            _ => vec![self.exact()?],
        };
        self.build(key, operator, values)
    }

    fn build(&self, key: &str, operator: Operator, values: Vec<String>) -> Result<Requirement, String> {
        Requirement::new(key, operator, values).map_err(|error| error.to_string())
    }

    fn operator(&mut self) -> Result<Operator, String> {
        Ok(match self.take(Place::Operator) {
            (Token::In, _) => Operator::In,
            (Token::NotIn, _) => Operator::NotIn,
            (Token::Equals, _) => Operator::Equals,
            (Token::DoubleEquals, _) => Operator::DoubleEquals,
            (Token::NotEquals, _) => Operator::NotEquals,
            (Token::Greater, _) => Operator::GreaterThan,
            (Token::Less, _) => Operator::LessThan,
            (_, text) => return Err(format!("found '{text}', expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        let (token, text) = self.take(Place::Value);
        if token != Token::Open {
            return Err(format!("found '{text}' expected: '('"));
        }
        let (token, text) = self.peek(Place::Value);
        match token {
            Token::Close => {
                self.take(Place::Value);
                Ok(vec![String::new()])
            }
            Token::Word | Token::Comma => self.list(),
            _ => Err(format!("found '{text}', expected: ',', ')' or identifier")),
        }
    }

    /// The values up to and including `)`; a missing value is the empty string.
    fn list(&mut self) -> Result<Vec<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            let (token, text) = self.take(Place::Value);
            match token {
                Token::Word => {
                    values.insert(text.to_owned());
                    match self.peek(Place::Value) {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => break,
                        (_, text) => return Err(format!("found '{text}', expected: ',' or ')'")),
                    }
                }
                Token::Comma => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.peek(Place::Value).0 {
                        Token::Close => {
                            values.insert(String::new());
                            break;
                        }
                        Token::Comma => {
                            values.insert(String::new());
                        }
                        _ => {}
                    }
                }
                _ => return Err(format!("found '{text}', expected: ',', or identifier")),
            }
        }
        self.take(Place::Value);
        Ok(values.into_iter().collect())
    }

    fn exact(&mut self) -> Result<String, String> {
        if matches!(self.peek(Place::Value).0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.take(Place::Value) {
            (Token::Word, text) => Ok(text.to_owned()),
            (_, text) => Err(format!("found '{text}', expected: identifier")),
        }
    }

    fn peek(&self, place: Place) -> (Token, &'a str) {
        let (token, text) = self.tokens.get(self.next).cloned().unwrap_or((Token::End, ""));
        match token {
            Token::In | Token::NotIn if place == Place::Value => (Token::Word, text),
            token => (token, text),
        }
    }

    fn take(&mut self, place: Place) -> (Token, &'a str) {
        let out = self.peek(place);
        self.next += 1;
        out
    }
}

fn scan(text: &str) -> Vec<(Token, &str)> {
    let bytes = text.as_bytes();
    let special = |b: u8| matches!(b, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<');
    let blank = |b: u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != 0 {
        let start = at;
        if blank(bytes[at]) {
            at += 1;
            continue;
        }
        if special(bytes[at]) {
            let two = bytes.get(at + 1) == Some(&b'=');
            let (token, len) = match bytes[at] {
                b'=' if two => (Token::DoubleEquals, 2),
                b'!' if two => (Token::NotEquals, 2),
                b'=' => (Token::Equals, 1),
                b'!' => (Token::Not, 1),
                b'(' => (Token::Open, 1),
                b')' => (Token::Close, 1),
                b',' => (Token::Comma, 1),
                b'>' => (Token::Greater, 1),
                b'<' => (Token::Less, 1),
                _ => (Token::Bad, 1),
            };
            at += len;
            out.push((token, &text[start..at]));
            continue;
        }
        while at < bytes.len() && bytes[at] != 0 && !special(bytes[at]) && !blank(bytes[at]) {
            at += 1;
        }
        let word = &text[start..at];
        let token = match word {
            "in" => Token::In,
            "notin" => Token::NotIn,
            _ => Token::Word,
        };
        out.push((token, word));
    }
    out.push((Token::End, ""));
    out
}
