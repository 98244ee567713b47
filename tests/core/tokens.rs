//! Client tokens over all claims that JSON can express, read by `jsonwebtoken`.

use std::time::Duration;

use hubpass::Code;
use hubpass::claims::Claims;
use hubpass::endpoint::Endpoints;
use hubpass::keys::SigningKey;
use hubpass::negotiate::{Identity, Negotiation, TOKEN_LARGE, TOKEN_MAX};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{client, negotiate as negotiate_with, now, verified};

const KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

fn sign(key: &str, user_id: &str, claims: Vec<(String, Value)>) -> hubpass::Result<String> {
    let client = client(Endpoints::from_arguments("https://abc.example", None, None)?, key, "hub", "")?;
    let negotiation = Negotiation { claims: Claims::from_pairs(claims)?, ..Negotiation::new(Identity::user(user_id)?) };
    Ok(negotiate_with(&client, &negotiation)?.signed.token)
}

/// Any JSON value. Floats are left to the exactness test below, where equality is by bits.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        key in ".{1,80}",
        user_id in "[^\\p{Cc}]{0,40}[a-z]",
        // Names with a prefix of their own meet neither the service's names nor each other's short forms.
        claims in prop::collection::btree_map("x[^\\p{Cc}]{0,12}", any_value(), 0..5),
    ) {
        let pairs: Vec<(String, Value)> = claims.clone().into_iter().collect();
        let token = sign(&key, &user_id, pairs).unwrap();
        prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
        let (header, payload) = verified(&token, &key);
        prop_assert_eq!(&header["alg"], "HS256");
        prop_assert_eq!(&payload["asrs.s.uid"], &json!(user_id));
        prop_assert_eq!(&payload["aud"], "https://abc.example/client/?hub=hub");
        prop_assert_eq!(&payload["iss"], "azure-signalr");
        prop_assert_eq!(&payload["exp"], &json!(1_767_229_200));
        for (name, value) in &claims {
            prop_assert_eq!(&payload[name], value, "{}", name);
        }
    }

    #[test]
    fn finite_floats_are_exact(number in any::<f64>().prop_filter("JSON has no others", |number| number.is_finite())) {
        let token = sign(KEY, "user", vec![("number".to_owned(), json!(number))]).unwrap();
        let (_, payload) = verified(&token, KEY);
        prop_assert_eq!(payload["number"].as_f64().map(f64::to_bits), Some(number.to_bits()));
    }

    #[test]
    fn the_limit_is_exact(padding in 2_700_usize..3_200) {
        let outcome = sign(KEY, "user", vec![("padding".to_owned(), json!("x".repeat(padding)))]);
        match outcome {
            Ok(token) => prop_assert!(token.len() <= TOKEN_MAX),
            Err(error) => {
                prop_assert_eq!(error.code(), Code::TokenTooLong);
                prop_assert!(error.hint().contains("padding ("), "{}", error);
                prop_assert!(!error.to_string().contains("xxx"), "{}", error);
                let shorter = sign(KEY, "user", vec![("padding".to_owned(), json!("x".repeat(padding - 600)))]);
                prop_assert!(shorter.is_ok_and(|token| token.len() > TOKEN_LARGE));
            }
        }
    }
}

#[test]
fn a_token_of_exactly_the_limit_passes() {
    let lengths: Vec<usize> = (2_700..3_200)
        .filter_map(|padding| sign(KEY, "user", vec![("p".to_owned(), json!("x".repeat(padding)))]).ok())
        .map(|token| token.len())
        .collect();
    assert_eq!(lengths.last(), Some(&TOKEN_MAX));
}

#[test]
fn a_new_key_signs_the_next_token() {
    let endpoints = Endpoints::from_arguments("https://abc.example", None, None).unwrap();
    let client = client(endpoints, KEY, "hub", "").unwrap();
    let other_hub = client.for_hub(hubpass::endpoint::Hub::parse("other").unwrap());
    let negotiation = Negotiation::new(Identity::user("user").unwrap());
    verified(&negotiate_with(&client, &negotiation).unwrap().signed.token, KEY);
    client.set_access_key(SigningKey::new("another key", None));
    verified(&negotiate_with(&client, &negotiation).unwrap().signed.token, "another key");
    verified(&negotiate_with(&other_hub, &negotiation).unwrap().signed.token, "another key");
}

#[test]
fn a_named_key_stands_in_the_header() {
    let key = std::sync::Arc::new(SigningKey::new(KEY, Some("k\"1")));
    let template = hubpass::jwt::Template::new(key, "aud");
    let negotiation = Negotiation::new(Identity::Anonymous);
    let signed = negotiation.sign(&template, now()).unwrap();
    assert_eq!(signed.kid.as_deref(), Some("k\"1"));
    assert_eq!(verified(&signed.token, KEY).0["kid"], "k\"1");
}

#[test]
fn a_lifetime_has_bounds_and_ends_with_the_session() {
    let sign = |change: fn(&mut Negotiation<'_>)| {
        let endpoints = Endpoints::from_arguments("https://abc.example", None, None)?;
        let mut negotiation = Negotiation::new(Identity::Anonymous);
        change(&mut negotiation);
        negotiate_with(&client(endpoints, KEY, "hub", "")?, &negotiation).map(|answer| answer.signed.expires_on)
    };
    const NOW: u64 = 1_767_225_600;
    assert_eq!(sign(|asked| asked.lifetime = Duration::from_secs(86_400)).unwrap(), NOW + 86_400);
    for refused in [
        (|asked| asked.lifetime = Duration::from_millis(999)) as fn(&mut Negotiation<'_>),
        |asked| asked.lifetime = Duration::from_secs(86_401),
        |asked| (asked.lifetime, asked.allow_long_lifetime) = (Duration::MAX, true),
    ] {
        assert_eq!(sign(refused).unwrap_err().code(), Code::InvalidLifetime);
    }
    let long = sign(|asked| (asked.lifetime, asked.allow_long_lifetime) = (Duration::from_secs(86_401), true));
    assert_eq!(long.unwrap(), NOW + 86_401);
    assert_eq!(sign(|asked| asked.authentication_expires_on = Some(1_767_225_601)).unwrap(), NOW + 1);
    for ended in [1_767_225_600, -1] {
        let endpoints = Endpoints::from_arguments("https://abc.example", None, None).unwrap();
        let negotiation =
            Negotiation { authentication_expires_on: Some(ended), ..Negotiation::new(Identity::Anonymous) };
        let error = negotiate_with(&client(endpoints, KEY, "hub", "").unwrap(), &negotiation).err().unwrap();
        assert_eq!(error.code(), Code::InvalidAuthenticationExpiresOn);
    }
}
