//! The locks that a model checker can take the place of.
//!
//! Built with `--cfg paceline_loom`, the line, the refill scheduler, the manual clock and the cancel
//! token run on loom's primitives under the same names and methods; their model checks stand
//! beside them.

#[cfg(not(paceline_loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(paceline_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
#[cfg(not(paceline_loom))]
pub(crate) use std::thread;

#[cfg(paceline_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
#[cfg(paceline_loom)]
pub(crate) use loom::thread;
#[cfg(all(test, paceline_loom))]
pub(crate) use model::wake_for_nothing;
#[cfg(paceline_loom)]
pub(crate) use model::{Condvar, Mutex, MutexGuard};

/// loom's locks with `parking_lot`'s methods: no poisoning, and a wait that borrows its guard.
#[cfg(paceline_loom)]
#[allow(
    clippy::expect_used,
    reason = "a poisoned lock ends the model run anyway"
)]
mod model {
    use std::cell::Cell;
    use std::ops::{Deref, DerefMut};
    use std::time::Instant;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    /// Empty only while its thread waits.
    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    std::thread_local! {
        /// How many waits of this model are still to end for nothing. All of its threads run on one.
        static FALSE_WAKES: Cell<u32> = const { Cell::new(0) };
    }

    /// Lets the next `times` waits of this model end without a notify, as any wait may.
    #[cfg(test)]
    pub(crate) fn wake_for_nothing(times: u32) {
        FALSE_WAKES.set(times);
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("not poisoned")))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect("held")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("held")
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.0.take().expect("held");
            guard.0 = Some(match FALSE_WAKES.get() {
                0 => self.0.wait(held).expect("not poisoned"),
                times => {
                    FALSE_WAKES.set(times - 1);
                    held
                }
            });
        }

        /// Times out at once when `until` has passed, and else never: time stands still in a model.
        #[allow(clippy::disallowed_methods, reason = "only to tell past from future")]
        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, until: Instant) {
            if until > Instant::now() {
                self.wait(guard);
            }
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }
}
