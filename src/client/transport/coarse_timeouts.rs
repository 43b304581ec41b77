//! Timeouts that the system is told only when they change by much.
//!
//! The wire has the system's own timeouts end a read or a write, and tells it before each of them how
//! much is left until the whole call's time is up. That is never the same twice, so each request would
//! make some calls into the system just to say almost the same again. Here it is rounded up, by a
//! thirty-second part at most: then it is mostly the same as for the request before, and is not said
//! again.

use std::time::Duration;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport, time};

/// A connection with timeouts rounded up.
#[derive(Debug)]
pub(super) struct Patient<T>(pub(super) T);

impl<T: Transport> Transport for Patient<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, rounded(timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(rounded(timeout))
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

fn rounded(timeout: NextTimeout) -> NextTimeout {
    let after = match timeout.after {
        time::Duration::Exact(after) => time::Duration::Exact(rounded_up(after)),
        time::Duration::NotHappening => time::Duration::NotHappening,
    };
    NextTimeout { after, ..timeout }
}

/// To a multiple of a power of two that is between a sixty-fourth and a thirty-second of it.
fn rounded_up(after: Duration) -> Duration {
    let Ok(nanos) = u64::try_from(after.as_nanos()) else {
        return after; // six centuries
    };
    let step = 1 << nanos.checked_ilog2().unwrap_or(0).saturating_sub(5);
    nanos
        .checked_next_multiple_of(step)
        .map_or(after, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_of_one_time_is_mostly_the_same() {
        let minutes = Duration::from_secs(600);
        let table = [0, 1, 1_000_000, 4_000_000_000].map(Duration::from_nanos);
        let told = table.map(|passed| rounded_up(minutes - passed));
        assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
        assert_eq!(rounded_up(Duration::ZERO), Duration::ZERO, "its time is up");
        assert_eq!(rounded_up(Duration::MAX), Duration::MAX);
    }

    proptest! {
        #[test]
        fn no_timeout_gets_shorter_nor_much_longer(nanos: u64) {
            let after = Duration::from_nanos(nanos);
            let told = rounded_up(after);
            prop_assert!(told >= after);
            prop_assert!(told - after <= after / 32, "{after:?}: {told:?}");
        }
    }
}
