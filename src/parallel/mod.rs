//! Map helpers for work that waits: a call to an API for each of many inputs, order kept.
//!
//! Inputs are anything that can be iterated: vectors, slices, ranges, lazy iterators. Each is
//! taken when a thread is free for it, one by one, so an iterator is never collected and a slow
//! input holds up no other. The results stand in the order of the inputs.
//!
//! ```no_run
//! use paceline::{RateLimitedClient, parallel};
//!
//! let client = RateLimitedClient::new()?;
//! let texts = ["It was the best of times.", "Call me Ishmael."];
//! let titles = parallel::try_map(texts, |text| client.chat(format!("Give a title to: {text}")));
//! for (text, title) in texts.iter().zip(titles) {
//!     println!("{text}: {}", title?.text());
//! }
//! # Ok::<(), paceline::Error>(())
//! ```
//!
//! The functions here share one set of [`DEFAULT_THREADS`] threads for the whole process;
//! [`Workers`] are threads of one's own. Either is a rayon pool, and never rayon's global one:
//! threads that wait for an API would keep the rest of the program from computing.
//!
//! # Early ends
//!
//! [`options`] give a map a deadline and a [`CancelToken`](crate::CancelToken): then no further
//! item is started, whether a limit binds or not. The closures that are running finish, so give
//! the calls in them the same deadline and token.
//!
//! # Calls within calls
//!
//! A closure may map in its turn, over the same threads or others, and rayon's own operations
//! may call these functions and be called by them; inside a closure they run on the map's
//! threads. A thread whose inner map is not done yet
//! helps out meanwhile, as rayon's do, with other work; never with another input of a map that
//! it is already busy with.
//!
//! Since a waiting thread may run other closures, hold nothing across an inner map that another
//! closure could wait for: no lock and no [`Permit`](crate::Permit). Give a closure a
//! [`RateLimitedClient`](crate::RateLimitedClient) and let that take its permits, never a permit
//! of the caller's. Closures that wait for one another need a thread each.
//!
//! # Panics
//!
//! A panic in a closure, an iterator or a progress report reaches the caller: running closures
//! finish, no other is started, then the call panics with the first payload. No thread is lost by
//! it.
//!
//! # Locking
//!
//! - Closures run with no lock held.
//! - An iterator's `next` runs under a lock of its map, so it should hand work out and not do it.
//! - A progress report runs under another lock of its map, so that counts arrive in order; it
//!   should be quick.
//! - The `each` of [`for_each_result`] runs under a third one.
//! - None of these locks is held while another is taken.

mod error; //    why an item has no result
mod limited; //  a step of rayon's iterators that passes a limiter
mod map; //      one map in progress: what is next, what came of it
mod options; //  a map's options
mod progress; // how far a map has come
mod stop; //     what ends a map early
mod workers; //  the threads

#[cfg(test)]
mod tests;

use rayon::iter::IntoParallelIterator;

pub use error::{MapError, Skipped};
pub use limited::{LimitedParallelIterator, MapLimited};
pub use options::MapOptions;
pub use progress::{MapSummary, Progress};
pub use stop::{AccountErrors, StopRule};
pub use workers::{DEFAULT_THREADS, Workers};

/// Calls `f` with each item, on as many threads as [`DEFAULT_THREADS`], and returns the results
/// in the order of the items.
///
/// Maps that run at the same time share those threads: a later one gets those that the earlier
/// ones leave. A map that must not wait for others has [`Workers`] of its own.
///
/// ```
/// let lengths = paceline::parallel::map(["one", "three", "eleven"], str::len);
/// assert_eq!(lengths, [3, 5, 6]);
/// ```
///
/// # Panics
///
/// When `f` or the iterator does.
pub fn map<T, R: Send>(
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    f: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    Workers::shared().map(items, f)
}

/// Like [`map`], for an `f` that can fail, with any type of error; stops early when the account is
/// refused.
///
/// Every item has one entry in the output: its result, the error of its closure
/// ([`MapError::Failed`]), or the reason why it was not started ([`MapError::Skipped`]). Once an
/// error [is the account's](crate::Error::is_account_error), no further item is started. Other
/// errors stop nothing, unless a [rule](MapOptions::stop_when) says so.
///
/// ```
/// use paceline::parallel::{self, MapError};
///
/// let halves = parallel::try_map(1..=4, |number| match number % 2 {
///     0 => Ok(number / 2),
///     _ => Err(format!("{number} is odd")),
/// });
/// assert!(matches!(halves[..], [Err(MapError::Failed(_)), Ok(1), Err(_), Ok(2)]));
/// ```
///
/// # Panics
///
/// When `f` or the iterator does.
pub fn try_map<T, R: Send, E: Send + 'static>(
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    f: impl Fn(T) -> Result<R, E> + Sync,
) -> Vec<Result<R, MapError<E>>> {
    Workers::shared().try_map(items, f)
}

/// Like [`try_map`], but hands out each result as soon as it is there, and keeps none: any number
/// of items takes constant memory.
///
/// `each` gets the index of the item with its result. Results come in the order in which they are
/// ready, one call at a time, on the thread that ran the item; while `each` runs, other threads
/// that are ready wait for it, so it may write to a file. When the map ends early, the items that
/// no thread has taken stay in the iterator, which may be endless.
///
/// ```
/// use paceline::parallel;
///
/// let mut sum = 0;
/// let summary = parallel::for_each_result(
///     0..1_000_000_u64,
///     |row| if row % 7 == 0 { Err("a multiple of seven") } else { Ok(row) },
///     |_index, result| sum += result.unwrap_or_default(),
/// );
/// assert_eq!((summary.done, summary.failed, summary.skipped), (1_000_000, 142_858, None));
/// ```
///
/// # Panics
///
/// When `f`, `each` or the iterator does.
pub fn for_each_result<T, R, E: 'static>(
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    f: impl Fn(T) -> Result<R, E> + Sync,
    each: impl FnMut(usize, Result<R, MapError<E>>) + Send,
) -> MapSummary {
    Workers::shared().for_each_result(items, f, each)
}

/// Like [`map`], for rayon's parallel iterators.
///
/// The iterator itself is run to its end first, on the same threads, and then `f` gets its items
/// one by one. So what computes belongs into the iterator and what waits into `f`. To run `f` as
/// a step of the iterator would be slow: rayon hands out neighbours together, and where a few
/// slow items stand side by side, one thread gets them all while the others are idle.
///
/// ```
/// use paceline::parallel;
/// use rayon::prelude::*;
///
/// let texts = ["a b", "", "c d e"];
/// let prompts = texts.par_iter().filter(|text| !text.is_empty());
/// let words = parallel::map_par(prompts, |text| text.split(' ').count());
/// assert_eq!(words, [2, 3]);
/// ```
///
/// # Panics
///
/// When `f` or the iterator does.
pub fn map_par<T: Send, R: Send>(
    items: impl IntoParallelIterator<Item = T>,
    f: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    Workers::shared().map_par(items, f)
}

/// Like [`try_map`], for rayon's parallel iterators, as [`map_par`] takes them.
///
/// ```
/// use paceline::parallel;
/// use rayon::prelude::*;
///
/// let doubled = parallel::try_map_par((1..=3).into_par_iter(), |number| paceline::Result::Ok(number * 2));
/// let doubled = doubled.into_iter().collect::<Result<Vec<i32>, _>>()?;
/// assert_eq!(doubled, [2, 4, 6]);
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// # Panics
///
/// When `f` or the iterator does.
pub fn try_map_par<T: Send, R: Send, E: Send + 'static>(
    items: impl IntoParallelIterator<Item = T>,
    f: impl Fn(T) -> Result<R, E> + Sync,
) -> Vec<Result<R, MapError<E>>> {
    Workers::shared().try_map_par(items, f)
}

/// Returns settings for maps on the shared threads: a deadline, a token, a rule when to stop, a
/// progress report. See [`MapOptions`].
///
/// ```
/// use paceline::parallel;
///
/// let squares = parallel::options()
///     .on_progress(|progress| println!("{} done", progress.done))
///     .map(1..=3, |number| number * number);
/// assert_eq!(squares, Ok(vec![1, 4, 9]));
/// ```
pub fn options() -> MapOptions<'static> {
    Workers::shared().options()
}
