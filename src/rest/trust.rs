//! Whose certificates are trusted: those of the system or of the environment, and those of `ca_file`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

use crate::env::TrustVariables;
use crate::error::{Code, Error, Result};
use crate::files::{self, Stamp};

/// What is offered to servers of https, the best first.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// TLS that trusts the certificates of `ca_file` (PEM) beside those of the system, in whose place the environment can put
/// others. Where there is a `ca_file`, nothing else need be there: it may be all that a private network has.
pub fn tls(variables: &TrustVariables, ca_file: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let certificates = read_ca_file(path)?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(unusable_ca_file("it holds no certificate that can be read"));
        }
    }
    let store = store(variables);
    roots.roots.extend(store.roots.roots.iter().cloned());
    if roots.is_empty() {
        return Err(no_roots(variables, store.fault.as_deref()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let failed = |error: &dyn fmt::Display| {
        Error::new(
            Code::TransportUnavailable,
            format!("The trusted certificates cannot be used: {error}."),
            "Reinstall the system's (apt-get install --reinstall ca-certificates), or pass ca_file=.",
        )
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| failed(&error))?;
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Explaining { verifier, provider }))
        .with_no_client_auth();
    config.alpn_protocols = PROTOCOLS.map(Into::into).to_vec();
    Ok(config)
}

/// The certificates that are trusted unless somebody says more, and where they were.
struct Store {
    places: Vec<(Stamp, PathBuf)>,
    roots: RootCertStore,
    /// The first thing that could not be read.
    fault: Option<String>,
}

/// What was read last. To read some hundred files takes longer than the request that needs them; behind a pointer it
/// survives a fork.
static LAST_READ: ArcSwapOption<Store> = ArcSwapOption::const_empty();

/// The system's certificates, or in their place the environment's. They are read again when they have changed.
fn store(variables: &TrustVariables) -> Arc<Store> {
    let places = places(variables).into_iter();
    let places: Vec<_> = places.map(|place| (files::stamp(&place), place)).collect();
    if let Some(last) = LAST_READ.load_full()
        && !places.is_empty()
        && last.places == places
    {
        return last;
    }
    let found = read_store(variables);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let fault = found.errors.first().map(ToString::to_string);
    let store = Arc::new(Store { places, roots, fault });
    LAST_READ.store(Some(Arc::clone(&store)));
    store
}

/// The files and directories that certificates are read from; none where the system keeps them otherwise.
fn places(variables: &TrustVariables) -> Vec<PathBuf> {
    if *variables == TrustVariables::default() {
        return places_of_system();
    }
    variables.file.iter().chain(&variables.directories).cloned().collect()
}

#[cfg(all(unix, not(target_vendor = "apple")))]
fn places_of_system() -> Vec<PathBuf> {
    let probed = openssl_probe::probe();
    probed.cert_file.into_iter().chain(probed.cert_dir).collect()
}

#[cfg(not(all(unix, not(target_vendor = "apple"))))]
fn places_of_system() -> Vec<PathBuf> {
    Vec::new()
}

fn read_store(variables: &TrustVariables) -> CertificateResult {
    if *variables == TrustVariables::default() {
        return load_native_certs();
    }
    let mut found = load_certs_from_paths(variables.file.as_deref(), None);
    for directory in &variables.directories {
        let more = load_certs_from_paths(None, Some(directory));
        found.certs.extend(more.certs);
        found.errors.extend(more.errors);
    }
    found
}

fn read_ca_file(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = files::read(path).map_err(|error| unusable_ca_file(&reason(&error)))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unusable_ca_file("it holds no certificate in PEM form")),
    }
}

/// The error does not repeat the path: some pass the contents in its place.
fn unusable_ca_file(what: &str) -> Error {
    Error::new(
        Code::TransportUnavailable,
        format!("The file of certificates (ca_file=) cannot be used: {what}."),
        "Pass ca_file= with the path of a readable PEM file; make one with openssl x509 -inform der -in <file.cer> -out <file.pem>",
    )
}

fn no_roots(variables: &TrustVariables, fault: Option<&str>) -> Error {
    let why = fault.map(|fault| format!(" ({fault})")).unwrap_or_default();
    let (message, hint) = match (&variables.file, variables.directories.as_slice()) {
        (Some(file), _) => (
            format!("No certificate was found in {}, where SSL_CERT_FILE says{why}.", file.display()),
            "Set SSL_CERT_FILE=<file of PEM certificates>, or unset it to trust the system's, or pass ca_file=.",
        ),
        (None, [_, ..]) => (
            format!("No certificate was found in {}, where SSL_CERT_DIR says{why}.", list(&variables.directories)),
            "Set SSL_CERT_DIR=<directory of PEM certificates>, or unset it to trust the system's, or pass ca_file=.",
        ),
        (None, []) => (
            format!("This system has no store of trusted certificates{why}."),
            "Install it (apt-get install ca-certificates), or set SSL_CERT_FILE=<file of PEM certificates>, or pass ca_file=.",
        ),
    };
    Error::new(Code::TransportUnavailable, message, hint)
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this process may not read it".to_owned(),
        _ => error.to_string(),
    }
}

/// Why an issuer is not known, as far as the certificates tell that a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// The certificate is its own issuer.
    SelfSigned,
    /// The server sent its certificate alone; the issuer may be one that it should have sent too.
    Alone,
    /// The server sent a chain whose end nobody here trusts.
    Chain,
    /// An issuer of this name is trusted, and its key is another.
    Namesake,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SelfSigned => "self-signed certificate",
            Self::Alone => "certificate of an unknown issuer, sent alone",
            Self::Chain => "certificate chain of an unknown issuer",
            Self::Namesake => "certificate of an unknown issuer with the name of a known one",
        })
    }
}

impl std::error::Error for Stranger {}

/// The verifier of rustls, whose every verdict stands. A refusal for an unknown issuer is told in more detail, because only
/// here can the server's certificates be seen.
#[derive(Debug)]
struct Explaining {
    verifier: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Explaining {
    /// Whether the certificate passes where nobody is trusted but itself.
    fn is_self_signed(&self, certificate: &CertificateDer<'_>, host: &ServerName<'_>, now: UnixTime) -> bool {
        let mut itself = RootCertStore::empty();
        if itself.add(certificate.clone().into_owned()).is_err() {
            return false;
        }
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(itself), provider).build();
        verifier.is_ok_and(|verifier| match verifier.verify_server_cert(certificate, &[], host, &[], now) {
            Err(rustls::Error::InvalidCertificate(finding)) => {
                finding != CertificateError::UnknownIssuer && !is_of_signature(&finding)
            }
            _ => true,
        })
    }
}

/// Whether an issuer was found by its name, but its key has not signed the certificate.
fn is_of_signature(finding: &CertificateError) -> bool {
    matches!(
        finding,
        CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier.verify_server_cert(certificate, others, host, ocsp, now).map_err(|error| {
            let rustls::Error::InvalidCertificate(finding) = &error else { return error };
            let is_unknown = *finding == CertificateError::UnknownIssuer;
            if !is_unknown && !is_of_signature(finding) {
                return error;
            }
            let stranger = if self.is_self_signed(certificate, host, now) {
                Stranger::SelfSigned
            } else if !is_unknown {
                Stranger::Namesake
            } else if others.is_empty() {
                Stranger::Alone
            } else {
                Stranger::Chain
            };
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(stranger))))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
