//! An application that proves itself with a certificate: it signs an assertion that Entra checks with the certificate
//! ("Microsoft identity platform application authentication certificate credentials" of Microsoft's documentation).

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256};
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::clock::{Clock, Now};
use crate::credential::application::ADFS;
use crate::credential::encryption::Fault as EncryptionFault;
use crate::credential::exchange::{Proof, Prover};
use crate::credential::key_file::{KeyFile, KeyFormat};
use crate::credential::{Caller, Fault};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::random;
use crate::secret::Secret;
use crate::world::{Pending, World};

/// How long an assertion is good. It is used at once.
const ASSERTION_SECONDS: u64 = 600;

/// A certificate with its private key.
pub enum Certificate {
    /// In a file, which is read anew for each assertion, because certificates are renewed in place.
    File(CertificateFile),
    /// In memory.
    Data(Arc<Identity>),
}

/// A file in PEM or PKCS#12 form.
pub struct CertificateFile {
    /// Where it is.
    pub path: PathBuf,
    /// What opens it.
    pub password: Option<Secret>,
}

impl Certificate {
    /// A certificate in memory.
    pub fn from_bytes(content: &[u8], password: Option<&Secret>) -> Result<Self> {
        Ok(Self::Data(Arc::new(Identity::read(content, password)?)))
    }

    /// What proves an application with this certificate.
    pub fn prover(self, client_id: &str, is_chain_sent: bool, world: &World) -> CertificateProver {
        let (client_id, clock) = (client_id.to_owned(), world.clock.clone());
        CertificateProver { certificate: self, client_id, is_chain_sent, clock }
    }

    fn identity(&self) -> Result<Arc<Identity>> {
        match self {
            Self::Data(identity) => Ok(Arc::clone(identity)),
            Self::File(CertificateFile { path, password }) => {
                let content = files::read(path).map_err(|error| unusable(&files::reason(&error), CHECK_PATH))?;
                Identity::read(&content, password.as_ref()).map(Arc::new)
            }
        }
    }
}

/// A private key, and the certificates that belong to it, its own first.
pub struct Identity {
    key: KeyPair,
    chain: Vec<Vec<u8>>,
}

impl Identity {
    /// Reads a file.
    fn read(content: &[u8], password: Option<&Secret>) -> Result<Self> {
        let KeyFile { key, format, mut certificates } =
            KeyFile::read(content, password.map(Secret::expose)).map_err(unreadable)?;
        let key = match format {
            KeyFormat::Pkcs1 => KeyPair::from_der(&key),
            KeyFormat::Pkcs8 => KeyPair::from_pkcs8(&key),
        };
        let key = key.map_err(|_| {
            unusable(
                "its private key is not an RSA key of 2048 bits or more",
                "Make a certificate with one: openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 365 -subj /CN=<name>",
            )
        })?;
        // A certificate holds the public key as it is; the one that does belongs to the private key.
        let public = key.public_key().as_ref();
        let holds_key = |certificate: &Vec<u8>| certificate.windows(public.len()).any(|part| part == public);
        let own = certificates.iter().position(holds_key).ok_or_else(|| {
            unusable(
                "it has no certificate that belongs to its private key",
                "Put both into one file: cat key.pem certificate.pem > both.pem",
            )
        })?;
        let own = certificates.remove(own);
        certificates.insert(0, own);
        Ok(Self { key, chain: certificates })
    }

    /// An assertion for a token endpoint. AD FS knows the older algorithms only.
    fn assertion(&self, client_id: &str, token_endpoint: &str, is_chain_sent: bool, now: Now) -> Result<Secret> {
        let is_adfs = token_endpoint.contains(&format!("/{ADFS}/"));
        let own = self.chain.first().map(Vec::as_slice).unwrap_or_default();
        let thumbprint = |hash| URL_SAFE_NO_PAD.encode_to_string(digest::digest(hash, own).as_ref());
        let mut header = Map::new();
        header.insert("typ".to_owned(), json!("JWT"));
        if is_adfs {
            header.insert("alg".to_owned(), json!("RS256"));
            header.insert("x5t".to_owned(), json!(thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY)));
        } else {
            header.insert("alg".to_owned(), json!("PS256"));
            header.insert("x5t#S256".to_owned(), json!(thumbprint(&digest::SHA256)));
        }
        if is_chain_sent {
            // RFC 7515 section 4.1.6: base64, not base64url, of each certificate's DER.
            let chain: Vec<String> = self.chain.iter().map(|der| STANDARD.encode_to_string(der)).collect();
            header.insert("x5c".to_owned(), json!(chain));
        }
        let issued = now.unix_seconds();
        let claims = json!({
            "aud": token_endpoint,
            "iss": client_id,
            "sub": client_id,
            "jti": random::hex_name(),
            "nbf": issued,
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        });
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode_to_string(part.to_string());
        let mut text = format!("{}.{}", encoded(&Value::Object(header)), encoded(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let padding = if is_adfs { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
        self.key
            .sign(padding, &random::for_signatures(), text.as_bytes(), &mut signature)
            .map_err(|_| unusable("its private key does not sign", CHECK_PATH))?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode_to_string(&signature));
        Ok(Secret::new(text))
    }
}

/// What proves an application with a certificate.
pub struct CertificateProver {
    certificate: Certificate,
    client_id: String,
    is_chain_sent: bool,
    clock: Clock,
}

impl CertificateProver {
    fn assertion(&self, token_endpoint: &str) -> Result<Proof> {
        let identity = self.certificate.identity()?;
        identity.assertion(&self.client_id, token_endpoint, self.is_chain_sent, self.clock.now()).map(Proof::Assertion)
    }
}

impl Prover for CertificateProver {
    fn prove<'a>(&'a self, token_endpoint: &'a str, _caller: Caller) -> Pending<'a, Result<Proof, Fault>> {
        Box::pin(std::future::ready(self.assertion(token_endpoint).map_err(Fault::from)))
    }

    fn settings(&self) -> &'static str {
        "the application's ClientId and its certificate"
    }
}

/// What to look at when nothing else is known.
const CHECK_PATH: &str = "Check certificate_path= (ClientCertPath=, AZURE_CLIENT_CERTIFICATE_PATH): a PEM or PKCS#12 file with the certificate and its private key.";

/// The error for a certificate that cannot be used. It repeats no path: some pass the contents in its place.
fn unusable(what: &str, hint: &str) -> Error {
    Error::new(Code::CertificateUnusable, format!("The application's certificate cannot be used: {what}."), hint)
}

fn unreadable(fault: EncryptionFault) -> Error {
    match fault {
        EncryptionFault::Malformed => unusable("it is neither a PEM nor a PKCS#12 file with a private key", CHECK_PATH),
        EncryptionFault::Unknown => unusable(
            "it is encrypted in a way that is not known here",
            "Encrypt it anew: openssl pkcs8 -topk8 -v2 aes256 -in key.pem; for PKCS#12: openssl pkcs12 -legacy -in old.pfx -nodes -out both.pem",
        ),
        EncryptionFault::Password => unusable(
            "it does not open with this password",
            "Check password= (AZURE_CLIENT_CERTIFICATE_PASSWORD); a file that is not encrypted needs none.",
        ),
    }
}
