//! What is process-wide is the program's own, if that comes before everyone else. In a process of its
//! own, because it is set once.

use std::sync::Arc;

#[cfg(feature = "client")]
use paceline::tokens::{Encoding, ModelTable};
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

#[cfg(feature = "client")]
#[test]
fn the_first_table_of_models_is_everyone_s_and_a_later_one_comes_back() {
    let own = ModelTable::from_toml("[models.mine]\nencoding = 'r50k_base'").unwrap();
    let own = Arc::new(own);
    ModelTable::set_global(Arc::clone(&own)).unwrap();
    assert!(Arc::ptr_eq(ModelTable::global(), &own));
    assert_eq!(Encoding::for_model("mine-2"), Encoding::R50kBase);

    let late = Arc::new(ModelTable::default());
    let back = ModelTable::set_global(Arc::clone(&late)).unwrap_err();
    assert!(Arc::ptr_eq(&back, &late));
}
