//! Threads that are called back, before, at and after their time.

use super::play::Do::{Cancel, Take, Try};
use super::play::End::{Cancelled, Granted, TooLarge, Waits};
use super::play::{Case, TEN, play_all};

#[test]
fn who_leaves_takes_nothing_and_moves_up_those_behind() {
    play_all(&[
        Case {
            name: "the only one",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Cancelled(100))),
                (100, Cancel(1)),
                (100, Take(2, Granted(200))),
            ],
            ..TEN
        },
        Case {
            name: "too late",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Granted(200))),
                (300, Cancel(1)),
                (300, Take(2, Granted(400))),
            ],
            ..TEN
        },
        Case {
            name: "at the very time of its turn",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Granted(200))),
                (200, Cancel(1)),
                (200, Take(1, Granted(300))),
            ],
            ..TEN
        },
        Case {
            name: "a millisecond before its turn",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Cancelled(199))),
                (0, Take(1, Granted(199))),
                (199, Cancel(1)),
                (200, Take(1, Granted(200))),
            ],
            ..TEN
        },
        Case {
            name: "from the middle",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(1, Granted(100))),
                (0, Take(2, Cancelled(50))),
                (0, Take(1, Granted(200))),
                (50, Cancel(2)),
                (50, Take(1, Granted(300))),
            ],
            ..TEN
        },
        Case {
            name: "from the end, for nobody's good",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(1, Granted(100))),
                (0, Take(1, Granted(200))),
                (0, Take(2, Cancelled(100))),
                (100, Cancel(3)),
                (100, Take(1, Granted(300))),
            ],
            ..TEN
        },
        Case {
            name: "from the head, for what is there at once",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Cancelled(100))),
                (0, Take(1, Granted(100))),
                (100, Cancel(1)),
                (100, Take(2, Granted(300))),
            ],
            ..TEN
        },
        Case {
            name: "several at a time, the last one first",
            burst: 4,
            steps: &[
                (0, Take(4, Granted(0))),
                (0, Take(3, Cancelled(100))),
                (0, Take(1, Granted(100))),
                (0, Take(1, Cancelled(100))),
                (100, Cancel(3)),
                (100, Cancel(1)),
                (100, Take(3, Granted(400))),
            ],
            ..TEN
        },
        Case {
            name: "twice",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Cancelled(100))),
                (100, Cancel(1)),
                (100, Cancel(1)),
                (100, Take(1, Granted(100))),
                (100, Take(1, Granted(200))),
                (150, Cancel(1)),
            ],
            ..TEN
        },
        Case {
            name: "before it comes, from a full bucket and from an empty one",
            steps: &[
                (0, Cancel(1)),
                (0, Take(1, Cancelled(0))),
                (0, Take(2, Granted(0))),
                (0, Cancel(4)),
                (0, Take(1, Cancelled(0))),
                (0, Take(0, Granted(0))),
                (0, Take(1, Granted(100))),
            ],
            ..TEN
        },
        Case {
            name: "what was refused holds nothing",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(11, TooLarge(0))),
                (0, Cancel(1)),
                (0, Take(2, Granted(200))),
            ],
            ..TEN
        },
        Case {
            name: "a giant, which held up what was there for all",
            amount: 10_000,
            period: 50_000, // two in 10 ms
            burst: 100,
            steps: &[
                (0, Take(100, Granted(0))),
                (0, Take(10_000, Cancelled(400))),
                (0, Take(30, Granted(400))),
                (0, Take(30, Granted(400))),
                (0, Take(30, Granted(450))),
                (400, Cancel(1)),
            ],
            ..TEN
        },
        Case {
            name: "all but one that has more patience",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Cancelled(10))),
                (0, Take(2, Cancelled(10))),
                (0, Take(9, Waits)), // oversize: it would have been 200
                (10, Cancel(2)),
                (10, Cancel(1)),
                (10, Try(1, Some(990))),
                (190, Try(1, Some(810))),
            ],
            level: 1,
            ..TEN
        },
    ]);
}
