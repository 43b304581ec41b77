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
            Err(error) => {
                // Nobody knows whether it arrived: its charge stays.
                drop(permit);
                Err(error.into())
            }
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
        let tokens = answer
            .split_once("\"total_tokens\":")
            .and_then(|(_, rest)| {
                let digits: String = rest
                    .trim_start()
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                digits.parse().ok()
            });
        Ok((status.unwrap_or(0), tokens.unwrap_or(0)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let simulator = Simulator::start(SimConfig::new())?;
    let client = Limited {
        limiter: RateLimiter::new(Limits::tokens_per_minute(30_000)?),
        http: Socket(simulator.addr()),
    };
    for question in ["Why is the sky blue?", "Why is grass green?"] {
        println!(
            "{question} → {}",
            client.ask(question, AcquireOptions::new())?
        );
    }
    println!(
        "{} tokens are left",
        client.limiter.snapshot().quotas[0].level
    );
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
            let waiting = scope.spawn(|| {
                client
                    .ask("Why?", AcquireOptions::new())
                    .map_err(|it| it.to_string())
            });
            while client.limiter.snapshot().waiters == 0 {
                std::thread::yield_now();
            }
            clock.advance(Duration::from_secs(60));
            assert_eq!(waiting.join().unwrap(), Ok(200));
        });
    }
}
