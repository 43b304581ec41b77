//! Rounds, ratios and the table.

use crate::Result;
use crate::child::Task;

/// What a row has to reach.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    /// At least so many times as fast as the other.
    Faster(f64),
    /// Nothing: it is there to be seen.
    None,
}

/// Two that do the same.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) own: Task,
    /// Beside what; left out where there is none.
    pub(crate) other: Option<Task>,
    pub(crate) aim: Aim,
}

/// Prints the table, a row when it is measured. True when every aim is met.
pub(crate) fn print(rows: &[Row], rounds: usize) -> Result<bool> {
    println!(
        "{:<42}{:>12}{:>12}{:>10}{:>8}",
        "", "own, ms", "other, ms", "× faster", "aim"
    );
    let mut all = true;
    for row in rows {
        let Some(other) = &row.other else {
            continue;
        };
        let mut times = Vec::new();
        for _ in 0..rounds {
            let (own, other) = (row.own.run()?, other.run()?);
            if let (Some(sum), Some(expected)) = (own.sum, other.sum)
                && sum != expected
            {
                return Err(format!("{}: {sum} tokens, not {expected}", row.name).into());
            }
            times.push([own, other].map(|took| took.time.as_secs_f64()));
        }
        let ratio = median(times.iter().map(|[own, other]| other / own));
        let [own, other] = [0, 1].map(|at| median(times.iter().map(|both| both[at] * 1e3)));
        let (aim, is_met) = match row.aim {
            Aim::Faster(aim) => (format!("{aim:.1}"), ratio >= aim),
            Aim::None => (String::new(), true),
        };
        let word = if is_met { "" } else { "  missed" };
        println!(
            "{:<42}{own:>12.1}{other:>12.1}{ratio:>10.2}{aim:>8}{word}",
            row.name
        );
        all &= is_met;
    }
    Ok(all)
}

/// The upper one of two.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
