//! Times, and what is said of them.

use std::{fmt, time::Duration};

/// Times that were measured, in microseconds.
#[derive(Default)]
pub(crate) struct Times(Vec<u32>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn sorted(mut self) -> Sorted {
        self.0.sort_unstable();
        Sorted(self.0)
    }
}

/// Prints as `p50 0.42 ms, p90 0.81 ms, p99 2.10 ms, max 7.33 ms`.
pub(crate) struct Sorted(Vec<u32>);

impl Sorted {
    /// The smallest time that so many hundredths of all do not exceed.
    fn percentile(&self, hundredths: usize) -> u32 {
        let rank = (self.0.len() * hundredths).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl fmt::Display for Sorted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (name, hundredths) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
            let separator = if hundredths == 50 { "" } else { ", " };
            write!(f, "{separator}{name} {:.2} ms", f64::from(self.percentile(hundredths)) / 1000.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let mut times = Times::default();
        for millis in (1..=200).rev() {
            times.push(Duration::from_millis(millis));
        }
        let times = times.sorted();
        assert_eq!(times.to_string(), "p50 100.00 ms, p90 180.00 ms, p99 198.00 ms, max 200.00 ms");
        assert_eq!(Times::default().sorted().to_string(), "none");
    }
}
