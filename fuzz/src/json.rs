//! JSON and base64url as somebody else reads and writes them.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The members of a JSON object as they stand there: in order, and more than once if they are there more than once.
pub struct Members(Vec<(String, Value)>);

impl Members {
    /// Reads an object; anything else is `None`. Only the values of the members of these names are looked at: those of
    /// others may be numbers beyond all bounds, or nested deeper than is read.
    pub fn read(json: &[u8], names: &'static [&'static str]) -> Option<Self> {
        let text = std::str::from_utf8(json).ok()?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer.deserialize_map(InOrder { names }).ok()?;
        deserializer.end().ok().map(|()| members)
    }

    /// The value of a member that is there once.
    pub fn only(&self, name: &str) -> Option<&Value> {
        let mut values = self.0.iter().filter(|(member, _)| member == name);
        let (_, first) = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// Whether no member of these names is there more than once.
    pub fn are_single(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.0.iter().filter(|(member, _)| member == name).count() <= 1)
    }

    /// How many members there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

struct InOrder {
    names: &'static [&'static str],
}

impl<'de> Visitor<'de> for InOrder {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = if self.names.contains(&name.as_str()) {
                map.next_value()?
            } else {
                map.next_value::<IgnoredAny>().map(|_| Value::Null)?
            };
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// Base64url without padding (RFC 4648 section 5), bit by bit.
pub fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// The bytes that a part of a compact JWT stands for.
pub fn from_base64url(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => panic!("{text} is not base64url"),
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
