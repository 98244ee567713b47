//! What the clients of both services are made of: addresses, time for calls, and how a request is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::credential::{Caller, Fault, Tokens};
use crate::endpoint::{Endpoints, Service};
use crate::error::{Code, Error, Result};
use crate::observe::Event;
use crate::rest::proxy::Proxy;
use crate::rest::{Answer, Operation, Proof, Unsigned};
use crate::world::World;

/// What the clients of all hubs of one service share, whichever service it is.
pub struct Core {
    /// The service's addresses.
    pub endpoints: Endpoints,
    /// The time that a call has if it says nothing else.
    pub timeout: Duration,
    /// Time, process and network.
    pub world: World,
    /// Whether the last request failed, so that its success after that is told once.
    request_failed: AtomicBool,
    /// How many clients are not closed. The last one takes the connections with it.
    open: AtomicUsize,
}

impl Core {
    /// A core of these parts.
    pub fn new(endpoints: Endpoints, timeout: Duration, world: World) -> Self {
        Self { endpoints, timeout, world, request_failed: AtomicBool::new(false), open: AtomicUsize::new(0) }
    }

    /// Counts a client that shares this core.
    pub fn open(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// Does the work within the time given, or within the client's own.
    pub async fn within<T>(
        &self,
        timeout: Option<Duration>,
        what: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = timeout.unwrap_or(self.timeout);
        tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(deadline_exceeded(what, limit, self.world.transport.proxy_taken())))
    }

    /// The same for an operation, whose failure, and the success that ends it, the observer is told of.
    pub async fn perform<T>(
        &self,
        operation: &Operation,
        timeout: Option<Duration>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let outcome = self.within(timeout, operation.name, work).await;
        let had_failed = self.request_failed.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) => {
                let (code, status) = (error.code().as_str(), error.status());
                self.world.tell(&Event::RequestFailed { operation: operation.name, code, status });
            }
            Ok(_) if had_failed => self.world.tell(&Event::RequestSucceeded { operation: operation.name }),
            Ok(_) => {}
        }
        outcome
    }

    /// Sends a request with an Entra token. One that the service refuses is renewed once: with that the service has done
    /// nothing.
    pub async fn send_with_token<T>(
        &self,
        tokens: &Arc<Tokens>,
        caller: &Caller,
        request: Unsigned,
        read: impl Fn(&Proof, &Answer) -> Result<T>,
    ) -> Result<T> {
        let transport = &self.world.transport;
        let token = tokens.obtain(caller).await.map_err(Fault::into_error)?;
        let answer = transport.send(request.clone().with_bearer(token.value().secret())).await?;
        let outcome = read(&token.value().proof(), &answer);
        if !matches!(&outcome, Err(error) if error.code() == Code::Unauthorized) {
            return outcome;
        }
        tokens.forget(&token);
        let token = tokens.obtain(caller).await.map_err(Fault::into_error)?;
        let answer = transport.send(request.with_bearer(token.value().secret())).await?;
        read(&token.value().proof(), &answer)
    }
}

/// Whether a client may still be used.
#[derive(Debug, Default)]
pub struct Closing(AtomicBool);

impl Closing {
    /// Refuses use from now on. The last of those that share `core` takes the connections with it.
    pub fn close(&self, core: &Core) {
        let was_open = !self.0.swap(true, Ordering::AcqRel);
        if was_open && core.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            core.world.transport.close();
        }
    }

    /// Whether use is refused.
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Refuses the use of a closed client.
    pub fn check(&self, service: Service) -> Result<()> {
        if !self.is_closed() {
            return Ok(());
        }
        Err(Error::new(
            Code::ClientClosed,
            "The client is closed.",
            format!("Make one {} for each process, and call close() when the process ends.", service.client_class()),
        ))
    }
}

fn deadline_exceeded(operation: &str, limit: Duration, proxy: Option<&Proxy>) -> Error {
    let by_way_of = proxy.map(|Proxy { address, variable, .. }| format!(" by way of the proxy {address} ({variable})"));
    Error::new(
        Code::DeadlineExceeded,
        format!("{operation} took longer than {} seconds.", limit.as_secs_f64()),
        format!(
            "Pass a longer timeout= (seconds) to the call or to the client, or check the network to the endpoint{}.",
            by_way_of.unwrap_or_default()
        ),
    )
}
