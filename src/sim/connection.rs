//! One request of a connection, answered, badly where a fault says so.

use std::io::Read;

use super::Shared;
use super::errors::Refusal;
use super::service::Answer;
use crate::http::{Exchange, Malformed, Request, Service};

impl Service for Shared {
    fn serve(&self, request: Request, exchange: &mut Exchange<'_>) {
        let (is_head, is_http_10) = (request.is_head(), request.is_http_10);
        let Some((answer, _in_flight)) = self.service.answer(&request, &self.stop) else {
            return exchange.close();
        };
        // What was read is not needed while a slow client takes its answer.
        drop(request);
        // An error means that the client is gone, which the connection notices.
        let _ = match answer {
            Answer::Whole(response) => {
                let bytes = response.to_bytes(exchange.keeps_alive(), is_head, is_http_10);
                exchange.send_raw(&bytes)
            }
            Answer::Half(response) => {
                exchange.close();
                exchange.send_raw(&response.to_half(is_http_10))
            }
            Answer::Drop => return exchange.close(),
            Answer::Hang => {
                exchange.close();
                return outlast(exchange);
            }
        };
    }

    fn refuse(&self, malformed: Malformed, exchange: &mut Exchange<'_>) {
        let refusal = Refusal::new(malformed.status, malformed.message);
        let response = self.service.malformed(refusal);
        let _ = exchange.send_raw(&response.to_bytes(false, false, false));
    }
}

/// Says nothing until the client gives up, or the simulator closes the connection.
fn outlast(exchange: &Exchange<'_>) {
    let mut stream: &std::net::TcpStream = exchange.stream();
    let mut chunk = [0; 1024];
    if stream.set_read_timeout(None).is_ok() {
        while stream.read(&mut chunk).is_ok_and(|count| count > 0) {}
    }
}
