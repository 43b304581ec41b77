//! The script against the arithmetic of a limiter of one process, in a real store.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests are tests; these need a real server and its time"
)]

mod account;
mod script;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../../../tests/shared/server.rs"]
mod server;

use std::time::Duration;

use super::address::Address;
use super::connection::{Keys, Road, Timeouts};
use super::visit::{Answer, Ask, Heard, Joins, Manners, Order, Told, Visit};
use super::{lots, scale};
use crate::cost::Cost;
use crate::quota::{Limits, Quota};
use server::Server;

const SECOND: Duration = Duration::from_secs(1);

/// A process that visits the store.
struct Process {
    road: Road,
    keys: Keys,
    manners: Manners,
    visit: Visit,
}

impl Process {
    fn new(server: &Server, limiter: &str, name: &str, quotas: &[Quota]) -> Self {
        let timeouts = Timeouts {
            connect: SECOND * 30,
            command: SECOND * 30,
        };
        let limits = quotas
            .iter()
            .fold(Limits::builder(), |limits, quota| limits.quota(*quota));
        let limits = limits.build().unwrap();
        Self {
            road: Road::new(Address::parse(&server.url()).unwrap(), timeouts),
            keys: Keys::new("t:", limiter),
            manners: Manners {
                label: name.to_owned(),
                horizon: SECOND,
            },
            visit: Visit {
                name: name.to_owned(),
                incarnation: String::new(),
                epoch: 0,
                time: 0,
                turn: 1,
                waiters: Some(0),
                told: Told::default(),
                at: crate::limiter::level::Tick(0),
                late: [0; 4],
                joins: Some(Joins {
                    limits: scale::encode(quotas),
                    stated: scale::stated(&limits),
                    start_full: true,
                }),
                asks: Vec::new(),
                has_more: false,
            },
        }
    }

    /// Makes a visit and takes in its answer as an account does.
    fn go(&mut self, asks: &[(Cost, Duration)]) -> Heard {
        self.visit.asks = asks
            .iter()
            .map(|(cost, waited)| Ask {
                amounts: lots::amounts(*cost),
                waited: *waited,
            })
            .collect();
        self.visit.waiters = Some(asks.len());
        match self.send() {
            Answer::Heard(heard) => {
                self.visit.turn += 1;
                self.visit.joins = None;
                self.visit.incarnation.clone_from(&heard.incarnation);
                self.visit.epoch = heard.epoch;
                self.visit.time = heard.time;
                self.visit.told = Told::default();
                *heard
            }
            Answer::Forgotten => panic!("it was forgotten"),
        }
    }

    fn send(&mut self) -> Answer {
        let answers = self.road.go(&[(&self.keys, &self.visit)], &self.manners);
        answers.unwrap().pop().unwrap()
    }

    fn ask(&mut self, costs: &[Cost]) -> Heard {
        let asks: Vec<_> = costs.iter().map(|cost| (*cost, Duration::ZERO)).collect();
        self.go(&asks)
    }

    fn order(&mut self, order: Order) -> Heard {
        self.visit.told.orders.push(order);
        self.ask(&[])
    }
}
