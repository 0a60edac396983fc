//! The Wayland wire format: requests in, events out.

use alloc::vec::Vec;

/// Reads the arguments of one request.
pub struct Reader<'a> {
    bytes: &'a [u8],
}

/// Too few bytes, or bytes that are no valid argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Reader<'a> {
    /// Over the arguments (the message without its header).
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// An unsigned integer, object or new id.
    ///
    /// # Errors
    /// If there are not enough bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let (word, rest) = self.bytes.split_first_chunk::<4>().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(u32::from_ne_bytes(*word))
    }

    /// A signed integer or 24.8 fixed-point number.
    ///
    /// # Errors
    /// If there are not enough bytes.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        self.u32().map(u32::cast_signed)
    }

    /// A string without its NUL; `None` for a null string.
    ///
    /// # Errors
    /// If there are not enough bytes or there is no NUL at its end.
    pub fn string(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let len = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        if len == 0 {
            return Ok(None);
        }
        let padded = len.checked_add(3).ok_or(Malformed)? & !3;
        let (field, rest) = self.bytes.split_at_checked(padded).ok_or(Malformed)?;
        self.bytes = rest;
        match field.get(..len).and_then(<[u8]>::split_last) {
            Some((0, text)) if !text.contains(&0) => Ok(Some(text)),
            _ => Err(Malformed),
        }
    }
}

/// Writes one event.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    opcode: u16,
}

impl<'a> Writer<'a> {
    /// Begins an event of `object`.
    pub fn new(out: &'a mut Vec<u8>, object: u32, opcode: u16) -> Self {
        let start = out.len();
        out.extend(object.to_ne_bytes());
        out.extend([0; 4]);
        Self { out, start, opcode }
    }

    /// An unsigned integer, object or new id.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.out.extend(value.to_ne_bytes());
        self
    }

    /// A signed integer or fixed-point number.
    #[must_use]
    pub fn i32(self, value: i32) -> Self {
        self.out.extend(value.to_ne_bytes());
        self
    }

    /// A string.
    #[must_use]
    pub fn string(self, text: &[u8]) -> Self {
        let len = u32::try_from(text.len() + 1).unwrap_or(0);
        self.out.extend(len.to_ne_bytes());
        self.out.extend(text);
        self.out.push(0);
        self.pad()
    }

    /// An array.
    #[must_use]
    pub fn array(self, bytes: &[u8]) -> Self {
        self.out.extend(u32::try_from(bytes.len()).unwrap_or(0).to_ne_bytes());
        self.out.extend(bytes);
        self.pad()
    }

    fn pad(self) -> Self {
        while !self.out.len().is_multiple_of(4) {
            self.out.push(0);
        }
        self
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        let len = u32::try_from(self.out.len() - self.start).unwrap_or(0);
        let word = (len << 16) | u32::from(self.opcode);
        if let Some(slot) = self.out.get_mut(self.start + 4..self.start + 8) {
            slot.copy_from_slice(&word.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = Vec::new();
        drop(Writer::new(&mut out, 3, 7).u32(5).i32(-2).string(b"abc").array(&[1, 2, 3]));
        assert_eq!(out.len() % 4, 0);
        assert_eq!(
            u32::from_ne_bytes(out[4..8].try_into().unwrap()),
            u32::try_from(out.len()).unwrap() << 16 | 7
        );
        let mut reader = Reader::new(&out[8..]);
        assert_eq!(reader.u32(), Ok(5));
        assert_eq!(reader.i32(), Ok(-2));
        assert_eq!(reader.string(), Ok(Some(b"abc".as_slice())));
    }

    #[test]
    fn bad_strings_are_malformed() {
        let mut bytes = 4u32.to_ne_bytes().to_vec();
        bytes.extend(b"abcd");
        assert_eq!(Reader::new(&bytes).string(), Err(Malformed), "no NUL");
        assert_eq!(Reader::new(&100u32.to_ne_bytes()).string(), Err(Malformed), "too long");
        assert_eq!(Reader::new(&u32::MAX.to_ne_bytes()).string(), Err(Malformed), "overflow");
    }
}
