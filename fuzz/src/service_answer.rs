//! Refusals of the service: three bytes for the operation and the status, then a line each for `Retry-After`,
//! `WWW-Authenticate` and `x-ms-error-code`, then the body.

use std::time::Duration;

use hubpass::Code;
use hubpass::rest::answer::expect_success;
use hubpass::rest::{ACCESS_KEY, Answer, Proof, SEND_TO_ALL};

use super::canary;
use super::reader::Reader;

/// The longest wait that is believed.
const RETRY_AFTER_MAX: u64 = 300;

/// One status is success; everything else is an error with that status, with a wait within bounds, and without anything of
/// what came with it.
pub fn check(data: &[u8]) {
    if canary::is_known_to(data) {
        return;
    }
    let mut reader = Reader::new(data);
    let choice = reader.byte();
    let operation = if choice & 1 == 0 { &SEND_TO_ALL } else { &ACCESS_KEY };
    let proof = match choice >> 1 & 3 {
        0 => Proof::AccessKey,
        1 => Proof::Entra { object_id: None },
        _ => Proof::Entra { object_id: Some("11111111-2222".to_owned()) },
    };
    let status = 100 + u16::from(reader.byte()) * 4 + u16::from(reader.byte() % 4);
    let rest = canary::plant(reader.rest());
    let mut lines = rest.splitn(4, |&byte| byte == b'\n');
    let mut header = || lines.next().filter(|line| !line.is_empty()).map(|line| String::from_utf8_lossy(line).into());
    let (retry_after, www_authenticate, error_code) = (header(), header(), header());
    let body = lines.next().unwrap_or_default().to_vec();
    // A page is no answer of the service, whatever its status says.
    let is_page = status == operation.success && body.trim_ascii_start().starts_with(b"<");
    let expected = retry_after.as_deref().and_then(delay_seconds).filter(|_| !is_page);
    let answer = Answer { status, www_authenticate, retry_after, error_code, body: body.into() };
    match expect_success(operation, &proof, &answer) {
        Ok(()) => assert!(status == operation.success && !is_page),
        Err(error) => {
            assert!(status != operation.success || is_page);
            assert_eq!((error.status(), error.retry_after()), (Some(status), expected), "{:?}", answer.retry_after);
            assert_eq!(error.code() == Code::Throttled, status == 429);
            assert_eq!(matches!(error.code(), Code::PermissionMissing | Code::NetworkBlocked), status == 403);
            canary::check_error(&error);
        }
    }
}

/// Digits and nothing else (RFC 9110 section 10.2.3), with blanks around them.
fn delay_seconds(text: &str) -> Option<Duration> {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds =
        digits.bytes().fold(0, |seconds: u64, digit| (seconds * 10 + u64::from(digit - b'0')).min(RETRY_AFTER_MAX));
    Some(Duration::from_secs(seconds))
}
