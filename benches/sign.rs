//! Claims to token, against the hashing that no signer can avoid and against the `jsonwebtoken` crate.
//!
//! Reproduce with `cargo bench --locked --bench sign`. The contestants take turns in one process, so that whatever slows
//! the machine down slows all of them, and the result is their ratios. The process fails if the minimum misses the goal.
//!
//! The goal is for checked claims, which do not change, and a user id, which does. What it costs to check claims anew for
//! each token, with all the texts that they are made of, stands beside it and has no goal.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hubpass::claims::Claims;
use hubpass::clock::{Clock, Now};
use hubpass::jwt::Template;
use hubpass::keys::SigningKey;
use hubpass::negotiate::{Identity, Negotiation};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};
use sha2::block_api::compress256;

/// At most so many times the floor may a token cost.
const GOAL: f64 = 2.0;

/// Enough to last for some seconds: machines that share their cores with others are slow for a second at a time, and the
/// minimum should have seen the machine at its own speed.
const ROUNDS: usize = 10_000;

/// How many tokens a contestant makes in one round: long against the clock's resolution, and short against a time slice, so
/// that many rounds are not interrupted even on a busy machine.
const CALLS: usize = 200;

const KEY: &str = "bm90LWEta2V5LWJ1dC10aGUtc2hhcGUtb2Ytb25lLTEyMzQ1Njc4OTA=";
const AUDIENCE: &str = "https://contoso.service.signalr.net/client/?hub=chat";
const LIFETIME: Duration = Duration::from_secs(3600);

/// The claims of the application, which with a user id make a token of about 400 characters.
const CLAIMS: [(&str, &str); 3] =
    [("name", "Countess Ada Lovelace"), ("role", "moderator"), ("team", "difference-engine")];

fn main() -> ExitCode {
    let user_ids: Vec<String> = (0..CALLS).map(|number| format!("user-{number:06}")).collect();
    let now = Clock::System.now();
    let template = Template::new(Arc::new(SigningKey::new(KEY, None)), AUDIENCE);
    let mut reference = Reference::new(now);
    let mut negotiation = Negotiation { claims: claims(), lifetime: LIFETIME, ..Negotiation::new(Identity::Anonymous) };
    let token = sign(&template, now, &mut negotiation, &user_ids[0]);
    check_token(&token, &reference.claims_of(&user_ids[0]));
    let floor = Floor::of(&token);

    let mut times = [const { Vec::new() }; 4];
    // The first round fills caches and is not counted.
    for round in 0..=ROUNDS {
        let taken = [
            time_per_call(&user_ids, |user_id| sign(&template, now, &mut negotiation, user_id)),
            time_per_call(&user_ids, |user_id| {
                negotiation.claims = claims();
                sign(&template, now, &mut negotiation, user_id)
            }),
            time_per_call(&user_ids, |_| black_box(&floor).mac()),
            time_per_call(&user_ids, |user_id| reference.sign(user_id)),
        ];
        if round > 0 {
            times.iter_mut().zip(taken).for_each(|(times, taken)| times.push(taken));
        }
    }

    println!("{} characters, {ROUNDS} interleaved rounds of {CALLS} calls; minimum / median", token.len());
    let [hubpass, with_new_claims, compressions, jsonwebtoken] = times.map(Spread::of);
    println!("claims to token                       {hubpass:.0} ns");
    println!("claims checked anew, to token         {with_new_claims:.0} ns");
    println!("{} SHA-256 compressions, the floor     {compressions:.0} ns", floor.compressions());
    println!("jsonwebtoken encode                   {jsonwebtoken:.0} ns");
    let times_the_floor = hubpass.ratio_to(&compressions);
    println!("claims to token / floor               {times_the_floor:.2} (goal: at most {GOAL:.1} by the minimum)");
    println!("claims checked anew, to token / floor {:.2}", with_new_claims.ratio_to(&compressions));
    println!("jsonwebtoken encode / claims to token {:.2}", jsonwebtoken.ratio_to(&hubpass));
    if times_the_floor.minimum <= GOAL {
        return ExitCode::SUCCESS;
    }
    eprintln!("The goal is missed.");
    ExitCode::FAILURE
}

fn claims() -> Claims {
    let pairs = CLAIMS.map(|(name, value)| (name.to_owned(), Value::from(value)));
    Claims::from_pairs(pairs).expect("these names are allowed")
}

/// Makes a token for another user.
fn sign<'a>(template: &Template, now: Now, negotiation: &mut Negotiation<'a>, user_id: &'a str) -> String {
    negotiation.identity = Identity::user(user_id).expect("these ids are allowed");
    negotiation.sign(template, now).expect("the token is short").token
}

/// The same claims for `jsonwebtoken`. They are made once and only the user id is replaced, which is in its favour.
struct Reference {
    header: Header,
    key: EncodingKey,
    claims: Map<String, Value>,
}

impl Reference {
    fn new(now: Now) -> Self {
        let issued_at = now.unix_seconds();
        let mut claims = Map::new();
        claims.insert("aud".to_owned(), json!(AUDIENCE));
        claims.insert("iss".to_owned(), json!("azure-signalr"));
        claims.insert("asrs.s.uid".to_owned(), json!(""));
        claims.extend(CLAIMS.map(|(name, value)| (name.to_owned(), json!(value))));
        claims.insert("nbf".to_owned(), json!(issued_at));
        claims.insert("exp".to_owned(), json!(issued_at + LIFETIME.as_secs()));
        claims.insert("iat".to_owned(), json!(issued_at));
        Self { header: Header::new(Algorithm::HS256), key: EncodingKey::from_secret(KEY.as_bytes()), claims }
    }

    fn claims_of(&mut self, user_id: &str) -> Map<String, Value> {
        self.claims["asrs.s.uid"] = Value::from(user_id);
        self.claims.clone()
    }

    fn sign(&mut self, user_id: &str) -> String {
        self.claims["asrs.s.uid"] = Value::from(user_id);
        jsonwebtoken::encode(&self.header, &self.claims, &self.key).expect("the claims can be encoded")
    }
}

/// A wrong token is fast and worth nothing.
fn check_token(token: &str, claims: &Map<String, Value>) {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["aud", "exp", "nbf"]);
    let key = DecodingKey::from_secret(KEY.as_bytes());
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation).expect("the token is valid");
    assert_eq!(&decoded.claims, claims);
    assert!((390..=410).contains(&token.len()), "the goal is about 400 characters, not {}", token.len());
}

/// The SHA-256 compressions of one token's signing input, laid out beforehand: nothing is copied, padded or encoded.
struct Floor {
    /// The states behind the key's inner and outer pad.
    pads: [[u32; 8]; 2],
    /// The signing input in blocks, with the padding of FIPS 180-4 section 5.1.1.
    blocks: Vec<[u8; 64]>,
}

impl Floor {
    fn of(token: &str) -> Self {
        let (signing_input, signature) = token.rsplit_once('.').expect("a token has three parts");
        let pads = [0x36, 0x5c].map(|pad| {
            let mut block = [pad; 64];
            block.iter_mut().zip(KEY.bytes()).for_each(|(byte, key)| *byte ^= key);
            let mut state = INITIAL_STATE;
            compress256(&mut state, &[block]);
            state
        });
        let floor = Self { pads, blocks: padded(signing_input.as_bytes()) };
        let mac = floor.mac().map(u32::to_be_bytes);
        let encoded = base64_simd::URL_SAFE_NO_PAD.encode_to_string(mac.as_flattened());
        assert_eq!(encoded, signature, "the floor hashes something else than the token");
        floor
    }

    fn compressions(&self) -> usize {
        self.blocks.len() + 1
    }

    fn mac(&self) -> [u32; 8] {
        let [mut inner, mut outer] = self.pads;
        compress256(&mut inner, &self.blocks);
        let mut last = OUTER_PADDING;
        last[..32].copy_from_slice(inner.map(u32::to_be_bytes).as_flattened());
        compress256(&mut outer, &[last]);
        outer
    }
}

/// FIPS 180-4 section 5.3.3.
const INITIAL_STATE: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The block of the outer hash with room for the inner digest: one bit, and the length of pad and digest in bits.
const OUTER_PADDING: [u8; 64] = {
    let mut block = [0; 64];
    block[32] = 0x80;
    block[62] = 0x03;
    block
};

fn padded(signing_input: &[u8]) -> Vec<[u8; 64]> {
    let mut bytes = signing_input.to_vec();
    bytes.push(0x80);
    bytes.resize((bytes.len() + size_of::<u64>()).next_multiple_of(64) - size_of::<u64>(), 0);
    let bits = (64 + signing_input.len() as u64) * 8;
    bytes.extend_from_slice(&bits.to_be_bytes());
    bytes.as_chunks().0.to_vec()
}

/// The nanoseconds that a call takes, with another user id each time.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn time_per_call<'a, T>(user_ids: &'a [String], mut call: impl FnMut(&'a str) -> T) -> f64 {
    let begin = Instant::now();
    for user_id in user_ids {
        black_box(call(black_box(user_id)));
    }
    begin.elapsed().as_nanos() as f64 / user_ids.len() as f64
}

/// The minimum says what the code costs; the median, how much the machine added.
struct Spread {
    minimum: f64,
    median: f64,
}

impl Spread {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self { minimum: times[0], median: times[times.len() / 2] }
    }

    fn ratio_to(&self, other: &Self) -> Self {
        Self { minimum: self.minimum / other.minimum, median: self.median / other.median }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or_default();
        write!(f, "{:>6.digits$} / {:.digits$}", self.minimum, self.median)
    }
}
