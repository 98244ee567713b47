//! Encryption by password, as files with private keys use it (PBES2 of RFC 8018; the older way of RFC 7292).

use std::cell::Cell;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{digest, pbkdf2};
use zeroize::Zeroizing;

use crate::credential::der::{Reader, tag};

const PBES2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
const PBKDF2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
const HMAC_SHA1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x07";
const HMAC_SHA256: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x09";
const HMAC_SHA384: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x0a";
const HMAC_SHA512: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x0b";
const AES_128_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x02";
const AES_192_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x16";
const AES_256_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
const DES_EDE3_CBC: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x03\x07";
const SHA1_DES_EDE3: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03";

/// More rounds than anybody waits for, in all parts of a file together: one that asks for them is hostile.
const ROUNDS_MAX: u32 = 2_000_000;

/// What opens a file.
pub struct Password<'a> {
    bytes: &'a [u8],
    rounds_left: Cell<u32>,
}

impl<'a> Password<'a> {
    /// The password of one file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, rounds_left: Cell::new(ROUNDS_MAX) }
    }

    /// A number of rounds that can be done.
    pub fn rounds(&self, number: Option<u32>) -> Result<NonZeroU32, Fault> {
        let rounds = number.and_then(NonZeroU32::new).ok_or(Fault::Malformed)?;
        let left = self.rounds_left.get().checked_sub(rounds.get()).ok_or(Fault::Malformed)?;
        self.rounds_left.set(left);
        Ok(rounds)
    }
}

/// Why something cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not what it claims to be.
    Malformed,
    /// It uses something that is not known here.
    Unknown,
    /// It does not open with this password.
    Password,
}

/// Decrypts. `algorithm` is the inside of its AlgorithmIdentifier.
pub fn decrypt(
    mut algorithm: Reader<'_>,
    encrypted: &[u8],
    password: &Password<'_>,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let name = algorithm.take(tag::OID).ok_or(Fault::Malformed)?;
    let parameters = algorithm.enter(tag::SEQUENCE).ok_or(Fault::Unknown)?;
    match name {
        PBES2 => pbes2(parameters, encrypted, password),
        SHA1_DES_EDE3 => sha1_des(parameters, encrypted, password),
        _ => Err(Fault::Unknown),
    }
}

fn pbes2(mut parameters: Reader<'_>, encrypted: &[u8], password: &Password<'_>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut derivation = parameters.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    let mut scheme = parameters.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    if derivation.take(tag::OID) != Some(PBKDF2) {
        return Err(Fault::Unknown);
    }
    let mut derivation = derivation.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    let salt = derivation.take(tag::OCTETS).ok_or(Fault::Malformed)?;
    let rounds = password.rounds(derivation.number())?;
    let mut function = pbkdf2::PBKDF2_HMAC_SHA1;
    while let Some((tag, content)) = derivation.any() {
        // The length of the key may stand here, which the cipher knows as well.
        if tag == tag::SEQUENCE {
            function = match Reader::new(content).take(tag::OID) {
                Some(HMAC_SHA1) => pbkdf2::PBKDF2_HMAC_SHA1,
                Some(HMAC_SHA256) => pbkdf2::PBKDF2_HMAC_SHA256,
                Some(HMAC_SHA384) => pbkdf2::PBKDF2_HMAC_SHA384,
                Some(HMAC_SHA512) => pbkdf2::PBKDF2_HMAC_SHA512,
                _ => return Err(Fault::Unknown),
            };
        }
    }
    let cipher = Cipher::by_name(scheme.take(tag::OID).ok_or(Fault::Malformed)?).ok_or(Fault::Unknown)?;
    let start = scheme.take(tag::OCTETS).ok_or(Fault::Malformed)?;
    let mut key = Zeroizing::new(vec![0; cipher.key_length]);
    pbkdf2::derive(function, rounds, salt, password.bytes, &mut key);
    cipher.decrypt(&key, start, encrypted)
}

/// What Windows and older versions of OpenSSL write.
fn sha1_des(
    mut parameters: Reader<'_>,
    encrypted: &[u8],
    password: &Password<'_>,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let salt = parameters.take(tag::OCTETS).ok_or(Fault::Malformed)?;
    let rounds = password.rounds(parameters.number())?;
    let cipher = Cipher::by_name(DES_EDE3_CBC).ok_or(Fault::Unknown)?;
    let derive = |purpose, length| {
        derive_for_pkcs12(&digest::SHA1_FOR_LEGACY_USE_ONLY, 64, purpose, password, salt, rounds, length)
    };
    cipher.decrypt(&derive(Purpose::Key, cipher.key_length), &derive(Purpose::Start, 8), encrypted)
}

struct Cipher {
    algorithm: &'static Algorithm,
    key_length: usize,
    is_des: bool,
}

impl Cipher {
    fn by_name(name: &[u8]) -> Option<Self> {
        #[allow(deprecated, reason = "files that exist are encrypted with it, and reading them is all that is done")]
        let des = &aws_lc_rs::cipher::DES_EDE3_FOR_LEGACY_USE_ONLY;
        let (algorithm, key_length) = match name {
            AES_128_CBC => (&AES_128, 16),
            AES_192_CBC => (&AES_192, 24),
            AES_256_CBC => (&AES_256, 32),
            DES_EDE3_CBC => (des, 24),
            _ => return None,
        };
        Some(Self { algorithm, key_length, is_des: name == DES_EDE3_CBC })
    }

    fn decrypt(&self, key: &[u8], start: &[u8], encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let context = if self.is_des {
            FixedLength::try_from(start).map(DecryptionContext::Iv64)
        } else {
            FixedLength::try_from(start).map(DecryptionContext::Iv128)
        };
        let context = context.map_err(|_| Fault::Malformed)?;
        let key = UnboundCipherKey::new(self.algorithm, key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
        let mut content = Zeroizing::new(encrypted.to_vec());
        // A wrong password shows itself in what comes out, which has no proper end.
        let length = key
            .and_then(|key| key.decrypt(&mut content, context).map(|decrypted| decrypted.len()))
            .map_err(|_| Fault::Password)?;
        content.truncate(length);
        Ok(content)
    }
}

/// What a derived key is for (RFC 7292 appendix B.3).
#[derive(Clone, Copy)]
pub enum Purpose {
    /// Encryption.
    Key = 1,
    /// The start of a chain of blocks.
    Start = 2,
    /// Authentication.
    Authentication = 3,
}

/// Derives a key from a password (RFC 7292 appendix B.2). `block` is the size of the hash's blocks.
pub fn derive_for_pkcs12(
    hash: &'static digest::Algorithm,
    block: usize,
    purpose: Purpose,
    password: &Password<'_>,
    salt: &[u8],
    rounds: NonZeroU32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    // The password is UTF-16 with a zero at its end. The bytes are UTF-8 if they are text at all.
    let text = Zeroizing::new(String::from_utf8_lossy(password.bytes).into_owned());
    let wide: Zeroizing<Vec<u8>> = Zeroizing::new(text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect());
    let fill = |source: &[u8]| -> Vec<u8> {
        source.iter().copied().cycle().take(source.len().div_ceil(block) * block).collect()
    };
    let diversifier = vec![purpose as u8; block];
    let mut input = Zeroizing::new([fill(salt), fill(&wide)].concat());
    let mut key = Zeroizing::new(Vec::with_capacity(length + hash.output_len()));
    while key.len() < length {
        let mut hashed =
            Zeroizing::new(digest::digest(hash, &[&diversifier, input.as_slice()].concat()).as_ref().to_vec());
        for _ in 1..rounds.get() {
            hashed = Zeroizing::new(digest::digest(hash, &hashed).as_ref().to_vec());
        }
        key.extend_from_slice(&hashed);
        let step: Vec<u8> = hashed.iter().copied().cycle().take(block).collect();
        for chunk in input.chunks_mut(block) {
            // Each block grows by the hash, as a number, and by one.
            let mut carry = 1_u16;
            for (byte, add) in chunk.iter_mut().zip(&step).rev() {
                carry += u16::from(*byte) + u16::from(*add);
                *byte = carry.to_be_bytes()[1];
                carry >>= 8;
            }
        }
    }
    key.truncate(length);
    key
}
