//! Client tokens: a key, the options of a negotiation, who connects, and claims, read from the bytes one after the other.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hubpass::Code;
use hubpass::claims::Claims;
use hubpass::clock::Now;
use hubpass::jwt::Template;
use hubpass::keys::SigningKey;
use hubpass::negotiate::{Identity, Negotiation, Signed, TOKEN_LARGE, TOKEN_MAX, Transports};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value, json};

use super::canary;
use super::json::{Members, base64url, from_base64url};
use super::reader::Reader;

/// When all tokens here are made, in seconds since 1970.
const NOW: u64 = 1_767_225_600;

/// The last second that can be written as a date.
const YEAR_9999_ENDS: u64 = 253_402_300_799;

/// Lifetimes at the bounds, in seconds.
const LIFETIMES: [u64; 6] = [3_600, 0, 1, 86_400, 86_401, u64::MAX];

/// Names with rules of their own.
const NAMES: [&str; 20] = [
    "aud",
    "exp",
    "iat",
    "nbf",
    "iss",
    "actort",
    "acr",
    "azp",
    "c_hash",
    "jti",
    "nonce",
    "sub",
    "nameid",
    "role",
    "asrs.s.uid",
    "ASRS.U.x",
    "asrs.x",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    "http://schemas.xmlsoap.org/ws/2009/09/identity/claims/actor",
];

/// What goes into a token comes out of it, read by `jsonwebtoken`: no more, no less, and nothing twice. A token has at most
/// 4,096 characters, and one that would have more is refused, never one that would not.
pub fn check(data: &[u8]) {
    if canary::is_known_to(data) {
        return;
    }
    let mut reader = Reader::new(data);
    let (key, kid, audience) = (reader.text(), reader.text(), reader.text());
    let kid = (!kid.is_empty()).then_some(kid);
    let options = reader.byte();
    let lifetime = LIFETIMES.get(usize::from(reader.byte())).copied().unwrap_or_else(|| reader.number());
    let authentication_ends = (options & 1 != 0).then(|| reader.number().cast_signed());
    let transports = reader.byte();
    let user_id = (options & 2 != 0).then(|| canary::plant_text(&reader.text()));
    let mut pairs = Vec::new();
    while !reader.is_at_end() {
        let name = NAMES.get(usize::from(reader.byte())).map_or_else(|| reader.text(), |&name| name.to_owned());
        pairs.push((name, reader.value()));
    }

    let identity = match &user_id {
        None => Identity::Anonymous,
        Some(user_id) => match Identity::user(user_id) {
            Ok(identity) => identity,
            Err(error) => {
                assert!(user_id.trim().is_empty() || user_id.chars().any(char::is_control), "{user_id:?} is refused");
                assert_eq!(error.code(), Code::InvalidUserId);
                return canary::check_error(&error);
            }
        },
    };
    let claims = match Claims::from_pairs(pairs.clone()) {
        Ok(claims) => claims,
        Err(error) => {
            assert_eq!(Some(error.code()), fault_of_names(&pairs));
            return canary::check_error(&error);
        }
    };
    assert_eq!(fault_of_names(&pairs), None);
    let negotiation = Negotiation {
        claims,
        lifetime: Duration::from_secs(lifetime),
        allow_long_lifetime: options & 4 != 0,
        authentication_expires_on: authentication_ends,
        close_on_authentication_expiration: options & 8 != 0,
        transports: transports_of(transports),
        enable_detailed_errors: options & 16 != 0,
        ..Negotiation::new(identity)
    };
    let template = Template::new(Arc::new(SigningKey::new(&key, kid.as_deref())), &audience);
    let outcome = negotiation.sign(&template, Now::at(Duration::from_millis(NOW * 1000 + 750), Duration::ZERO));

    let expected = expected_payload(&audience, &negotiation, user_id.as_deref(), transports, &pairs);
    let header = header(kid.as_deref());
    match (outcome, expected) {
        (Ok(signed), Ok(payload)) => {
            assert_eq!(signed.token.len(), length(&header, &payload));
            check_signed(&signed, &key, &header, &payload);
        }
        (Err(error), Ok(payload)) => {
            assert_eq!(error.code(), Code::TokenTooLong);
            assert!(length(&header, &payload) > TOKEN_MAX, "refused with {} characters", length(&header, &payload));
            assert!(error.message().contains(&format!(" {} ", length(&header, &payload))), "{error}");
            canary::check_error(&error);
        }
        (Err(error), Err(code)) => {
            assert_eq!(error.code(), code);
            canary::check_error(&error);
        }
        (Ok(_), Err(code)) => panic!("signed, and not refused with {code:?}"),
    }
}

fn check_signed(signed: &Signed, key: &str, header: &Value, payload: &Map<String, Value>) {
    assert!(signed.token.len() <= TOKEN_MAX, "{}", signed.token.len());
    assert_eq!(signed.is_large, signed.token.len() > TOKEN_LARGE);
    assert_eq!(signed.kid.as_deref(), header["kid"].as_str());
    assert_eq!(Some(signed.expires_on), payload["exp"].as_u64());

    let mut validation = Validation::new(Algorithm::HS256);
    (validation.validate_aud, validation.validate_exp) = (false, false);
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(
        &signed.token,
        &DecodingKey::from_secret(key.as_bytes()),
        &validation,
    )
    .expect("a signature that jsonwebtoken accepts");
    assert_eq!(&decoded.claims, payload);
    let parts: Vec<_> = signed.token.split('.').collect();
    let [first, second, _] = parts[..] else { panic!("{} is no compact JWT", signed.token) };
    assert_eq!(&serde_json::from_slice::<Value>(&from_base64url(first)).expect("a header"), header);
    // A member that is there twice would not be noticed above.
    let members = Members::read(&from_base64url(second), &[]).expect("a payload");
    assert_eq!(members.count(), payload.len());
}

fn header(kid: Option<&str>) -> Value {
    match kid {
        Some(kid) => json!({"alg": "HS256", "typ": "JWT", "kid": kid}),
        None => json!({"alg": "HS256", "typ": "JWT"}),
    }
}

/// How many characters the token has that says this.
fn length(header: &Value, payload: &Map<String, Value>) -> usize {
    let encoded = |value: &Value| base64url(value.to_string().as_bytes()).len();
    encoded(header) + 1 + encoded(&Value::Object(payload.clone())) + 1 + 43
}

/// What the token has to say, or why there is none.
fn expected_payload(
    audience: &str,
    negotiation: &Negotiation<'_>,
    user_id: Option<&str>,
    transports: u8,
    pairs: &[(String, Value)],
) -> Result<Map<String, Value>, Code> {
    let claims = expected_claims(pairs);
    if user_id.is_none() && (claims.contains_key("sub") || claims.contains_key("nameid")) {
        return Err(Code::ClaimNamesUser);
    }
    let lifetime = negotiation.lifetime.as_secs();
    let longest = if negotiation.allow_long_lifetime { YEAR_9999_ENDS } else { 86_400 };
    if !(1..=longest.min(YEAR_9999_ENDS - NOW)).contains(&lifetime) {
        return Err(Code::InvalidLifetime);
    }
    let ends = negotiation.authentication_expires_on.map(|ends| u64::try_from(ends).unwrap_or_default());
    if ends.is_some_and(|ends| ends <= NOW) {
        return Err(Code::InvalidAuthenticationExpiresOn);
    }
    let expires_on = ends.map_or(NOW + lifetime, |ends| ends.min(NOW + lifetime));
    let mut payload = Map::new();
    let mut add = |name: &str, value: Value| assert!(payload.insert(name.to_owned(), value).is_none(), "{name} twice");
    add("aud", json!(audience));
    add("iss", json!("azure-signalr"));
    if let Some(user_id) = user_id {
        add("asrs.s.uid", json!(user_id));
    }
    if negotiation.enable_detailed_errors {
        add("asrs.s.derror", json!("True"));
    }
    if negotiation.transports.is_some() {
        add("asrs.s.htt", json!((transports & 7).to_string()));
    }
    if negotiation.close_on_authentication_expiration {
        add("asrs.s.coae", json!("true"));
        add("asrs.s.aeo", json!(ends.unwrap_or(expires_on).to_string()));
    }
    for (name, value) in claims {
        add(&name, value);
    }
    add("nbf", json!(NOW));
    add("exp", json!(expires_on));
    add("iat", json!(NOW));
    Ok(payload)
}

fn transports_of(mask: u8) -> Option<Transports> {
    let names = ["WebSockets", "ServerSentEvents", "LongPolling"].into_iter().enumerate();
    Transports::from_names(names.filter(|(bit, _)| mask >> bit & 1 != 0).map(|(_, name)| name)).ok()
}

/// Why a name among these cannot be claimed; the first one decides.
fn fault_of_names(pairs: &[(String, Value)]) -> Option<Code> {
    pairs.iter().find_map(|(name, _)| {
        let lower = name.to_ascii_lowercase();
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            Some(Code::InvalidClaim)
        } else if lower.starts_with("asrs.s.") || lower.starts_with("asrs.u.") {
            Some(Code::ReservedClaim)
        } else {
            None
        }
    })
}

/// The claims under the names that they travel under; values of one name, if there are several, in one array.
fn expected_claims(pairs: &[(String, Value)]) -> Map<String, Value> {
    const OF_THE_SYSTEM: &[&str] = NAMES.split_at(11).0;
    let mut values: Vec<(String, Vec<&Value>, bool)> = Vec::new();
    for (name, value) in pairs {
        let is_second_subject = name == "sub" && values.iter().any(|(other, ..)| other == "sub");
        let (name, is_text) = if OF_THE_SYSTEM.contains(&name.as_str()) || is_second_subject {
            (format!("asrs.u.{name}"), true)
        } else {
            (short_names().get(name).unwrap_or(name).clone(), false)
        };
        match values.iter_mut().find(|(other, ..)| *other == name) {
            Some((_, values, _)) => values.push(value),
            None => values.push((name, vec![value], is_text)),
        }
    }
    let merged = values.into_iter().map(|(name, values, is_text)| {
        let values: Vec<Value> =
            values.into_iter().map(|value| if is_text { as_text(value) } else { value.clone() }).collect();
        let value = match &values[..] {
            [one] => one.clone(),
            several => several
                .iter()
                .flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]))
                .collect(),
        };
        (name, value)
    });
    merged.collect()
}

/// A value as text, the items of an array one by one.
fn as_text(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text),
        Value::Null => json!(""),
        Value::Array(items) => items.iter().map(as_text).collect(),
        other => json!(other.to_string()),
    }
}

/// Long names and their short ones, from the golden vectors.
fn short_names() -> &'static HashMap<String, String> {
    static NAMES: OnceLock<HashMap<String, String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let file: Value = serde_json::from_str(include_str!("../../tests/vectors/k.json")).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let rows = file["rows"].as_array().expect("rows");
        rows.iter().map(|row| (text(&row["input"]), text(&row["expect"]["name"]))).collect()
    })
}
