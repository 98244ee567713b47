//! A credential: a flow, and the tokens that came of it, each kept for what it was asked for.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::credential::flow::{Flow, FlowSource};
use crate::credential::{AccessToken, Caller, Fault, FetchedToken, TokenRequest, Tokens};
use crate::error::Result;
use crate::refresh::{CellPolicy, Held};
use crate::secret::Secret;
use crate::world::{Pending, World};

/// How many requests with claims are remembered. Each challenge of a service has claims of its own, which are asked for
/// once and hardly again.
const CLAIMS_MAX: usize = 16;

/// A credential that several clients share, ours and others.
pub struct Credential {
    flow: Arc<dyn Flow>,
    world: World,
    /// The youngest first. There are few; and a list behind a pointer survives a fork, which a lock would not.
    kept: ArcSwap<Vec<(TokenRequest, Arc<Tokens>)>>,
}

impl Credential {
    /// A credential without tokens.
    pub fn new(flow: Arc<dyn Flow>, world: World) -> Arc<Self> {
        Arc::new(Self { flow, world, kept: ArcSwap::default() })
    }

    /// The tokens that answer a request.
    pub fn tokens(&self, request: TokenRequest) -> Result<Arc<Tokens>> {
        Ok(self.kept_for(self.flow.normalized(request)?))
    }

    fn kept_for(&self, request: TokenRequest) -> Arc<Tokens> {
        let find = |kept: &[(TokenRequest, Arc<Tokens>)]| {
            kept.iter().find(|(known, _)| *known == request).map(|(_, tokens)| Arc::clone(tokens))
        };
        if let Some(tokens) = find(&self.kept.load()) {
            return tokens;
        }
        let source = FlowSource::new(Arc::clone(&self.flow), request.clone());
        let made = Tokens::new(Arc::new(source), CellPolicy::default(), self.world.clone());
        // Whoever comes second uses what the first has made.
        let mut chosen = Arc::clone(&made);
        self.kept.rcu(|kept| {
            chosen = find(kept).unwrap_or_else(|| Arc::clone(&made));
            if !Arc::ptr_eq(&chosen, &made) {
                return Vec::clone(kept);
            }
            let mut with_claims = usize::from(request.claims.is_some());
            let mut more = vec![(request.clone(), Arc::clone(&made))];
            more.extend(
                kept.iter()
                    .filter(|(known, _)| {
                        with_claims += usize::from(known.claims.is_some());
                        known.claims.is_none() || with_claims <= CLAIMS_MAX
                    })
                    .cloned(),
            );
            more
        });
        chosen
    }

    /// A token that answers a request.
    pub async fn obtain(&self, request: TokenRequest, caller: &Caller) -> Result<Arc<Held<AccessToken>>, Fault> {
        let request = self.flow.normalized(request)?;
        let plain = request.claims.is_some().then(|| TokenRequest { claims: None, ..request.clone() });
        let token = self.kept_for(request).obtain(caller).await?;
        if let Some(plain) = plain {
            // Claims are asked for when a service has revoked the token that everybody else is still given.
            self.kept_for(plain).adopt(&token);
        }
        Ok(token)
    }

    /// Lets go of connections. Tokens are still given.
    pub fn close(&self) {
        self.world.transport.close();
    }
}

/// A credential as a part of something else: the one of a client, or a member of a chain.
impl Flow for Credential {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(async move { Ok(self.obtain(request.clone(), &caller).await?.value().fetched()) })
    }

    fn normalized(&self, request: TokenRequest) -> Result<TokenRequest> {
        self.flow.normalized(request)
    }

    fn can_fetch_for(&self, caller: &Caller) -> bool {
        self.flow.can_fetch_for(caller)
    }

    fn forget(&self, token: &Secret) {
        for (_, tokens) in self.kept.load().iter() {
            tokens.forget_text(token);
        }
    }

    fn join_chain(&self) {
        self.flow.join_chain();
    }

    fn name(&self) -> &str {
        self.flow.name()
    }
}
