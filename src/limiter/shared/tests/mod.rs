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
use super::connection::{Keys, StoreConnection, Timeouts};
use super::sync::{Ask, Identity, Joins, Order, StoreReply, SyncReply, SyncRequest, Told};
use super::{reservations, scale};
use crate::cost::Cost;
use crate::quota::{Limits, Quota};
use server::Server;

const SECOND: Duration = Duration::from_secs(1);

/// A process that syncs the store.
struct Process {
    connection: StoreConnection,
    keys: Keys,
    identity: Identity,
    sync: SyncRequest,
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
            connection: StoreConnection::new(Address::parse(&server.url()).unwrap(), timeouts),
            keys: Keys::new("t:", limiter),
            identity: Identity {
                label: name.to_owned(),
                horizon: SECOND,
            },
            sync: SyncRequest {
                name: name.to_owned(),
                incarnation: String::new(),
                epoch: 0,
                time: 0,
                turn: 1,
                noted: 0,
                waiters: Some(0),
                told: Told::default(),
                at: crate::limiter::bucket::Tick(0),
                late: [0; 5],
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

    /// Makes a sync and takes in its answer as an account does.
    fn go(&mut self, asks: &[(Cost, Duration)]) -> SyncReply {
        self.sync.asks = asks
            .iter()
            .map(|(cost, waited)| Ask {
                amounts: reservations::amounts(*cost),
                waited: *waited,
            })
            .collect();
        self.sync.waiters = Some(asks.len());
        match self.send() {
            StoreReply::Synced(heard) => {
                self.sync.turn += 1;
                self.sync.joins = None;
                self.sync.incarnation.clone_from(&heard.incarnation);
                self.sync.epoch = heard.epoch;
                self.sync.time = heard.time;
                self.sync.told = Told::default();
                *heard
            }
            StoreReply::Forgotten => panic!("it was forgotten"),
        }
    }

    fn send(&mut self) -> StoreReply {
        let answers = self
            .connection
            .go(&[(&self.keys, &self.sync)], &self.identity);
        answers.unwrap().pop().unwrap()
    }

    fn ask(&mut self, costs: &[Cost]) -> SyncReply {
        let asks: Vec<_> = costs.iter().map(|cost| (*cost, Duration::ZERO)).collect();
        self.go(&asks)
    }

    fn order(&mut self, order: Order) -> SyncReply {
        self.sync.told.orders.push(order);
        self.ask(&[])
    }
}
