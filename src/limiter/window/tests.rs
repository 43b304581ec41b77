//! The window by itself: one moment at a time.

use super::*;

const SECOND: u64 = 1_000_000_000;

/// Sends as many as there is room for, each of which takes this long, and counts them.
fn serve(window: &mut Window, landing: Landing, from: u64, took: u64) -> u64 {
    window.advance(Tick(from));
    let count = window.limit();
    (0..count).for_each(|_| window.granted(Tick(from)));
    let now = Tick(from + took);
    window.advance(now);
    for left in (0..count).rev() {
        window.binds();
        window.landed(landing, Tick(from), left, now);
    }
    count
}

#[test]
fn it_opens_fast_until_the_first_answer() {
    let mut window = Window::new();
    window.granted(Tick(0));
    assert_eq!((window.limit(), window.opens_at(15)), (16, Tick(1_000)));
    let opens = window.opens_at(31);
    assert_eq!(opens, Tick(100_001_000), "doubled in a tenth of a second");
    window.advance(opens);
    assert_eq!(window.limit(), 32);
    window.advance(Tick(SECOND));
    assert!(window.limit() > 10_000, "a slow model is no reason to wait");
    window.advance(Tick(1_000 * SECOND));
    assert!(window.limit() > 1_000_000);
}

#[test]
fn a_refusal_for_want_of_room_leaves_what_is_in_flight_and_one_more_is_tried_later() {
    let mut window = Window::new();
    window.granted(Tick(0));
    for left in (2..16).rev() {
        window.refused(left, Tick(SECOND));
    }
    assert_eq!(window.limit(), 2);
    let mut turns = 0;
    while window.limit() == 2 && turns < 100 {
        turns += 1;
        serve(&mut window, Landing::Admitted, turns * SECOND, SECOND / 5);
    }
    assert_eq!((window.limit(), turns), (3, 4), "after four turnovers");
    window.refused(2, Tick(100 * SECOND));
    assert_eq!(window.limit(), 2);
}

#[test]
fn time_outs_close_it_and_errors_that_come_soon_do_not() {
    let mut window = Window::new();
    for turn in 0..20 {
        serve(&mut window, Landing::Admitted, turn * SECOND, SECOND / 5);
    }
    let before = window.limit();
    serve(&mut window, Landing::Unknown, 50 * SECOND, SECOND / 5);
    assert_eq!(window.limit(), before, "errors say nothing of room");
    serve(&mut window, Landing::Unknown, 60 * SECOND, 60 * SECOND);
    assert!(window.limit() <= before / 2, "{before}: {}", window.limit());
}
