//! What signs: the key behind a client token.

mod policy;
mod proof;
mod ring;
mod source;

pub use policy::KeyPolicy;
pub use ring::{Absorbed, KeyRing, Reported, TemporaryKey};
pub use source::{KeyInHand, KeySource, KeyStatus, TemporaryKeys};

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit};
use sha2::Sha256;

/// HMAC-SHA256 with the key's two pads already absorbed.
pub type HmacSha256 = Hmac<Sha256>;

/// A key ready to sign. The pads are computed once; they are wiped when the last owner drops the key.
pub struct SigningKey {
    kid: Option<Arc<str>>,
    mac: HmacSha256,
}

impl SigningKey {
    /// A key from its text. The UTF-8 bytes of the text sign, although it looks like base64: Azure SignalR Service
    /// never decodes it (`AuthUtility` in Azure/azure-signalr).
    ///
    /// `kid` names a temporary key to the service; a shared access key has none.
    pub fn new(text: &str, kid: Option<&str>) -> Self {
        // HMAC takes keys of any length (RFC 2104), so making one from bytes cannot fail.
        #[allow(clippy::expect_used, reason = "the error type exists for MACs with keys of fixed length")]
        let mac = HmacSha256::new_from_slice(text.as_bytes()).expect("HMAC takes a key of any length");
        Self { kid: kid.map(Arc::from), mac }
    }

    /// The name under which the service knows the key.
    pub fn kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// A MAC to feed, starting behind the key's pads.
    pub fn mac(&self) -> HmacSha256 {
        self.mac.clone()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}
