//! Files with a private key and certificates: PEM (RFC 7468) and PKCS#12.

use base64_simd::forgiving_decode_to_vec;
use zeroize::Zeroizing;

use crate::credential::der::{Reader, tag};
use crate::credential::encryption::{self, Fault, Password};
use crate::credential::pkcs12;

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormat {
    /// RFC 8017: RSA alone.
    Pkcs1,
    /// RFC 5208: with the name of its algorithm.
    Pkcs8,
}

/// What a file holds.
pub struct KeyFile {
    /// The private key.
    pub key: Zeroizing<Vec<u8>>,
    /// How it is written.
    pub format: KeyFormat,
    /// The certificates in DER, in the order of the file.
    pub certificates: Vec<Vec<u8>>,
}

impl KeyFile {
    /// Reads a file of either form.
    pub fn read(content: &[u8], password: Option<&str>) -> Result<Self, Fault> {
        let password = &Password::new(password.unwrap_or_default().as_bytes());
        match std::str::from_utf8(content).ok().filter(|text| text.contains("-----BEGIN")) {
            Some(text) => Self::read_pem(text, password),
            None => pkcs12::read(content, password),
        }
    }

    fn read_pem(text: &str, password: &Password<'_>) -> Result<Self, Fault> {
        let (mut key, mut certificates) = (None, Vec::new());
        for section in text.split("-----BEGIN ").skip(1) {
            let (label, rest) = section.split_once("-----").ok_or(Fault::Malformed)?;
            let (body, _) = rest.split_once("-----END ").ok_or(Fault::Malformed)?;
            // Headers are those of an encryption that OpenSSL invented, and has itself given up.
            if body.contains(':') {
                return Err(Fault::Unknown);
            }
            let der = || forgiving_decode_to_vec(body.as_bytes()).map(Zeroizing::new).map_err(|_| Fault::Malformed);
            match label {
                "CERTIFICATE" => certificates.push(der()?.to_vec()),
                // The first key counts.
                _ if key.is_some() => {}
                // One of another kind is refused when it is used.
                "PRIVATE KEY" | "EC PRIVATE KEY" => key = Some((der()?, KeyFormat::Pkcs8)),
                "RSA PRIVATE KEY" => key = Some((der()?, KeyFormat::Pkcs1)),
                "ENCRYPTED PRIVATE KEY" => key = Some((decrypt_key(&der()?, password)?, KeyFormat::Pkcs8)),
                _ => {}
            }
        }
        let (key, format) = key.ok_or(Fault::Malformed)?;
        Ok(Self { key, format, certificates })
    }
}

/// Opens an encrypted private key (EncryptedPrivateKeyInfo of RFC 5208).
pub fn decrypt_key(der: &[u8], password: &Password<'_>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut outer = Reader::new(der).enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    let algorithm = outer.enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    encryption::decrypt(algorithm, outer.take(tag::OCTETS).ok_or(Fault::Malformed)?, password)
}
