//! Limits from flags and files.

use paceline::{LimitTable, Quota, Result, Unit};

use crate::args::{Limit, Limits};

/// The table that the flags describe: the file, or else the built-in table, with the limits from
/// flags in place of its own.
pub(crate) fn table(limits: &Limits) -> Result<LimitTable> {
    let mut table = match &limits.limits {
        Some(file) => LimitTable::from_file(file)?,
        None => LimitTable::default(),
    };
    for (unit, flags) in [(Unit::Requests, &limits.rpm), (Unit::Tokens, &limits.tpm)] {
        // Those for every model first, whatever their order: one for a model is more special.
        let (for_all, for_one): (Vec<&Limit>, _) = flags.iter().partition(|l| l.model.is_none());
        for limit in for_all.into_iter().chain(for_one) {
            let quota = Quota::per_minute(unit, limit.amount)?;
            match &limit.model {
                Some(model) => table.set_quota(model, quota),
                None => table.set_quota_of_all(quota),
            }
        }
    }
    if let Some(burst) = limits.burst_seconds {
        table.set_burst_lasting(burst);
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_limit_for_one_model_goes_before_one_for_all_in_any_order() {
        let limits = Limits {
            tpm: vec!["o3=5".parse().unwrap(), "700".parse().unwrap()],
            rpm: vec!["60".parse().unwrap()],
            limits: None,
            burst_seconds: Some(Duration::from_secs(1)),
        };
        let table = table(&limits).unwrap();
        let show = |model| table.limits_for(model).to_string();
        assert_eq!(show("o3"), "60 requests per minute, 5 tokens per minute");
        assert_eq!(show("any"), "60 requests per minute, 700 tokens per minute");
        assert_eq!(table.limits_for("any").quotas()[0].burst(), 1);
    }
}
