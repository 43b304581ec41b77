//! What caps the requests in flight, in words and with the flags that help.

use paceline::batch::InFlightCap;

use crate::numbers::grouped;

/// As it stands behind "held back by" and "capped by".
pub(crate) fn cap(cap: InFlightCap, most: usize) -> String {
    let most = grouped(most as u64);
    match cap {
        InFlightCap::Stated => format!("--max-in-flight {most}"),
        InFlightCap::OpenFiles => {
            format!("the limit of open files ({most} in flight; ulimit -n)")
        }
        // How many there are at the end of them may change.
        InFlightCap::Threads => "the limit of threads (ulimit -u)".to_owned(),
        InFlightCap::Memory => "the memory budget (--max-memory allows more)".to_owned(),
        _ => format!("{most} in flight; --max-in-flight allows more"),
    }
}

/// The flag or limit alone.
pub(crate) fn name(cap: InFlightCap) -> &'static str {
    match cap {
        InFlightCap::Stated => "--max-in-flight",
        InFlightCap::OpenFiles => "the limit of open files",
        InFlightCap::Threads => "the limit of threads",
        InFlightCap::Memory => "--max-memory",
        _ => "a default",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cap_has_its_flag() {
        let table = [
            (InFlightCap::Stated, "--max-in-flight 19,936"),
            (InFlightCap::OpenFiles, "(19,936 in flight; ulimit -n)"),
            (InFlightCap::Threads, "ulimit -u"),
            (InFlightCap::Memory, "--max-memory"),
        ];
        for (of, words) in table {
            let said = cap(of, 19_936);
            assert!(said.contains(words), "{said}");
        }
    }
}
