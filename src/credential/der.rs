//! Just enough of DER (X.690) to find what certificate files hold.

/// Tags of the types that occur.
pub mod tag {
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// OCTET STRING.
    pub const OCTETS: u8 = 0x04;
    /// OBJECT IDENTIFIER.
    pub const OID: u8 = 0x06;
    /// SEQUENCE.
    pub const SEQUENCE: u8 = 0x30;
    /// The first field with a tag of its own, which holds another value.
    pub const EXPLICIT_0: u8 = 0xa0;
    /// The same in the place of the value's own tag.
    pub const IMPLICIT_0: u8 = 0x80;
}

/// Values one after another. Whatever is not as it should be is `None`.
#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The values in these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there are no more.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever its type: its tag and its content.
    pub fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            // More than four bytes of length are no file that anybody has.
            0x81..=0x84 => {
                let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = after;
                bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, content))
    }

    /// The content of the next value, which has this tag.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.any()?;
        (found == tag).then_some(content)
    }

    /// The values in the next one, which has this tag.
    pub fn enter(&mut self, tag: u8) -> Option<Self> {
        self.take(tag).map(Self)
    }

    /// The next value, a small INTEGER.
    pub fn number(&mut self) -> Option<u32> {
        let bytes = self.take(tag::INTEGER)?;
        let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        (bytes.len() <= 4).then(|| bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_both_forms() {
        let mut long = vec![tag::OCTETS, 0x82, 0x01, 0x00];
        long.extend([7; 256]);
        assert_eq!(Reader::new(&long).take(tag::OCTETS).unwrap().len(), 256);
        assert_eq!(Reader::new(&[tag::INTEGER, 2, 0, 200]).number(), Some(200));
        for bad in [&[tag::OCTETS][..], &[tag::OCTETS, 2, 0], &[tag::OCTETS, 0x80, 0, 0], &[tag::OCTETS, 0x85, 0, 0]] {
            assert_eq!(Reader::new(bad).take(tag::OCTETS), None, "{bad:?}");
        }
    }
}
