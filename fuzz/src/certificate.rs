//! Files with a certificate and its private key, PEM or PKCS#12: a byte that says whether there is a password, then the
//! file.

use hubpass::Code;
use hubpass::credential::certificate::Certificate;
use hubpass::secret::Secret;

use super::canary::{self, CANARY};
use super::reader::Reader;

/// A file is a certificate or is refused as one that cannot be used, the same each time, and no error repeats anything of
/// the file or the password.
pub fn check(data: &[u8]) {
    if canary::is_known_to(data) {
        return;
    }
    let mut reader = Reader::new(data);
    let password = (reader.byte() % 2 == 1).then(|| Secret::new(CANARY.to_owned()));
    // PKCS#12 would not survive a canary in the place of a byte; a text does.
    let file = reader.rest();
    let file = if std::str::from_utf8(file).is_ok() { canary::plant(file) } else { file.to_vec() };
    let is_read = |password: Option<&Secret>| match Certificate::from_bytes(&file, password) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code(), Code::CertificateUnusable);
            assert_eq!(error.status(), None);
            canary::check_error(&error);
            false
        }
    };
    assert_eq!(is_read(password.as_ref()), is_read(password.as_ref()));
}
