//! One sync to the store for one limiter: what is said, and what comes back, as the script has it.
//!
//! Times in a sync are the store's, in microseconds.

use std::time::Duration;

use super::super::bucket::Tick;
use super::notes::{Noted, Outgoing};
use super::reservations::{Amounts, Counts};
use super::scale;
use crate::quota::Quota;
use crate::unit::Unit;

/// Waiters that one sync books for at most.
pub(super) const MOST_ASKS: usize = 64;

/// What one process says to the store of one limiter.
#[derive(Debug, Clone)]
pub(in crate::limiter) struct SyncRequest {
    /// The limiter that syncs, by a unique name: two limiters of one process have two names.
    pub(super) name: String,
    /// The store's memory as this process knows it: empty at first.
    pub(super) incarnation: String,
    /// The limits that it knows, by their count.
    pub(super) epoch: u64,
    /// When the last booking is due that it knows of.
    pub(super) time: u64,
    /// Counts the syncs that were answered: one that is repeated has the same.
    pub(super) turn: u64,
    /// The number of the last note that it has read.
    pub(super) noted: u64,
    /// How many wait in all; none, if the process takes its leave.
    pub(super) waiters: Option<usize>,
    pub(super) told: Told,
    /// When it began, by the process's own clock.
    pub(super) at: Tick,
    /// What is booked for later than half a horizon from now.
    pub(super) late: Amounts,
    /// What the limits are, if the store may not know them.
    pub(super) joins: Option<Joins>,
    pub(super) asks: Vec<Ask>,
    /// Whether more wait that are not booked for than are asked for here.
    pub(super) has_more: bool,
}

/// What the store counts once, even if the sync is repeated.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// What comes back: refunds, and reservations without a waiter.
    pub(super) given: Amounts,
    /// What was used without being booked.
    pub(super) taken: Amounts,
    pub(super) orders: Vec<Order>,
}

/// What an estimator takes to be left of a quota when the sync begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::limiter) struct Left {
    pub(in crate::limiter) unit: Unit,
    pub(in crate::limiter) period: Duration,
    pub(in crate::limiter) left: i64,
    /// What had been counted when so much was left.
    pub(in crate::limiter) counted: i64,
    /// Whether more can be left than the store has counted.
    pub(in crate::limiter) may_raise: bool,
    /// Whether a request has been refused since the last report to the store.
    pub(in crate::limiter) is_refused: bool,
    /// What comes in within a period, in thousandths of a unit.
    pub(in crate::limiter) comes_in: i64,
    /// The most that can be left.
    pub(in crate::limiter) most: i64,
}

/// What changes for all processes that share the limiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) enum Order {
    /// Nothing is granted before this time, of the process's own clock.
    Pause(Tick),
    Resume,
    /// Other limits, if those of this epoch still hold; of any, if it is 0.
    Hold(Vec<Quota>, u64),
    /// So much is left.
    SetLevel(Unit, Duration, i64),
    /// No more than so much is left.
    Most(Unit, Duration, i64),
    /// What an estimator takes to be left.
    Left(Left),
    /// Nothing is booked for a horizon: others have still to report what they used.
    Quiesce,
    /// What was observed, for all processes that share the limiter.
    Note(Outgoing),
}

/// What a process holds the limits to be.
#[derive(Debug, Clone)]
pub(super) struct Joins {
    pub(super) limits: String,
    pub(super) stated: String,
    pub(super) start_full: bool,
}

/// A waiter that is to be booked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) amounts: Amounts,
    pub(super) waited: Duration,
}

/// What is the same in all syncs of a process.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The process as people know it.
    pub(super) label: String,
    pub(super) horizon: Duration,
}

impl Identity {
    /// How long after its last sync a process is taken for dead.
    pub(super) fn life(&self) -> Duration {
        self.horizon * 3
    }
}

/// A value of the store's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) enum Word {
    Int(i64),
    Text(String),
}

/// What the store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) enum StoreReply {
    /// It knows nothing of the limiter, or of another one than this process does.
    Forgotten,
    Synced(Box<SyncReply>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) struct SyncReply {
    pub(in crate::limiter) incarnation: String,
    pub(in crate::limiter) now: u64,
    pub(in crate::limiter) epoch: u64,
    /// When the last booking is due; the levels are as of then.
    pub(in crate::limiter) time: u64,
    pub(in crate::limiter) paused_until: u64,
    pub(in crate::limiter) people: u64,
    /// When to sync again for waiters without a booking.
    pub(in crate::limiter) come: Option<u64>,
    /// When the first waiters of the sync are due, in their order.
    pub(in crate::limiter) dues: Vec<u64>,
    /// What is left of each quota.
    pub(in crate::limiter) levels: Vec<i64>,
    /// What was ever booked, this sync's bookings included.
    pub(in crate::limiter) booked: Counts,
    /// What moved the levels besides: what was taken, less what came back.
    pub(in crate::limiter) moved: Counts,
    /// The limits, if they are not those of the epoch that the process knew.
    pub(in crate::limiter) limits: Option<Vec<Quota>>,
    /// The number of the last note, and what others have observed since the process last read any.
    pub(in crate::limiter) noted: u64,
    pub(in crate::limiter) notes: Vec<Noted>,
}

impl SyncRequest {
    /// The arguments of the script.
    pub(super) fn arguments(&self, identity: &Identity) -> Vec<String> {
        let mut args = vec![
            self.name.clone(),
            self.incarnation.clone(),
            self.epoch.to_string(),
            self.time.to_string(),
            micros(identity.horizon),
            micros(identity.life()),
            EXPIRY.as_millis().to_string(),
            self.turn.to_string(),
            self.waiters
                .map_or_else(|| "-1".to_owned(), |waiters| waiters.to_string()),
            identity.label.clone(),
            self.noted.to_string(),
        ];
        for amounts in [self.told.given, self.told.taken, self.late] {
            args.extend(amounts.map(|amount| amount.min(MOST).to_string()));
        }
        args.push(u8::from(self.joins.is_some()).to_string());
        if let Some(joins) = &self.joins {
            args.extend([joins.limits.clone(), joins.stated.clone()]);
            args.push(u8::from(joins.start_full).to_string());
        }
        args.push(self.told.orders.len().to_string());
        for order in &self.told.orders {
            args.extend(order.arguments(self.at));
        }
        args.push(self.asks.len().to_string());
        args.push(u8::from(self.has_more).to_string());
        for ask in &self.asks {
            args.push(micros(ask.waited));
            args.extend(ask.amounts.map(|amount| amount.to_string()));
        }
        args
    }
}

/// How long the store remembers a limiter that no process syncs: longer than the longest period.
pub(super) const EXPIRY: Duration = Duration::from_secs(32 * 24 * 60 * 60);
/// Numbers are exact in the store below twice this.
const MOST: u64 = 1 << 52;

impl Order {
    fn arguments(&self, now: Tick) -> Vec<String> {
        match self {
            Self::Pause(until) => vec!["pause".to_owned(), micros(until.since(now))],
            Self::Resume => vec!["resume".to_owned()],
            Self::Hold(quotas, epoch) => {
                vec!["hold".to_owned(), scale::encode(quotas), epoch.to_string()]
            }
            Self::SetLevel(unit, period, left) => level("level", *unit, *period, *left),
            Self::Most(unit, period, left) => level("most", *unit, *period, *left),
            Self::Left(left) => {
                let mut args = level("left", left.unit, left.period, left.left);
                args.extend([
                    left.counted.to_string(),
                    u8::from(left.may_raise).to_string(),
                    u8::from(left.is_refused).to_string(),
                    left.comes_in.clamp(1, MOST.cast_signed()).to_string(),
                    left.most.clamp(0, MOST.cast_signed()).to_string(),
                ]);
                args
            }
            Self::Quiesce => vec!["quiesce".to_owned()],
            Self::Note(note) => {
                let age = micros(now.since(note.at));
                vec!["note".to_owned(), age, note.text.clone()]
            }
        }
    }
}

fn level(order: &str, unit: Unit, period: Duration, left: i64) -> Vec<String> {
    let most = MOST.cast_signed();
    vec![
        order.to_owned(),
        unit.index().to_string(),
        scale::micros_up(period).to_string(),
        left.clamp(-most, most).to_string(),
    ]
}

fn micros(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    micros.min(MOST / 2).to_string()
}

impl StoreReply {
    /// The store's time as it answered.
    pub(in crate::limiter) fn now(&self) -> u64 {
        match self {
            Self::Forgotten => 0,
            Self::Synced(heard) => heard.now,
        }
    }

    /// Reads an answer. `None` if it is none of the script's.
    pub(super) fn read(words: Vec<Word>) -> Option<Self> {
        let mut words = words.into_iter();
        if int(&mut words)? == 0 {
            return Some(Self::Forgotten);
        }
        let incarnation = text(&mut words)?;
        let [now, epoch, time, paused_until, people, come, booked] =
            std::array::from_fn(|_| int(&mut words));
        let dues = list(&mut words, booked?)?;
        let quotas = int(&mut words)?;
        let levels = list(&mut words, quotas)?;
        let (booked, moved) = (counts(&mut words)?, counts(&mut words)?);
        let limits = match text(&mut words)?.as_str() {
            "" => None,
            limits => Some(scale::decode(limits)?),
        };
        let (noted, count) = (int(&mut words)?, int(&mut words)?);
        let notes = (0..count).map(|_| {
            let at = u64::try_from(int(&mut words)?).unwrap_or(0);
            let text = text(&mut words)?;
            Some(Noted { at, text })
        });
        let notes: Vec<Noted> = notes.collect::<Option<_>>()?;
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        Some(Self::Synced(Box::new(SyncReply {
            incarnation,
            now: unsigned(now?),
            epoch: unsigned(epoch?),
            time: unsigned(time?),
            paused_until: unsigned(paused_until?),
            people: unsigned(people?).max(1),
            come: Some(unsigned(come?)).filter(|come| *come > 0),
            dues: dues.into_iter().map(unsigned).collect(),
            levels,
            booked,
            moved,
            limits,
            noted: unsigned(noted),
            notes,
        })))
    }
}

fn int(words: &mut impl Iterator<Item = Word>) -> Option<i64> {
    match words.next()? {
        Word::Int(number) => Some(number),
        Word::Text(_) => None,
    }
}

fn text(words: &mut impl Iterator<Item = Word>) -> Option<String> {
    match words.next()? {
        Word::Text(text) => Some(text),
        Word::Int(_) => None,
    }
}

fn list(words: &mut impl Iterator<Item = Word>, count: i64) -> Option<Vec<i64>> {
    (0..count).map(|_| int(words)).collect()
}

fn counts(words: &mut impl Iterator<Item = Word>) -> Option<Counts> {
    let mut counts = Counts::default();
    for count in &mut counts {
        *count = int(words)?;
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Cost;

    fn sync() -> SyncRequest {
        SyncRequest {
            name: "me".to_owned(),
            incarnation: "7-a".to_owned(),
            epoch: 3,
            time: 55,
            turn: 9,
            noted: 8,
            waiters: Some(2),
            told: Told {
                given: [1, 2, 3, 4, 0],
                taken: [u64::MAX, 6, 7, 8, 9],
                orders: vec![
                    Order::Pause(Tick(5_005_007)),
                    Order::SetLevel(Unit::Tokens, Duration::from_secs(60), -4),
                    Order::Quiesce,
                    Order::Note(Outgoing {
                        at: Tick(7),
                        text: "seen".to_owned(),
                    }),
                ],
            },
            at: Tick(5_007),
            late: [0; 5],
            joins: None,
            asks: vec![Ask {
                amounts: super::super::reservations::amounts(Cost::sized(10, 5)),
                waited: Duration::from_micros(12),
            }],
            has_more: true,
        }
    }

    #[test]
    fn what_is_said_is_in_the_order_in_which_the_script_reads() {
        let identity = Identity {
            label: "host 1".to_owned(),
            horizon: Duration::from_secs(1),
        };
        let said = sync().arguments(&identity).join(",");
        assert_eq!(
            said,
            "me,7-a,3,55,1000000,3000000,2764800000,9,2,host 1,8,1,2,3,4,0,4503599627370496,6,7,8,9,\
             0,0,0,0,0,0,4,pause,5000,level,1,60000000,-4,quiesce,note,5,seen,1,1,12,1,15,10,5,0"
        );
        let leave = SyncRequest {
            waiters: None,
            ..sync()
        };
        assert_eq!(leave.arguments(&identity)[8], "-1");
    }

    #[test]
    fn an_answer_is_read_and_what_is_none_is_refused() {
        let ints = |numbers: &[i64]| numbers.iter().copied().map(Word::Int).collect::<Vec<_>>();
        let mut words = ints(&[1]);
        words.push(Word::Text("7-a".to_owned()));
        words.extend(ints(&[100, 3, 120, 0, 2, 0, 2, 105, 110, 1, -5]));
        words.extend(ints(&[1, 2, 3, 4, 9, -5, 6, 7, 8, 10]));
        words.push(Word::Text(String::new()));
        words.extend(ints(&[9, 1, 103]));
        words.push(Word::Text("seen".to_owned()));
        let Some(StoreReply::Synced(heard)) = StoreReply::read(words.clone()) else {
            panic!("it is an answer");
        };
        assert_eq!(
            (heard.dues, heard.levels, heard.come),
            (vec![105, 110], vec![-5], None)
        );
        assert_eq!(
            (heard.booked, heard.moved),
            ([1, 2, 3, 4, 9], [-5, 6, 7, 8, 10])
        );
        assert_eq!((heard.people, heard.time, heard.limits), (2, 120, None));
        let (at, text) = (103, "seen".to_owned());
        assert_eq!((heard.noted, heard.notes), (9, vec![Noted { at, text }]));
        assert_eq!(StoreReply::read(ints(&[0])), Some(StoreReply::Forgotten));
        for length in 0..words.len() {
            assert_eq!(
                StoreReply::read(words[..length].to_vec()),
                None,
                "{length} words"
            );
        }
    }
}
