//! Varints, keys and lengths of the protobuf wire.

use super::Error;

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next tag and wire type; None at the end.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Option<(u32, u8)>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).map_err(|_| Error::Malformed("illegal tag"))?;
        if tag == 0 {
            return Err(Error::Malformed("illegal tag 0"));
        }
        Ok(Some((tag, (key & 7) as u8)))
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        let mut out = 0_u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            out |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if index == 9 && *byte > 1 {
                    return Err(Error::Malformed("integer overflow"));
                }
                self.rest = &self.rest[index + 1..];
                return Ok(out);
            }
        }
        Err(if self.rest.len() < 10 {
            Error::Truncated
        } else {
            Error::Malformed("integer overflow")
        })
    }

    #[inline]
    pub(super) fn delimited(&mut self) -> Result<&'a [u8], Error> {
        let len = usize::try_from(self.varint()?).map_err(|_| Error::Truncated)?;
        self.take(len)
    }

    pub(super) fn str(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.delimited()?).map_err(|_| Error::Malformed("invalid UTF-8"))
    }

    pub(super) fn fixed64(&mut self) -> Result<u64, Error> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    pub(super) fn skip(&mut self, wire: u8) -> Result<(), Error> {
        match wire {
            0 => self.varint().map(drop),
            1 => self.take(8).map(drop),
            2 => self.delimited().map(drop),
            5 => self.take(4).map(drop),
            _ => Err(Error::Malformed("illegal wireType")),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        if len > self.rest.len() {
            return Err(Error::Truncated);
        }
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(head)
    }
}

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn key(out: &mut Vec<u8>, tag: u32, wire: u8) {
    varint(out, u64::from(tag) << 3 | u64::from(wire));
}

/// A varint field.
pub(super) fn number(out: &mut Vec<u8>, tag: u32, value: i64) {
    key(out, tag, 0);
    varint(out, value as u64);
}

pub(super) fn bytes(out: &mut Vec<u8>, tag: u32, value: &[u8]) {
    key(out, tag, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

pub(super) fn text(out: &mut Vec<u8>, tag: u32, value: &str) {
    bytes(out, tag, value.as_bytes());
}

/// A nested message: one byte is kept for the length, which suffices for most; longer ones are moved.
pub(super) fn nested(out: &mut Vec<u8>, tag: u32, write: impl FnOnce(&mut Vec<u8>)) {
    key(out, tag, 2);
    let at = out.len();
    out.push(0);
    write(out);
    let mut len = (out.len() - at - 1) as u64;
    if len < 0x80 {
        out[at] = len as u8;
        return;
    }
    let (mut prefix, mut used) = ([0_u8; 10], 0);
    while len >= 0x80 {
        prefix[used] = (len & 0x7f) as u8 | 0x80;
        len >>= 7;
        used += 1;
    }
    prefix[used] = len as u8;
    out.splice(at..=at, prefix[..=used].iter().copied());
}
