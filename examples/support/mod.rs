//! Where the examples send their requests: to the API when there is a key for it, otherwise to
//! a simulated one in this process, which needs neither key nor network and answers nonsense.

use std::io;
use std::time::Duration;

use paceline::sim::{SimConfig, Simulator};
use paceline::{ClientBuilder, RateLimitedClient};

/// The API, real or simulated. A simulated one ends when this is dropped.
pub(crate) enum Service {
    Real,
    Simulated(Simulator),
}

impl Service {
    /// Chooses, and says what it chose.
    pub(crate) fn start() -> io::Result<Self> {
        if std::env::var("OPENAI_API_KEY").is_ok_and(|key| !key.is_empty()) {
            println!("Sending to the API, with the key in OPENAI_API_KEY.\n");
            return Ok(Self::Real);
        }
        println!("OPENAI_API_KEY is not set: sending to a simulated API.\n");
        let config = SimConfig::new()
            .latency(Duration::from_millis(300))
            .latency_spread(0.4)
            .output_tokens(3..=12);
        Ok(Self::Simulated(Simulator::start(config)?))
    }

    /// Settings of a client that talks to it.
    pub(crate) fn client(&self) -> ClientBuilder {
        let builder = RateLimitedClient::builder().model("gpt-4o-mini");
        match self {
            Self::Real => builder,
            Self::Simulated(simulator) => builder
                .base_url(simulator.base_url())
                .api_key("none-needed"),
        }
    }
}
