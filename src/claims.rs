//! What a token says of its bearer: the application's own claims, named as the service expects them.
//!
//! The rules are those of `ClaimsUtility` and `ClaimTypeMapping` in Azure/azure-signalr. One is stricter here: names in
//! the service's own namespaces are refused, because the official SDK lets them overwrite the user id.

use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::claim_names::short_name;
use crate::error::{Code, Error, Result};

/// Names that mean something to the service in a token, and travel as `asrs.u.<name>` when an application uses them.
const SYSTEM_NAMES: [&str; 11] = ["aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"];

/// Names from which the service takes the user id when the token has none of its own.
const USER_ID_NAMES: [&str; 2] = ["sub", "nameid"];

/// The namespaces of the service.
const RESERVED_PREFIXES: [&str; 2] = ["asrs.s.", "asrs.u."];

/// An application's claims under the names that they have in the token, each name once, in order of appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Claims from names and values. A name that comes again makes an array of its values, as in .NET.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, Value)>) -> Result<Self> {
        let pairs = pairs.into_iter();
        let mut claims = Self(Map::with_capacity(pairs.size_hint().0));
        let mut subject_seen = false;
        for (name, value) in pairs {
            check_name(&name)?;
            if SYSTEM_NAMES.contains(&name.as_str()) {
                claims.push(format!("asrs.u.{name}"), as_text(value));
            } else if name == "sub" && std::mem::replace(&mut subject_seen, true) {
                claims.push("asrs.u.sub".to_owned(), as_text(value));
            } else {
                let name = short_name(&name).map_or(name, str::to_owned);
                claims.push(name, value);
            }
        }
        Ok(claims)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Refuses claims that would give a name to somebody who is to be anonymous.
    pub fn check_anonymous(&self) -> Result<()> {
        match self.iter().find(|(name, _)| USER_ID_NAMES.contains(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Error::new(
                Code::ClaimNamesUser,
                format!("The claim {name} would be the user id of a client that is to be anonymous."),
                format!("Pass user_id= instead of anonymous=True, or leave the claim {name} out."),
            )),
        }
    }

    fn push(&mut self, name: String, value: Value) {
        let present = match self.0.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
                return;
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        if !present.is_array() {
            *present = Value::Array(vec![present.take()]);
        }
        if let Value::Array(values) = present {
            match value {
                Value::Array(more) => values.extend(more),
                one => values.push(one),
            }
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(Error::new(
            Code::InvalidClaim,
            "A claim has no name, or one with control characters.",
            "Pass claims={\"name\": value} with a name that can be read.",
        ));
    }
    let begins_with = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    match RESERVED_PREFIXES.iter().find(|prefix| begins_with(prefix)) {
        None => Ok(()),
        Some(prefix) => Err(Error::new(
            Code::ReservedClaim,
            format!("A claim's name begins with {prefix}, which belongs to the service."),
            "Rename the claim; a user id goes into user_id=, and a claim such as iss or jti keeps its plain name.",
        )),
    }
}

/// The value of a claim under a system name: text, as the official SDK writes it.
fn as_text(value: Value) -> Value {
    match value {
        Value::String(_) => value,
        Value::Null => Value::String(String::new()),
        Value::Array(values) => Value::Array(values.into_iter().map(as_text).collect()),
        other => Value::String(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(pairs: &[(&str, Value)]) -> Result<Vec<(String, Value)>> {
        Claims::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())))
            .map(|claims| claims.0.into_iter().collect())
    }

    #[test]
    fn json_types_are_kept_and_repeats_become_arrays() {
        let made =
            claims(&[("a", json!(1)), ("b", json!({"c": [null, true]})), ("a", json!(2.5)), ("a", json!(["x"]))]);
        assert_eq!(
            made.unwrap(),
            [("a".to_owned(), json!([1, 2.5, "x"])), ("b".to_owned(), json!({"c": [null, true]}))]
        );
    }

    #[test]
    fn system_names_are_prefixed_and_become_text() {
        let made = claims(&[("exp", json!(1)), ("iss", json!(null)), ("jti", json!([1, "a"])), ("nonce", json!(true))]);
        let expected = [("exp", json!("1")), ("iss", json!("")), ("jti", json!(["1", "a"])), ("nonce", json!("true"))];
        assert_eq!(made.unwrap(), expected.map(|(name, value)| (format!("asrs.u.{name}"), value)));
    }

    #[test]
    fn the_name_check_comes_before_the_short_names() {
        let actor = "http://schemas.xmlsoap.org/ws/2009/09/identity/claims/actor";
        assert_eq!(claims(&[(actor, json!("x"))]).unwrap(), [("actort".to_owned(), json!("x"))]);
    }

    #[test]
    fn the_names_of_the_service_cannot_be_claimed() {
        for name in ["asrs.s.uid", "asrs.u.iss", "ASRS.S.UID"] {
            assert_eq!(claims(&[(name, json!("x"))]).unwrap_err().code(), Code::ReservedClaim, "{name}");
        }
        for name in ["", "  ", "a\nb"] {
            assert_eq!(claims(&[(name, json!("x"))]).unwrap_err().code(), Code::InvalidClaim, "{name:?}");
        }
    }
}
