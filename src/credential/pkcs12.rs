//! PKCS#12 files (RFC 7292), as Windows, Key Vault and OpenSSL write them: one password for all.

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use crate::credential::der::{Reader, tag};
use crate::credential::encryption::{Fault, Password, Purpose, decrypt, derive_for_pkcs12};
use crate::credential::key_file::{KeyFile, KeyFormat, decrypt_key};

const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const ENCRYPTED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06";
const KEY_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x01";
const SHROUDED_KEY_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02";
const CERTIFICATE_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03";
const X509: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
const SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";

/// Reads a file.
pub fn read(content: &[u8], password: &Password<'_>) -> Result<KeyFile, Fault> {
    let mut file = Reader::new(content).enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    file.number().filter(|version| *version == 3).ok_or(Fault::Malformed)?;
    let mut safe = file.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    if safe.take(tag::OID) != Some(DATA) {
        return Err(Fault::Unknown);
    }
    let safe = octets(&mut safe).ok_or(Fault::Malformed)?;
    if !file.is_empty() {
        check(file.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?, safe, password)?;
    }
    let (mut key, mut certificates) = (None, Vec::new());
    let mut parts = Reader::new(safe).enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    while !parts.is_empty() {
        let bags = part(parts.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?, password)?;
        let mut bags = Reader::new(&bags).enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
        while !bags.is_empty() {
            let mut bag = bags.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
            let kind = bag.take(tag::OID).ok_or(Fault::Malformed)?;
            let value = bag.take(tag::EXPLICIT_0).ok_or(Fault::Malformed)?;
            match kind {
                // The first key counts.
                KEY_BAG | SHROUDED_KEY_BAG if key.is_some() => {}
                KEY_BAG => key = Some(Zeroizing::new(value.to_vec())),
                SHROUDED_KEY_BAG => key = Some(decrypt_key(value, password)?),
                CERTIFICATE_BAG => certificates.extend(certificate(value).map(<[u8]>::to_vec)),
                _ => {}
            }
        }
    }
    Ok(KeyFile { key: key.ok_or(Fault::Malformed)?, format: KeyFormat::Pkcs8, certificates })
}

/// An octet string in a field of its own.
fn octets<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.enter(tag::EXPLICIT_0)?.take(tag::OCTETS)
}

/// What a part of the file holds, decrypted.
fn part(mut part: Reader<'_>, password: &Password<'_>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    match part.take(tag::OID).ok_or(Fault::Malformed)? {
        DATA => Ok(Zeroizing::new(octets(&mut part).ok_or(Fault::Malformed)?.to_vec())),
        ENCRYPTED_DATA => {
            let mut content = encrypted(part).ok_or(Fault::Malformed)?;
            let algorithm = content.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
            decrypt(algorithm, content.take(tag::IMPLICIT_0).ok_or(Fault::Malformed)?, password)
        }
        _ => Err(Fault::Unknown),
    }
}

/// The inside of EncryptedContentInfo (RFC 5652 section 6.1), after its type.
fn encrypted(mut part: Reader<'_>) -> Option<Reader<'_>> {
    let mut data = part.enter(tag::EXPLICIT_0)?.enter(tag::SEQUENCE)?;
    data.number()?;
    let mut content = data.enter(tag::SEQUENCE)?;
    content.take(tag::OID)?;
    Some(content)
}

/// The certificate in a bag, if it is one of X.509.
fn certificate(bag: &[u8]) -> Option<&[u8]> {
    let mut bag = Reader::new(bag).enter(tag::SEQUENCE)?;
    (bag.take(tag::OID)? == X509).then_some(())?;
    octets(&mut bag)
}

/// Whether the file is what whoever knows the password made. It is how a wrong password is known for certain.
fn check(mut mac: Reader<'_>, safe: &[u8], password: &Password<'_>) -> Result<(), Fault> {
    let mut digest_info = mac.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    let salt = mac.take(tag::OCTETS).ok_or(Fault::Malformed)?;
    let rounds = password.rounds(if mac.is_empty() { Some(1) } else { mac.number() })?;
    let name = digest_info.enter(tag::SEQUENCE).and_then(|mut name| name.take(tag::OID)).ok_or(Fault::Malformed)?;
    let expected = digest_info.take(tag::OCTETS).ok_or(Fault::Malformed)?;
    let (hash, algorithm, block): (&digest::Algorithm, _, _) = match name {
        SHA1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 64),
        SHA256 => (&digest::SHA256, hmac::HMAC_SHA256, 64),
        SHA384 => (&digest::SHA384, hmac::HMAC_SHA384, 128),
        SHA512 => (&digest::SHA512, hmac::HMAC_SHA512, 128),
        _ => return Err(Fault::Unknown),
    };
    let key = derive_for_pkcs12(hash, block, Purpose::Authentication, password, salt, rounds, hash.output_len());
    hmac::verify(&hmac::Key::new(algorithm, &key), safe, expected).map_err(|_| Fault::Password)
}
