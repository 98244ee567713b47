//! The Instance Metadata Service of virtual machines, scale sets and AKS nodes ("How to use managed identities for Azure
//! resources on an Azure VM to acquire an access token" of Microsoft's documentation).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use url::Url;

use super::{LIMIT, Network, Platform, UserAssigned, address, no_such_identity, url_for};
use crate::error::{Code, Error, Result};
use crate::rest::Answer;
use crate::rest::answer::retry_after;
use crate::secret::Secret;
use crate::world::Pending;

/// Where every machine has it.
const HOST: &str = "http://169.254.169.254";

/// What is asked there.
const PATH: &str = "/metadata/identity/oauth2/token";

/// The version of the service's interface.
const API_VERSION: &str = "2018-02-01";

/// How long the service has to show that it is there.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// The pauses before further tries: the service asks for them, because it is sometimes not ready for a moment.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(600), Duration::from_millis(1800)];

/// The service.
pub struct Imds {
    url: Url,
    user_assigned: Option<UserAssigned>,
    /// Whether the environment says that it is here.
    is_named: bool,
    /// Whether there is no need to find out.
    is_known: AtomicBool,
}

impl Imds {
    /// The service, or what the environment names in its place. `is_chosen`: the environment wants it alone.
    pub fn new(host: Option<&str>, user_assigned: Option<UserAssigned>, is_chosen: bool) -> Result<Self> {
        let base = host.unwrap_or(HOST).trim_end_matches('/');
        let url = address("AZURE_POD_IDENTITY_AUTHORITY_HOST", &format!("{base}{PATH}"))?;
        // Whoever asks for it alone has said that it is here.
        Ok(Self { url, user_assigned, is_named: is_chosen || host.is_some(), is_known: AtomicBool::new(true) })
    }

    /// Any answer shows that the service is there. The request lacks the header without which it gives nothing.
    async fn probe(&self, network: &Network) -> Result<()> {
        let url = url_for(&self.url, API_VERSION, "https://management.azure.com", None, "msi_res_id");
        let answer = network.get(url, Vec::new(), PROBE_LIMIT).await.map_err(|error| not_there(&error))?;
        refuse_docker(&answer)?;
        self.is_known.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn token(&self, resource: &str, network: &Network) -> Result<Answer> {
        let url = url_for(&self.url, API_VERSION, resource, self.user_assigned.as_ref(), "msi_res_id");
        let mut pauses = PAUSES.iter();
        loop {
            let headers = vec![("metadata", Secret::new("true".to_owned()))];
            let answer = network.get(url.clone(), headers, LIMIT).await.map_err(|error| not_there(&error))?;
            let is_for_a_moment = matches!(answer.status, 404 | 410 | 429 | 500..=599);
            match pauses.next() {
                // Whoever asks for a longer pause gets it from the cell that keeps the token.
                Some(pause) if is_for_a_moment && retry_after(&answer).is_none_or(|asked| asked <= *pause) => {
                    tokio::time::sleep(*pause).await;
                }
                _ => return Ok(answer),
            }
        }
    }
}

impl Platform for Imds {
    fn ask<'a>(&'a self, resource: &'a str, network: &'a Network) -> Pending<'a, Result<Answer>> {
        Box::pin(async move {
            if !self.is_known.load(Ordering::Relaxed) {
                self.probe(network).await?;
            }
            let answer = self.token(resource, network).await?;
            refuse_docker(&answer)?;
            if answer.status == 400 {
                return Err(no_such_identity(
                    "Assign it: az vm identity assign -n <machine> -g <group> (az vmss identity assign); for a user-assigned one check client_id= (ClientId=, AZURE_CLIENT_ID).",
                ));
            }
            Ok(answer)
        })
    }

    /// Once the service has answered a probe, it is not probed again.
    fn join_chain(&self) {
        self.is_known.store(self.is_named, Ordering::Relaxed);
    }
}

/// The error for a machine that has no such service.
fn not_there(error: &Error) -> Error {
    Error::new(
        Code::CredentialUnavailable,
        format!("No managed identity was found: the Instance Metadata Service gave no answer. {}", error.message()),
        "On Azure let this process reach http://169.254.169.254 (in AKS: is workload identity or a network policy in the way?); elsewhere use another credential, such as AzureCliCredential().",
    )
}

/// Docker Desktop answers in the place of addresses that it does not reach.
fn refuse_docker(answer: &Answer) -> Result<()> {
    let is_unreachable = answer.body.windows(11).any(|part| part == b"unreachable");
    if answer.status == 403 && is_unreachable {
        return Err(Error::new(
            Code::CredentialUnavailable,
            "No managed identity was found: a proxy answered that the Instance Metadata Service cannot be reached.",
            "Use another credential here, such as AzureCliCredential().",
        )
        .with_status(403));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::clock::Clock;
    use crate::rest::Request;
    use crate::rest::transport::Transport;

    /// Answers as a script says, and fails on whatever goes beyond it.
    #[derive(Default)]
    struct Script {
        answers: Mutex<VecDeque<Result<Answer>>>,
        requests: Mutex<Vec<Request>>,
    }

    impl Script {
        fn answer(&self, status: u16) {
            self.answers.lock().unwrap().push_back(Ok(Answer { status, ..Answer::default() }));
        }

        fn fail(&self) {
            self.answers.lock().unwrap().push_back(Err(Error::new(Code::DeadlineExceeded, "It took too long.", "")));
        }

        /// For each request whether it was a probe; they are forgotten then.
        fn probes(&self) -> Vec<bool> {
            let is_probe = |request: Request| {
                assert!(request.url.starts_with("http://169.254.169.254/metadata/identity/oauth2/token?"));
                let is_probe = request.headers.is_empty();
                assert_eq!(request.limit, Some(if is_probe { PROBE_LIMIT } else { LIMIT }));
                is_probe
            };
            self.requests.lock().unwrap().drain(..).map(is_probe).collect()
        }
    }

    impl Transport for Script {
        fn send(&self, request: Request) -> Pending<'_, Result<Answer>> {
            self.requests.lock().unwrap().push(request);
            let answer = self.answers.lock().unwrap().pop_front().expect("no request was expected");
            Box::pin(std::future::ready(answer))
        }
    }

    fn network() -> (Arc<Script>, Network) {
        let script = Arc::new(Script::default());
        let transport = Arc::clone(&script) as Arc<dyn Transport>;
        (script, Network { clock: Clock::System, transport })
    }

    #[tokio::test]
    async fn in_a_chain_the_service_is_probed_until_it_has_answered() {
        let (script, network) = network();
        let imds = Imds::new(None, None, false).unwrap();
        imds.join_chain();
        for _ in 0..2 {
            script.fail();
            let error = imds.ask("r", &network).await.unwrap_err();
            assert_eq!(error.code(), Code::CredentialUnavailable);
            assert!(error.hint().contains("169.254.169.254"), "{error}");
            // A probe that failed disables nothing.
            assert_eq!(script.probes(), [true]);
        }
        script.answer(400);
        script.answer(200);
        assert_eq!(imds.ask("r", &network).await.unwrap().status, 200);
        assert_eq!(script.probes(), [true, false]);
        script.answer(200);
        assert_eq!(imds.ask("r", &network).await.unwrap().status, 200);
        assert_eq!(script.probes(), [false]);
    }

    #[tokio::test]
    async fn whoever_asks_for_it_alone_has_said_that_it_is_here() {
        for is_chosen in [false, true] {
            let (script, network) = network();
            let imds = Imds::new(None, None, is_chosen).unwrap();
            if is_chosen {
                imds.join_chain();
            }
            script.answer(200);
            assert_eq!(imds.ask("r", &network).await.unwrap().status, 200);
            assert_eq!(script.probes(), [false]);
        }
    }
}
