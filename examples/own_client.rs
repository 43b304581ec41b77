//! The limiter alone, in front of an HTTP client of one's own, with tests in virtual time.
//!
//! `cargo run --example own_client --all-features`, and `cargo test --example own_client --all-features`

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use paceline::sim::{SimConfig, Simulator};
use paceline::{AcquireOptions, Cost, Limits, RateLimiter};

/// What sends a request: replaced in the tests.
trait Http {
    /// Returns the status and the tokens that the server counted.
    fn post(&self, body: &str) -> std::io::Result<(u16, u64)>;
}

/// A client that passes the limiter before each request.
struct Limited<H> {
    limiter: RateLimiter,
    http: H,
}

impl<H: Http> Limited<H> {
    fn ask(&self, question: &str, options: AcquireOptions<'_>) -> Result<u16, Box<dyn Error>> {
        let body = format!(
            r#"{{"model":"m","max_tokens":20,"messages":[{{"role":"user","content":"{question}"}}]}}"#
        );
        let reserved = Cost::sized(question.len() as u64 / 4 + 10, 20);
        let permit = self.limiter.acquire_with(reserved, options)?;
        match self.http.post(&body) {
            Ok((status, tokens)) => {
                permit.settle(Cost::tokens(tokens));
                Ok(status)
            }
            // Whether it arrived is not known: its charge stays.
            Err(error) => Err(error.into()),
        }
    }
}

/// HTTP/1.1 over a socket: a stand-in for the client that you have.
struct Socket(SocketAddr);

impl Http for Socket {
    fn post(&self, body: &str) -> std::io::Result<(u16, u64)> {
        let mut stream = TcpStream::connect(self.0)?;
        let length = body.len();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.get(9..12).and_then(|status| status.parse().ok());
        let counted = answer.split("\"total_tokens\":").nth(1).unwrap_or("");
        let end = counted.find(|it: char| !it.is_ascii_digit()).unwrap_or(0);
        Ok((status.unwrap_or(0), counted[..end].parse().unwrap_or(0)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let simulator = Simulator::start(SimConfig::new())?;
    let client = Limited {
        limiter: RateLimiter::new(Limits::tokens_per_minute(30_000)?),
        http: Socket(simulator.addr()),
    };
    for question in ["Why is the sky blue?", "Why is grass green?"] {
        let status = client.ask(question, AcquireOptions::new())?;
        println!("{question} → {status}");
    }
    let left = client.limiter.snapshot().quotas[0].level;
    println!("{left} tokens are left");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline::ManualClock;

    use super::*;

    struct Fine;

    impl Http for Fine {
        fn post(&self, _: &str) -> std::io::Result<(u16, u64)> {
            Ok((200, 30))
        }
    }

    #[test]
    fn the_second_question_waits_a_minute_that_does_not_pass() {
        let clock = ManualClock::new();
        let limiter = RateLimiter::builder(Limits::tokens_per_minute(35).unwrap());
        let limiter = limiter.clock(&clock).build();
        let client = Limited {
            limiter,
            http: Fine,
        };
        assert_eq!(client.ask("Why?", AcquireOptions::new()).unwrap(), 200);
        let hasty = AcquireOptions::new().deadline(clock.now() + Duration::from_secs(1));
        assert!(client.ask("Why?", hasty).is_err(), "refused at once");
        std::thread::scope(|scope| {
            let ask = || client.ask("Why?", AcquireOptions::new()).ok();
            let waiting = scope.spawn(ask);
            clock.wait_for_waiters(1);
            clock.advance(Duration::from_secs(60));
            assert_eq!(waiting.join().unwrap(), Some(200));
        });
    }
}
