//! Values made of the fuzzer's bytes. The end of the bytes reads as zeros, so that every input means something.

use serde_json::{Map, Value};

use super::canary;

/// How deep values are nested at most.
const DEPTH_MAX: u8 = 4;

/// Reads bytes from the front.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether every byte was read.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// What was not read yet.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    /// The next number, its low byte first.
    pub fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// The next text: its length in one byte, or, if that is 255, sixteen times as often one letter as the next byte says.
    /// What is not UTF-8 becomes U+FFFD.
    pub fn text(&mut self) -> String {
        let length = usize::from(self.byte());
        if length == 255 {
            return "w".repeat(usize::from(self.byte()) * 16);
        }
        let (text, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    /// The next JSON value. Its texts may hold the canary; the names of members do not.
    pub fn value(&mut self) -> Value {
        self.nested_value(DEPTH_MAX)
    }

    fn nested_value(&mut self, depth: u8) -> Value {
        let kind = self.byte();
        match kind % 8 {
            0 => Value::Null,
            1 => Value::from(kind & 0x80 != 0),
            2 => Value::from(self.number()),
            3 => Value::from(self.number().cast_signed()),
            // JSON has no numbers that are not finite; `Value` makes them null.
            4 => Value::from(f64::from_bits(self.number())),
            5 if depth > 0 => Value::Array((0..self.byte() % 4).map(|_| self.nested_value(depth - 1)).collect()),
            6 if depth > 0 => {
                let members = (0..self.byte() % 4).map(|_| (self.text(), self.nested_value(depth - 1)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            _ => Value::from(canary::plant_text(&self.text())),
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let count = N.min(self.0.len());
        let (now, rest) = self.0.split_at(count);
        bytes[..count].copy_from_slice(now);
        self.0 = rest;
        bytes
    }
}
