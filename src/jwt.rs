//! JSON Web Tokens, compact serialisation, HS256 (RFC 7515, RFC 7518 section 3.2, RFC 7519).
//!
//! What all tokens for one audience and one key have in common (the header, `aud`, and `iss` where there is one) is
//! encoded and hashed once. Signing then costs the hashing of what is left, which is why `aud` stands first in the payload.

use std::sync::Arc;

use base64_simd::URL_SAFE_NO_PAD;
use hmac::Mac;
use serde_json::{Map, Value};

use crate::keys::{HmacSha256, SigningKey};

/// Who issues our tokens: the name that Microsoft's SDK has written since autumn 2024.
const ISSUER: &str = "azure-signalr";

/// The characters of an encoded HMAC-SHA256: 32 bytes in base64url without padding.
const SIGNATURE_LENGTH: usize = 43;

/// The beginning of every token for one audience, signed by one key.
pub struct Template {
    key: Arc<SigningKey>,
    /// The encoded header, a dot, and the encoded beginning of the payload.
    encoded: String,
    /// The payload bytes, fewer than three, that base64 can only encode together with what follows.
    carried: Vec<u8>,
    /// The MAC with `encoded` absorbed.
    mac: HmacSha256,
}

impl Template {
    /// Prepares tokens of Azure SignalR Service for `audience`, to be signed by `key`.
    pub fn new(key: Arc<SigningKey>, audience: &str) -> Self {
        let header = match key.kid() {
            Some(kid) => format!(r#"{{"alg":"HS256","typ":"JWT","kid":{}}}"#, json_text(kid)),
            None => r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(),
        };
        Self::made(key, header, format!(r#"{{"aud":{},"iss":{}"#, json_text(audience), json_text(ISSUER)))
    }

    /// Prepares tokens of Azure Web PubSub, which name no issuer. `headers` go over the header that every token has.
    pub fn without_issuer(key: Arc<SigningKey>, audience: &str, headers: &Map<String, Value>) -> Self {
        let mut header = Map::new();
        header.insert("alg".to_owned(), Value::from("HS256"));
        header.insert("typ".to_owned(), Value::from("JWT"));
        header.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self::made(key, Value::Object(header).to_string(), format!(r#"{{"aud":{}"#, json_text(audience)))
    }

    fn made(key: Arc<SigningKey>, header: String, payload: String) -> Self {
        let payload = payload.into_bytes();
        let (whole, carried) = payload.split_at(payload.len() / 3 * 3);
        let encoded =
            format!("{}.{}", URL_SAFE_NO_PAD.encode_to_string(header), URL_SAFE_NO_PAD.encode_to_string(whole));
        let mut mac = key.mac();
        mac.update(encoded.as_bytes());
        Self { key, carried: carried.to_vec(), encoded, mac }
    }

    /// The key that signs.
    pub fn key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// Begins a token's payload: [`Payload::bytes`] takes members, each with a comma in front.
    pub fn payload(&self) -> Payload<'_> {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&self.carried);
        Payload { template: self, bytes }
    }
}

/// The payload of one token in the making.
pub struct Payload<'a> {
    template: &'a Template,
    /// JSON members as text, each with a comma in front.
    pub bytes: Vec<u8>,
}

impl Payload<'_> {
    /// How many characters the token will have: what the service limits.
    pub fn token_length(&self) -> usize {
        let body = URL_SAFE_NO_PAD.encoded_length(self.bytes.len() + "}".len());
        self.template.encoded.len() + body + ".".len() + SIGNATURE_LENGTH
    }

    /// Closes the payload and signs it.
    pub fn sign(mut self) -> String {
        let length = self.token_length();
        let Template { encoded, mac, .. } = self.template;
        self.bytes.push(b'}');
        let mut token = String::with_capacity(length);
        token.push_str(encoded);
        URL_SAFE_NO_PAD.encode_append(&self.bytes, &mut token);
        let mut mac = mac.clone();
        mac.update(&token.as_bytes()[encoded.len()..]);
        token.push('.');
        let signature: [u8; 32] = mac.finalize().into_bytes().into();
        URL_SAFE_NO_PAD.encode_append(signature, &mut token);
        token
    }
}

/// A text as JSON.
fn json_text(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_known_before_signing() {
        for audience_length in 0..6 {
            let key = Arc::new(SigningKey::new("key", Some("kid")));
            let template = Template::new(key, &"a".repeat(audience_length));
            for members in ["", r#","a":1"#, r#","ab":1"#, r#","abc":1"#] {
                let mut payload = template.payload();
                payload.bytes.extend_from_slice(members.as_bytes());
                let length = payload.token_length();
                assert_eq!(payload.sign().len(), length);
            }
        }
    }
}
