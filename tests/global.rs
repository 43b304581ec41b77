//! The process-wide registry is the program's own, if that comes before everyone else. In a process of
//! its own, because it is set once.

use std::sync::Arc;

use paceline::{LimitTable, Limits, Registry, limiter_for};

#[test]
fn the_first_registry_is_everyone_s_and_a_later_one_comes_back() {
    let limits = Limits::tokens_per_minute(777).unwrap();
    let own = Arc::new(Registry::new(LimitTable::empty(limits)));
    Registry::set_global(Arc::clone(&own)).unwrap();
    assert!(Arc::ptr_eq(Registry::global(), &own));
    let quota = limiter_for("gpt-4.1").snapshot().quotas[0].quota;
    assert_eq!(quota.amount(), 777);

    let late = Arc::new(Registry::new(LimitTable::default()));
    let back = Registry::set_global(Arc::clone(&late)).unwrap_err();
    assert!(Arc::ptr_eq(&back, &late));
    assert!(Arc::ptr_eq(Registry::global(), &own));
}
