//! Several credentials, of which the first that has something to try with is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::credential::flow::Flow;
use crate::credential::{Caller, Fault, FetchedToken, TokenRequest};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use crate::world::Pending;

/// No member has given a token yet, or the one that did has failed since.
const NOBODY: usize = usize::MAX;

/// Credentials in the order in which they are tried.
pub struct Chain {
    name: &'static str,
    members: Vec<Arc<dyn Flow>>,
    /// Credentials that stand in such a chain elsewhere and are not here, for the error.
    missing: Vec<&'static str>,
    hint: &'static str,
    /// The member that gave the last token. It is asked first, until it fails.
    winner: AtomicUsize,
}

impl Chain {
    /// A chain of these members.
    pub fn new(
        name: &'static str,
        members: Vec<Arc<dyn Flow>>,
        missing: Vec<&'static str>,
        hint: &'static str,
    ) -> Result<Self> {
        if members.is_empty() && missing.is_empty() {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("{name} has no credential to try."),
                "Pass one credential or more, in the order in which they are to be tried.",
            ));
        }
        for member in &members {
            member.join_chain();
        }
        Ok(Self { name, members, missing, hint, winner: AtomicUsize::new(NOBODY) })
    }

    async fn get(&self, request: &TokenRequest, caller: Caller) -> Result<FetchedToken, Fault> {
        let mut reasons = Vec::new();
        let winner = self.winner.load(Ordering::Relaxed);
        let others = (0..self.members.len()).filter(|position| *position != winner);
        for position in self.members.get(winner).map(|_| winner).into_iter().chain(others) {
            let Some(member) = self.members.get(position) else { continue };
            match self.ask(&**member, request, caller.clone()).await {
                Ok(token) => {
                    self.winner.store(position, Ordering::Relaxed);
                    return Ok(token);
                }
                Err(Fault::Abandoned) => return Err(Fault::Abandoned),
                Err(Fault::Failed(error)) => {
                    if position == winner {
                        self.winner.store(NOBODY, Ordering::Relaxed);
                    }
                    let goes_on = error.code() == Code::CredentialUnavailable;
                    reasons.push((member.name(), error));
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Err(Fault::Failed(self.error(reasons)))
    }

    async fn ask(&self, member: &dyn Flow, request: &TokenRequest, caller: Caller) -> Result<FetchedToken, Fault> {
        let request = member.normalized(request.clone())?;
        member.fetch(&request, caller).await
    }

    /// One block, a line for each member that was tried.
    fn error(&self, reasons: Vec<(&str, Error)>) -> Error {
        let mut lines = vec![format!("{} got no token.", self.name)];
        lines.extend(reasons.iter().map(|(name, error)| {
            // The errors of chains in chains have lines of their own.
            let (message, hint) = (error.message().replace('\n', "\n  "), error.hint());
            format!("  {name}: {message} {hint}")
        }));
        if !self.missing.is_empty() {
            lines.push(format!("  Not part of Hubpass: {}.", self.missing.join(", ")));
        }
        let hint = format!("\n{}", self.hint);
        // What stopped the chain says more than that it stopped.
        let last = reasons.into_iter().map(|(_, error)| error).next_back();
        let stopped = last.filter(|error| error.code() != Code::CredentialUnavailable);
        let error = Error::new(Code::IdentityUnavailable, lines.join("\n"), hint);
        match stopped {
            Some(stopped) => {
                let error = error.with_retry_after(stopped.retry_after());
                match stopped.status() {
                    Some(status) => error.with_status(status),
                    None => error,
                }
                .with_source(stopped)
            }
            None => error,
        }
    }
}

impl Flow for Chain {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(self.get(request, caller))
    }

    fn can_fetch_for(&self, caller: &Caller) -> bool {
        self.members.iter().all(|member| member.can_fetch_for(caller))
    }

    fn forget(&self, token: &Secret) {
        for member in &self.members {
            member.forget(token);
        }
    }

    fn name(&self) -> &str {
        self.name
    }
}

/// A member whose failures never stop its chain: a tool of developers, which may be there without being meant.
pub struct Lenient(pub Arc<dyn Flow>);

impl Flow for Lenient {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(async move {
            self.0.fetch(request, caller).await.map_err(|fault| match fault {
                Fault::Failed(error) => {
                    Error::new(Code::CredentialUnavailable, error.message(), error.hint()).with_source(error).into()
                }
                Fault::Abandoned => fault,
            })
        })
    }

    fn normalized(&self, request: TokenRequest) -> Result<TokenRequest> {
        self.0.normalized(request)
    }

    fn can_fetch_for(&self, caller: &Caller) -> bool {
        self.0.can_fetch_for(caller)
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}
