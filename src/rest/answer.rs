//! What an answer of the service means: nothing more to do, or an error that says which of key, role, network, address
//! or clock is wrong.

use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Code, Error, Result};
use crate::keys::TemporaryKey;
use crate::rest::{ACCESS_KEY, Answer, GENERATE_TOKEN, KEY_PROOF, Operation, Party, Proof};
use crate::secret::Secret;

/// The longest `Retry-After` that is believed; a larger one is more often a mistake than a plan.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Checks the answer to an operation that needs nothing but success.
///
/// A page of a portal, or of an application at a wrong address, says 200 to anything, and no operation is answered by a page.
pub fn expect_success(operation: &Operation, proof: &Proof, answer: &Answer) -> Result<()> {
    if answer.status == operation.success {
        let is_page = answer.body.trim_ascii_start().starts_with(b"<");
        return if is_page { Err(not_what_was_asked_for(operation, "a page", answer)) } else { Ok(()) };
    }
    Err(refusal(operation, proof, answer).with_status(answer.status).with_retry_after(retry_after(answer)))
}

/// Reads a temporary key: a JSON object with `KeyId` and `AccessKey`, named just so and not empty
/// (`MicrosoftEntraAccessKey` in Azure/azure-signalr). `bearer` is the token that was sent for it.
pub fn temporary_key(proof: &Proof, bearer: &Secret, answer: &Answer) -> Result<TemporaryKey> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "KeyId")]
        key_id: String,
        #[serde(rename = "AccessKey")]
        access_key: Secret,
    }
    const NAME_MAX: usize = 256;
    const KEY_MAX: usize = 4096;
    const SECRET_MIN: usize = 16;
    expect_success(&ACCESS_KEY, proof, answer)?;
    let body: Body = object(&answer.body).ok_or_else(|| {
        // The error of a parser would quote the answer.
        not_what_was_asked_for(&ACCESS_KEY, "something that is not a key", answer)
    })?;
    let is_a_name = |name: &str| !name.is_empty() && name.len() <= NAME_MAX && !name.chars().any(char::is_control);
    // The name stands in logs and in every client token, so that one which repeats a secret would give it to everybody.
    let repeats = |secret: &Secret| secret.expose().len() >= SECRET_MIN && body.key_id.contains(secret.expose());
    let is_a_name = |name: &str| is_a_name(name) && !repeats(&body.access_key) && !repeats(bearer);
    if !is_a_name(&body.key_id) || body.access_key.expose().is_empty() || body.access_key.expose().len() > KEY_MAX {
        return Err(not_what_was_asked_for(&ACCESS_KEY, "a key that cannot be one", answer));
    }
    Ok(TemporaryKey::new(body.key_id, body.access_key))
}

/// Reads a client token: a JSON object with `token` (`ClientTokenResponse` of the data-plane specification). It has to be
/// something that can stand in a URL as it is; beyond that it is the service's own business.
pub fn client_token(proof: &Proof, answer: &Answer) -> Result<Secret> {
    #[derive(Deserialize)]
    struct Body {
        token: Secret,
    }
    expect_success(&GENERATE_TOKEN, proof, answer)?;
    let is_of_a_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    object(&answer.body)
        .map(|body: Body| body.token)
        .filter(|token| !token.expose().is_empty() && token.expose().bytes().all(is_of_a_token))
        .ok_or_else(|| not_what_was_asked_for(&GENERATE_TOKEN, "something that is not a token", answer))
}

/// The error for an answer that has the status of success and not what belongs to it. The answer itself is not quoted.
fn not_what_was_asked_for(operation: &Operation, what: &str, answer: &Answer) -> Error {
    let message = format!("{} was answered with {what}.", operation.name);
    unexpected(Party::Service(operation.service), message).with_status(answer.status)
}

fn refusal(operation: &Operation, proof: &Proof, answer: &Answer) -> Error {
    let Operation { name, service, .. } = operation;
    let az = service.commands();
    match answer.status {
        // A page of a portal or of the application itself says 200 to anything.
        100..=299 => not_what_was_asked_for(operation, &format!("status {}", answer.status), answer),
        300..=399 => Error::new(
            Code::RedirectRefused,
            format!("{name} was answered with a redirect, which would carry the token to another place."),
            "Set the endpoint (or server_endpoint=) to the final address of the service.",
        ),
        401 => unauthorized(operation, proof, answer),
        403 if is_network_refusal(&answer.body) => Error::new(
            Code::NetworkBlocked,
            format!("{name} was refused by the network access rules of the service."),
            format!(
                "Allow \"Server connection\" and \"REST API\" for this network: {az} network-rule update --public-network --allow ServerConnection RESTAPI -n <resource> -g <group>"
            ),
        ),
        403 => permission_missing(operation, proof),
        404 => Error::new(
            Code::NotFound,
            format!("{name} found no such resource at the endpoint."),
            format!("Check Endpoint in the connection string: {az} show -n <resource> -g <group> --query hostName"),
        ),
        413 => Error::new(
            Code::RequestRefused,
            format!("{name} was refused: the request is too large."),
            "Pass smaller arguments to send_to_all(), or a URL from which clients fetch the rest.",
        ),
        429 => Error::new(
            Code::Throttled,
            format!("{name} was refused: the service asks for fewer calls."),
            format!(
                "Wait for retry_after seconds, or add units: {az} update --unit-count <n> -n <resource> -g <group>"
            ),
        ),
        400..=499 => Error::new(
            Code::RequestRefused,
            format!("{name} was refused with status {}{}.", answer.status, error_code(answer)),
            "Check the arguments of the call; the status says what the service found wrong.",
        ),
        status => Error::new(
            Code::ServiceUnavailable,
            format!("{name} failed: the service answered with status {status}."),
            "Try again later; https://azure.status.microsoft tells whether others are affected.",
        ),
    }
}

/// Azure's built-in roles and their data actions: "Azure built-in roles for Web and Mobile" of Microsoft's documentation.
fn permission_missing(operation: &Operation, proof: &Proof) -> Error {
    let Operation { name, roles, action, .. } = operation;
    let least = roles.first().copied().unwrap_or_default();
    let either = roles.iter().map(|role| format!("\"{role}\"")).collect::<Vec<_>>().join(" or ");
    let identity = match proof {
        Proof::AccessKey => None,
        Proof::Entra { object_id } => object_id.as_deref(),
    };
    let who = identity.map_or_else(|| "the identity".to_owned(), |id| format!("the identity with object id {id}"));
    let assignee = identity.unwrap_or("<object id>");
    Error::new(
        Code::PermissionMissing,
        format!("{name} was refused: {who} lacks the action {action}."),
        format!(
            "Assign the role {either}: az role assignment create --role \"{least}\" --assignee {assignee} --scope <resource id>. A new assignment can take up to 30 minutes to act."
        ),
    )
}

/// The error for an answer that the party asked would not give.
pub fn unexpected(party: Party, message: String) -> Error {
    let setting = party.setting();
    let hint = match party {
        Party::Service(service) => format!(
            "Check that {setting} is the address of the service: {} show -n <resource> -g <group> --query hostName",
            service.commands()
        ),
        Party::Authority | Party::Pipelines | Party::Platform => {
            format!("Check {setting}, and that nothing else answers in its place.")
        }
    };
    Error::new(Code::UnexpectedResponse, message, hint)
}

/// The service says in `WWW-Authenticate` what it found wrong with a token.
fn unauthorized(operation: &Operation, proof: &Proof, answer: &Answer) -> Error {
    let Operation { name, service, .. } = operation;
    let az = service.commands();
    let (finding, hint) = match (proof, Complaint::read(answer)) {
        (Proof::Entra { .. }, _) => (
            "the service does not accept the Entra token",
            format!(
                "Check that the credential belongs to the tenant of the resource (az account show --query tenantId), and that scope= is {}.",
                service.scope()
            ),
        ),
        (Proof::AccessKey, Complaint::Signature) => (
            "the access key is not one of the resource's keys",
            format!(
                "Take a current AccessKey: {} -n <resource> -g <group>. If access keys are disabled ({az} show --query disableLocalAuth), pass a credential of azure.identity.",
                service.command_for_keys()
            ),
        ),
        (Proof::AccessKey, Complaint::Audience) => (WRONG_AUDIENCE.0, WRONG_AUDIENCE.1.to_owned()),
        (Proof::AccessKey, Complaint::Time) => (WRONG_CLOCK.0, WRONG_CLOCK.1.to_owned()),
        (Proof::AccessKey, Complaint::Other) => (
            "the service does not accept the token",
            format!(
                "Check AccessKey, and that access keys are not disabled: {az} show -n <resource> -g <group> --query disableLocalAuth"
            ),
        ),
    };
    Error::new(Code::Unauthorized, format!("{name} was refused: {finding}."), hint)
}

/// What is wrong, and what to do, when a token is made for another address.
const WRONG_AUDIENCE: (&str, &str) = (
    "the token is made for another address",
    "Check that Endpoint is the service's own address; a proxy's goes into ServerEndpoint=.",
);

/// What is wrong, and what to do, when a token comes too early or too late.
const WRONG_CLOCK: (&str, &str) =
    ("this machine's clock differs from the service's", "Set the clock: timedatectl set-ntp true");

/// What the service finds wrong with a token that we signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Complaint {
    Audience,
    Signature,
    Time,
    Other,
}

impl Complaint {
    fn read(answer: &Answer) -> Self {
        let reason = answer.www_authenticate.as_deref().unwrap_or_default().to_ascii_lowercase();
        let says = |sign: &str| reason.contains(sign);
        if says("signature") {
            Self::Signature
        } else if says("audience") {
            Self::Audience
        } else if says("expired") || says("lifetime") || says("not yet valid") {
            Self::Time
        } else {
            Self::Other
        }
    }
}

/// What the answer to a client's negotiation says of the key that signed its token.
#[derive(Debug)]
pub enum Verdict {
    /// The service knows the key.
    Accepted,
    /// The service does not.
    Refused(Error),
    /// Something else was wrong, which says nothing about the key.
    Unknown(Error),
}

/// Reads the answer to [`crate::rest::signalr::client_negotiate`]. Only a 401 that does not speak of clocks and addresses
/// condemns a key: a network that lets no clients through, or a service in trouble, says nothing about it.
pub fn verdict(answer: &Answer) -> Verdict {
    let complaint = Complaint::read(answer);
    let ((finding, hint), code) = match answer.status {
        200 => return Verdict::Accepted,
        401 if matches!(complaint, Complaint::Signature | Complaint::Other) => {
            let error = Error::new(
                Code::KeyRefused,
                "The service gave out a temporary key and then did not accept what it signed.",
                "Nothing needs to be done; it is tried again. Should it last, check that server_endpoint= (or ServerEndpoint=) and the endpoint are the same resource.",
            );
            return Verdict::Refused(error.with_status(401));
        }
        401 if complaint == Complaint::Audience => (WRONG_AUDIENCE, Code::Unauthorized),
        401 => (WRONG_CLOCK, Code::Unauthorized),
        403 => (
            (
                "the service's network access rules let no clients through from here",
                "Allow \"Client connection\" for this network, or leave verify_keys=True out: az signalr network-rule update --public-network --allow ClientConnection -n <resource> -g <group>",
            ),
            Code::NetworkBlocked,
        ),
        _ => (
            ("the service answered with something else", "Nothing needs to be done; the key signs all the same."),
            Code::UnexpectedResponse,
        ),
    };
    let message = format!("{KEY_PROOF} did not succeed (status {}): {finding}.", answer.status);
    Verdict::Unknown(Error::new(code, message, hint).with_status(answer.status))
}

/// The network access rules are enforced by a gateway before the service, which answers with a page of its own.
fn is_network_refusal(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["nginx", "public network", "network acl", "ip address", "private endpoint"].iter().any(|sign| body.contains(sign))
}

/// The service's own code for the error, if it is nothing but a code.
fn error_code(answer: &Answer) -> String {
    match &answer.error_code {
        Some(code) if code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') => {
            format!(" ({code})")
        }
        _ => String::new(),
    }
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3), within reason. The form with a date is not used by the service.
pub fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.retry_after.as_deref()?.trim();
    // Digits that are no number of ours are a time that is too long to be believed.
    is_digits(text).then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)).min(RETRY_AFTER_MAX))
}

/// Whether a text is digits and nothing else; Rust's own parsing of numbers takes a sign too.
pub fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a JSON object, in UTF-8 throughout (RFC 8259 section 8.1; serde does not look at members that nobody asks for).
/// The error of the parser is left out, because it would quote what was read. An array is refused, because serde would take
/// its items for the members in order.
pub fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(json).ok()?;
    text.trim_ascii_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

/// What a token says of itself, read without verifying it: for messages to its owner, never for a decision.
pub fn unverified_payload<T: DeserializeOwned>(token: &str) -> Option<T> {
    let payload = token.split('.').nth(1)?;
    object(&URL_SAFE_NO_PAD.decode_to_vec(payload.trim_end_matches('=')).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::SEND_TO_ALL;

    fn error(answer: Answer) -> Error {
        expect_success(&SEND_TO_ALL, &Proof::AccessKey, &answer).unwrap_err()
    }

    fn with_body(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec().into(), ..Answer::default() }
    }

    #[test]
    fn every_status_has_its_code() {
        for (status, code) in [
            (101, Code::UnexpectedResponse),
            (200, Code::UnexpectedResponse),
            (302, Code::RedirectRefused),
            (400, Code::RequestRefused),
            (401, Code::Unauthorized),
            (403, Code::PermissionMissing),
            (404, Code::NotFound),
            (413, Code::RequestRefused),
            (415, Code::RequestRefused),
            (429, Code::Throttled),
            (500, Code::ServiceUnavailable),
            (503, Code::ServiceUnavailable),
        ] {
            let error = error(with_body(status, ""));
            assert_eq!((error.code(), error.status()), (code, Some(status)));
        }
        assert!(expect_success(&SEND_TO_ALL, &Proof::AccessKey, &with_body(202, "")).is_ok());
    }

    #[test]
    fn a_network_rule_is_told_from_a_missing_role() {
        assert_eq!(error(with_body(403, "<center>nginx</center>")).code(), Code::NetworkBlocked);
        assert_eq!(error(with_body(403, "{}")).code(), Code::PermissionMissing);
    }

    #[test]
    fn the_reason_of_the_service_decides_the_hint() {
        for (reason, hint) in [
            ("The signature key was not found", "az signalr key list"),
            ("The audience is invalid", "ServerEndpoint="),
            ("The token is expired", "timedatectl set-ntp true"),
            ("", "disableLocalAuth"),
        ] {
            let www_authenticate = Some(format!(r#"Bearer error="invalid_token", error_description="{reason}""#));
            let error = error(Answer { status: 401, www_authenticate, ..Answer::default() });
            assert!(error.hint().contains(hint), "{reason}: {}", error.hint());
        }
    }

    #[test]
    fn the_commands_are_those_of_the_service() {
        let www_authenticate = Some("The signature key was not found".to_owned());
        let refused = Answer { status: 401, www_authenticate, ..Answer::default() };
        for (operation, command) in [(&SEND_TO_ALL, "az signalr key list"), (&GENERATE_TOKEN, "az webpubsub key show")]
        {
            let error = expect_success(operation, &Proof::AccessKey, &refused).unwrap_err();
            assert!(error.hint().contains(command), "{}", error.hint());
        }
    }

    #[test]
    fn only_what_can_stand_in_a_url_is_a_token() {
        let read = |body: &str| {
            client_token(&Proof::Entra { object_id: None }, &with_body(200, body)).map_err(|error| error.code())
        };
        assert_eq!(read(r#"{"token":"a-b_c.D9","more":1}"#).unwrap().expose(), "a-b_c.D9");
        for body in [r#"{"token":""}"#, r#"{"token":"a b"}"#, r#"{"token":"a&b"}"#, r#"{"Token":"a"}"#, "[]", ""] {
            assert_eq!(read(body).unwrap_err(), Code::UnexpectedResponse, "{body}");
        }
    }

    #[test]
    fn retry_after_is_bounded() {
        let wait = |text: &str| {
            error(Answer { status: 429, retry_after: Some(text.to_owned()), ..Answer::default() }).retry_after()
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("99999999999999999999999"), Some(RETRY_AFTER_MAX));
        for text in ["soon", "", "+7", "-7", "7.5"] {
            assert_eq!(wait(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_missing_role_is_named_with_the_command_that_assigns_it() {
        let proof = Proof::Entra { object_id: Some("11111111-2222".to_owned()) };
        let error = expect_success(&ACCESS_KEY, &proof, &with_body(403, "{}")).unwrap_err();
        assert_eq!(error.code(), Code::PermissionMissing);
        for part in [
            "SignalR App Server",
            "SignalR Service Owner",
            "az role assignment create",
            "--assignee 11111111-2222",
            "30 minutes",
        ] {
            assert!(error.hint().contains(part), "{part}: {}", error.hint());
        }
        assert!(error.message().contains("Microsoft.SignalRService/SignalR/auth/accessKey/action"));
    }

    /// Section D of the golden vectors: what newer official code accepts as a key.
    #[test]
    fn a_key_has_two_members_of_exact_names() {
        let read = |status, body: &str| {
            let bearer = Secret::new("the-token-that-was-sent".to_owned());
            temporary_key(&Proof::Entra { object_id: None }, &bearer, &with_body(status, body))
                .map(|key| key.kid().to_owned())
        };
        assert_eq!(read(200, r#"{"KeyId":"foo","AccessKey":"KEY"}"#).unwrap(), "foo");
        assert_eq!(read(200, r#"{"AccessKey":"KEY","KeyId":"foo","x":1}"#).unwrap(), "foo");
        for body in [
            r#"{"keyId":"foo","accessKey":"KEY"}"#,
            r#"{"KeyId":1,"AccessKey":"KEY"}"#,
            r#"{"KeyId":"","AccessKey":"KEY"}"#,
            r#"{"KeyId":"foo","AccessKey":""}"#,
            r#"{"KeyId":"foo"}"#,
            r#"{"KeyId":"x the-token-that-was-sent","AccessKey":"KEY"}"#,
            r#"{"KeyId":"KEY-0123456789ABCDEF","AccessKey":"KEY-0123456789ABCDEF"}"#,
            r#"["foo","KEY"]"#,
            "<html>KEY</html>",
            "",
        ] {
            let error = read(200, body).unwrap_err();
            assert_eq!(error.code(), Code::UnexpectedResponse, "{body}");
            assert!(!format!("{error}").contains("KEY"), "{error}");
        }
        for status in [202, 204] {
            assert_eq!(
                read(status, r#"{"KeyId":"foo","AccessKey":"KEY"}"#).unwrap_err().code(),
                Code::UnexpectedResponse
            );
        }
    }
}
