//! The golden vectors of `tests/vectors/`: what Microsoft's SDK does, and what we do where that differs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hubpass::claims::Claims;
use hubpass::connection_string::{Auth, ConnectionString};
use hubpass::endpoint::{ApplicationName, Endpoint, Endpoints, Hub, HubAddress};
use hubpass::keys::SigningKey;
use hubpass::negotiate::{Identity, Negotiation, Transports};
use hubpass::rest::signalr::{Message, send_to_all};
use hubpass::{Error, Result};
use serde_json::{Map, Value, json};
use url::Url;

use crate::support::{client, client_from, code, negotiate as negotiate_with, now, verified};

/// What the runner of a shape finds: members that `expect` may name, or our error.
type Outcome = Result<Map<String, Value>>;

/// The claims that every token has.
const REGISTERED: [&str; 5] = ["aud", "exp", "iat", "iss", "nbf"];

/// The options of `negotiate` that exist; a row with any other asks for something that we do not offer.
const OPTIONS: [&str; 5] = [
    "lifetime_seconds",
    "enable_detailed_errors",
    "transports",
    "close_on_authentication_expiration",
    "authentication_expires_on",
];

#[test]
#[allow(clippy::disallowed_methods, reason = "a test reads what it is made of")]
fn every_row_of_every_file_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut ids = BTreeSet::new();
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(files.len() >= 18, "files are missing: {files:?}");
    for path in files {
        let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let rows = file["rows"].as_array().unwrap();
        assert_eq!(file["count"], rows.len(), "{}", path.display());
        for row in rows {
            let id = row["id"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            check(id, file["shape"].as_str().unwrap(), row);
        }
    }
}

/// Asserts one row. A `differs` row needs a reason and says what we do instead.
fn check(id: &str, shape: &str, row: &Value) {
    let input = &row["input"];
    match row["status"].as_str() {
        Some("run") => match row["expect"].get("error") {
            Some(_) => {
                let error = run(shape, input).expect_err(id);
                assert_eq!(code(&error), row["ours_code"], "{id}");
            }
            None => compare(id, shape, input, &row["expect"]),
        },
        Some("differs") => {
            assert!(!row["reason"].as_str().unwrap().is_empty(), "{id} has no reason");
            let ours = &row["ours"];
            match ours.get("error").and_then(Value::as_str) {
                Some("unexpected_keyword") => {
                    let unknown = unknown_options(shape, input);
                    for keyword in ours["keywords"].as_array().unwrap() {
                        assert!(unknown.contains(keyword.as_str().unwrap()), "{id}: {keyword} is an option of ours");
                    }
                    if let Some(expected) = ours.get("without_them") {
                        compare(id, shape, input, expected);
                    }
                }
                Some(expected) => assert_eq!(code(&run(shape, input).expect_err(id)), expected, "{id}"),
                None => compare(id, shape, input, ours),
            }
        }
        other => panic!("{id} has the status {other:?}"),
    }
}

/// Compares the members that a row names with what we do.
fn compare(id: &str, shape: &str, input: &Value, expected: &Value) {
    let found = run(shape, input).unwrap_or_else(|error| panic!("{id}: {error}"));
    for (name, value) in expected.as_object().unwrap() {
        match name.as_str() {
            "has" => {
                for (claim, text) in value.as_object().unwrap() {
                    assert_eq!(&found["payload"][claim], text, "{id}: {claim}");
                }
            }
            "absent" => {
                for claim in value.as_array().unwrap() {
                    assert!(found["payload"].get(claim.as_str().unwrap()).is_none(), "{id}: {claim}");
                }
            }
            "equal_to_exp" => {
                for claim in value.as_array().unwrap() {
                    let text = &found["payload"][claim.as_str().unwrap()];
                    assert_eq!(text.as_str().unwrap(), found["payload"]["exp"].to_string(), "{id}: {claim}");
                }
            }
            "endpoint" | "client_endpoint" | "server_endpoint" | "audience_base" if value.is_string() => {
                assert_eq!(found[name], normal(value.as_str().unwrap(), name == "audience_base"), "{id}: {name}");
            }
            _ => assert_eq!(&found[name], value, "{id}: {name}"),
        }
    }
}

/// Endpoints are compared as URLs.
fn normal(text: &str, with_slash: bool) -> String {
    let url = Url::parse(text).unwrap();
    let text = url.as_str();
    if url.path() == "/" && !with_slash {
        text.trim_end_matches('/').to_owned()
    } else if text.ends_with('/') {
        text.to_owned()
    } else {
        format!("{text}/")
    }
}

fn unknown_options<'a>(shape: &str, input: &'a Value) -> BTreeSet<&'a str> {
    let options: Vec<&Value> = match shape {
        "endpoint_equality" => vec![&input["first"]["options"], &input["second"]["options"]],
        _ => vec![&input["options"]],
    };
    let names = options.into_iter().flat_map(|options| options.as_object().unwrap().keys().map(String::as_str));
    names.filter(|name| !OPTIONS.contains(name)).collect()
}

fn run(shape: &str, input: &Value) -> Outcome {
    match shape {
        "connection_string" => connection_string(input.as_str().unwrap()),
        "service_endpoint" => Ok(addresses(&ConnectionString::parse(input.as_str().unwrap())?.endpoints())),
        "endpoint_argument" => endpoint_argument(input.as_str().unwrap()),
        "endpoint_equality" => equality(&input["first"], &input["second"]),
        "endpoint_name" => Ok(addresses(&Endpoints::from_arguments(input["endpoint"].as_str().unwrap(), None, None)?)),
        "negotiate" => negotiate(input),
        "rest_send" => rest_send(input),
        "claim_name" => claim_name(input.as_str().unwrap()),
        other => panic!("no runner for the shape {other}"),
    }
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn connection_string(text: &str) -> Outcome {
    let parsed = ConnectionString::parse(text)?;
    let port = |endpoint: &Option<Endpoint>| {
        endpoint.as_ref().and_then(|endpoint| Url::parse(&endpoint.as_text()).unwrap().port_or_known_default())
    };
    let text_of = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(Endpoint::as_text);
    let access_key = match &parsed.auth {
        Auth::AccessKey(key) => Some(key.expose()),
        _ => None,
    };
    Ok(members(json!({
        "kind": parsed.auth.kind(),
        "version": parsed.version,
        "endpoint": parsed.endpoint.as_text(),
        "client_endpoint": text_of(&parsed.client_endpoint),
        "server_endpoint": text_of(&parsed.server_endpoint),
        "client_port": port(&parsed.client_endpoint),
        "server_port": port(&parsed.server_endpoint),
        "access_key": access_key,
    })))
}

fn addresses(endpoints: &Endpoints) -> Map<String, Value> {
    members(json!({
        "endpoint": endpoints.endpoint.as_text(),
        "client_endpoint": endpoints.client.as_text(),
        "server_endpoint": endpoints.server.as_text(),
        "audience_base": endpoints.endpoint.audience_base(),
    }))
}

fn endpoint_argument(text: &str) -> Outcome {
    let endpoints = Endpoints::from_arguments(text, None, None)?;
    let origin = endpoints.endpoint.origin();
    let port = Url::parse(&origin).unwrap().port_or_known_default();
    Ok(members(json!({"endpoint": origin, "port": port})))
}

fn equality(first: &Value, second: &Value) -> Outcome {
    let endpoints = |side: &Value| {
        Ok::<_, Error>(ConnectionString::parse(side["connection_string"].as_str().unwrap())?.endpoints())
    };
    Ok(members(json!({"equal": endpoints(first)? == endpoints(second)?})))
}

fn negotiate(input: &Value) -> Outcome {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let (client, key) = client_from(text("connection_string"), text("hub"), text("application_name"))?;
    let options = &input["options"];
    let mut negotiation = Negotiation::new(match input["user_id"].as_str() {
        Some(user_id) => Identity::user(user_id)?,
        None => Identity::Anonymous,
    });
    let pairs = input["claims"].as_array().into_iter().flatten();
    negotiation.claims = Claims::from_pairs(pairs.map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone())))?;
    if let Some(seconds) = options["lifetime_seconds"].as_i64() {
        negotiation.lifetime = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    }
    if let Some(names) = options["transports"].as_array() {
        negotiation.transports = Some(Transports::from_names(names.iter().map(|name| name.as_str().unwrap()))?);
    }
    negotiation.enable_detailed_errors = options["enable_detailed_errors"].as_bool().unwrap_or_default();
    negotiation.close_on_authentication_expiration =
        options["close_on_authentication_expiration"].as_bool().unwrap_or_default();
    negotiation.authentication_expires_on = options["authentication_expires_on"].as_i64();
    let signed = negotiate_with(&client, &negotiation)?.signed;
    let (header, payload) = verified(&signed.token, &key);
    let own: Vec<_> = payload.iter().filter(|(name, _)| !REGISTERED.contains(&name.as_str())).collect();
    Ok(members(json!({
        "url": client.client_url(),
        "aud": payload["aud"],
        "algorithm": header["alg"],
        "claims": own,
        "lifetime_seconds": payload["exp"].as_u64().unwrap() - payload["nbf"].as_u64().unwrap(),
        "payload": payload,
    })))
}

fn rest_send(input: &Value) -> Outcome {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let endpoints = Endpoints::from_arguments(text("endpoint"), None, None)?;
    let application = ApplicationName::parse(text("application_name"))?;
    let address = HubAddress { hub: Hub::parse(text("hub"))?, application };
    let key = Arc::new(SigningKey::new(text("access_key"), None));
    let request = send_to_all(&endpoints, &address, Message::new("target", &[])?, &[]).sign(&key, now(), "name")?;
    let bearer = request.headers[0].1.expose().strip_prefix("Bearer ").expect("a bearer");
    let (_, payload) = verified(bearer, text("access_key"));
    let own: Vec<_> = payload.keys().filter(|name| !REGISTERED.contains(&name.as_str())).collect();
    Ok(members(json!({"url": request.url, "aud": payload["aud"], "claim_names": own})))
}

fn claim_name(name: &str) -> Outcome {
    let key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let client = client(Endpoints::from_arguments("https://abc", None, None)?, key, "hub", "")?;
    let mut negotiation = Negotiation::new(Identity::user("user")?);
    negotiation.claims = Claims::from_pairs([(name.to_owned(), json!("value"))])?;
    let (_, payload) = verified(&negotiate_with(&client, &negotiation)?.signed.token, key);
    let found = payload.iter().find(|(_, value)| **value == "value").map(|(name, _)| name.clone());
    Ok(members(json!({"name": found})))
}
