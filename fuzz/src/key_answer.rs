//! Answers to the request for a temporary key: a byte that chooses the status, then the body.

use std::sync::Arc;
use std::time::Duration;

use hubpass::Code;
use hubpass::clock::Now;
use hubpass::jwt::Template;
use hubpass::negotiate::{Identity, Negotiation};
use hubpass::rest::answer::temporary_key;
use hubpass::rest::{Answer, Proof};
use hubpass::secret::Secret;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::canary;
use super::json::Members;
use super::reader::Reader;

/// The token that the request carried. A name that repeats it, or the key, is refused.
const BEARER: &str = "the-token-that-was-sent";

/// The statuses that are tried beside 200.
const OTHERS: [u16; 8] = [201, 204, 301, 401, 403, 404, 429, 503];

/// A key is taken from an object that has its two members, each once, with no secret in the name, and from nothing else; it
/// signs as its text does; and no error repeats anything of the body.
pub fn check(data: &[u8]) {
    if canary::is_known_to(data) {
        return;
    }
    let mut reader = Reader::new(data);
    let status = OTHERS.get(usize::from(reader.byte())).copied().unwrap_or(200);
    let body = canary::plant(reader.rest());
    let answer = Answer { status, body: body.clone().into(), ..Answer::default() };
    let expected = if status == 200 { key_in(&body) } else { None };
    match temporary_key(&Proof::Entra { object_id: None }, &Secret::new(BEARER.to_owned()), &answer) {
        Ok(key) => {
            let (kid, text) = expected.expect("a key was made of what is none");
            assert_eq!(key.kid(), kid);
            assert!(canary::shows_in(&kid) || !canary::shows_in(&format!("{key:?}")), "{key:?}");
            let template = Template::new(Arc::clone(key.signing()), "audience");
            let now = Now::at(Duration::from_secs(1_767_225_600), Duration::ZERO);
            let signed = Negotiation::new(Identity::Anonymous).sign(&template, now).expect("a short token");
            assert_eq!(signed.kid.as_deref(), Some(kid.as_str()));
            let mut validation = Validation::new(Algorithm::HS256);
            (validation.validate_aud, validation.validate_exp) = (false, false);
            let secret = DecodingKey::from_secret(text.as_bytes());
            let token = jsonwebtoken::decode::<Map<String, Value>>(&signed.token, &secret, &validation)
                .expect("a signature that jsonwebtoken accepts");
            assert_eq!(token.header.kid, Some(kid));
        }
        Err(error) => {
            assert!(expected.is_none(), "a key is refused: {error}");
            assert_eq!(error.status(), Some(status));
            assert!(status != 200 || error.code() == Code::UnexpectedResponse, "{error}");
            canary::check_error(&error);
        }
    }
}

/// The name and the text of the key that the body gives.
fn key_in(body: &[u8]) -> Option<(String, String)> {
    let members = Members::read(body, &["KeyId", "AccessKey"])?;
    let kid = members.only("KeyId")?.as_str()?;
    let text = members.only("AccessKey")?.as_str()?;
    let repeats = |secret: &str| secret.len() >= 16 && kid.contains(secret);
    let is_name = (1..=256).contains(&kid.len()) && !kid.chars().any(char::is_control);
    let is_name = is_name && !repeats(text) && !repeats(BEARER);
    (is_name && (1..=4096).contains(&text.len())).then(|| (kid.to_owned(), text.to_owned()))
}
