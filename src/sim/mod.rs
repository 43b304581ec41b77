//! A loopback API that enforces limits, to test programs against.
//!
//! The [`Simulator`] is an HTTP/1.1 server on 127.0.0.1 that answers like the OpenAI API, with
//! its limits, its headers and its refusals, and with made-up answers. It needs no key and no
//! network. What it judges is how a program keeps to limits; so it shares no code with this
//! crate's limiter, whose faults it would otherwise share.
//!
//! Endpoints: `POST /v1/chat/completions`, `/v1/completions`, `/v1/responses` and `/v1/messages`
//! (also streamed), `/v1/embeddings`, `/v1/moderations`; `GET /v1/models` and `/v1/models/{id}`;
//! Azure's paths to the same. Answers call tools, follow the schema of structured outputs and have
//! `logprobs` where the request says so; what is not simulated is refused, and the refusal says so.
//! Other providers' headers and errors are [dialects](SimConfig::dialect). A request is charged the characters that the model is
//! shown (of messages, their roles and names, of tools and schemas) by four, rounded up, plus its
//! output cap (16 when it has none) for each answer. A 429 takes nothing from any
//! limit. A request whose `metadata` has a `simulated_output_tokens` gets answers of that length, cut
//! at its cap.
//!
//! That is a server as it should be. Real ones are not: [`SimConfig`] has settings for other
//! charges, windows in place of a refill, daily limits, neighbours on the same account, limits
//! that change, headers that are missing, late or wrong, and [faults](Fault). What chance decides
//! is drawn from the seed and the request's body, never from the timing of threads.

mod answers; //     requests read, answers made up
mod audit; //       were the limits kept? a second opinion
mod charge; //      what a request costs
mod clock; //       the time, and the end of all waiting
mod config; //      settings
mod connection; //  one request, answered
mod dialect; //     what differs between providers
mod draw; //        seeded chance
mod durations; //   as the API writes them
mod errors; //      as the API words them
mod fraction; //    parts per million
mod gate; //        what stands before the limits
mod ledger; //      what is used, what fits
mod models; //      a ledger for each model
mod prompt_cache; // beginnings of prompts that came before
mod report; //      what was seen and done
mod response; //    an answer, as it goes over the wire
mod route; //       where a request goes
mod rule; //        a limit over time, and what happened to it
mod service; //     from a request to its answer
mod slots; //       how many at once
mod terms; //       from settings to accounts

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

pub use config::{
    ChargeRule, DailyLimits, Dialect, Fault, LimitHeaders, SimAnswer, SimConfig, SimLimits,
    SimRequest, TokenCounter,
};
pub use ledger::Counted;
pub use report::{ModelReport, SimReport, Violation};

use clock::Stop;
use service::Service;

use crate::http::{HttpLimits, Server};

/// A running simulated API. It stops when it is dropped: the port is closed, and every thread it
/// started has ended.
///
/// ```
/// use paceline::sim::{SimConfig, Simulator};
///
/// let simulator = Simulator::start(SimConfig::new())?;
/// assert!(simulator.base_url().starts_with("http://127.0.0.1:"));
/// // … point a client at `simulator.base_url()`, and then:
/// assert_eq!(simulator.report().violations(), []);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: Server,
}

/// What the threads of a simulator share.
#[derive(Debug)]
struct Shared {
    service: Service,
    stop: Stop,
}

impl Simulator {
    /// Starts a simulator. It answers as soon as this returns.
    ///
    /// # Errors
    ///
    /// When the port is taken, or the system is out of sockets or threads.
    pub fn start(config: SimConfig) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))?;
        let shared = Arc::new(Shared {
            service: Service::new(config),
            stop: Stop::default(),
        });
        let limits = HttpLimits {
            name: "sim",
            ..HttpLimits::default()
        };
        let server = Server::start(listener, limits, shared.clone())?;
        Ok(Self { shared, server })
    }

    /// What to give a client as its base URL: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr())
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// What it has seen and done so far. The report has a copy of all admissions, so ask once
    /// in a while and not all the time.
    #[must_use]
    pub fn report(&self) -> SimReport {
        let mut report = self.shared.service.report();
        report.most_connections = self.server.most_connections() as u64;
        report
    }

    /// Serves until another thread calls [`stop`](Self::stop).
    pub fn wait(&self) {
        self.shared.stop.wait();
    }

    /// Closes the port and all connections, also those in the middle of an answer, and returns
    /// when their threads have ended. The [`report`](Self::report) stays. Dropping does the same.
    pub fn stop(&self) {
        self.shared.stop.raise();
        self.server.stop();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
