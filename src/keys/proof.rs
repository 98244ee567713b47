//! Whether a fetched key signs what the service accepts: one negotiation as a client would begin it, before the key signs
//! for clients.

use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::{Endpoints, HubAddress};
use crate::jwt::Template;
use crate::keys::SigningKey;
use crate::negotiate::{Identity, Negotiation};
use crate::rest::answer::{Verdict, verdict};
use crate::rest::signalr::client_negotiate;
use crate::secret::Secret;
use crate::world::World;

/// How long the token of the proof is valid: it is sent at once, and only has to bear clocks that differ a little.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// A hub at which keys prove themselves. The service knows a key for all of its hubs or for none.
pub struct KeyProof {
    endpoints: Endpoints,
    address: HubAddress,
    audience: String,
}

impl KeyProof {
    /// A proof at this hub.
    pub fn new(endpoints: Endpoints, address: HubAddress) -> Self {
        let audience = address.client_audience(&endpoints);
        Self { endpoints, address, audience }
    }

    /// Asks the service what it thinks of a key.
    pub async fn ask(&self, key: &Arc<SigningKey>, world: &World) -> Verdict {
        let template = Template::new(Arc::clone(key), &self.audience);
        let negotiation = Negotiation { lifetime: TOKEN_LIFETIME, ..Negotiation::new(Identity::Anonymous) };
        let signed = match negotiation.sign(&template, world.clock.now()) {
            Ok(signed) => signed,
            Err(error) => return Verdict::Unknown(error),
        };
        let request = client_negotiate(&self.endpoints, &self.address, &Secret::new(signed.token));
        match world.transport.send(request).await {
            Ok(answer) => verdict(&answer),
            Err(error) => Verdict::Unknown(error),
        }
    }
}
