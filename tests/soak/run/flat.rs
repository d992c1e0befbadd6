//! Memory that does not grow.

use std::collections::BTreeMap;

/// Between the means of two stretches the resident size of the server may grow by so much, for the number of its
/// connections, and what waits for those that stall, is not the same from one moment to the next.
const BOUND: f64 = 24.0;
const MIB: f64 = 1_048_576.0;

#[derive(Debug, Default)]
pub(super) struct Flat {
    /// Where in the run, and how much, in MiB.
    samples: Vec<(f64, f64)>,
}

impl Flat {
    pub(super) fn sample(&mut self, server: Option<&BTreeMap<String, u64>>, part: f64) {
        if let Some(resident) = server.and_then(|counts| counts.get("resident")) {
            self.samples.push((part, *resident as f64 / MIB));
        }
    }

    /// What has grown: from the second fifth of the run to its last, and beyond that once all had come back.
    pub(super) fn verdict(&self, after: &BTreeMap<String, u64>) -> Vec<String> {
        let mean = |from: f64, to: f64| {
            let inside = || self.samples.iter().filter(|(part, _)| (from..to).contains(part)).map(|(_, size)| size);
            inside().sum::<f64>() / inside().count().max(1) as f64
        };
        let highest = self.samples.iter().map(|(_, size)| *size).fold(0.0, f64::max);
        let end = after.get("resident").copied().unwrap_or(0) as f64 / MIB;
        let (early, late) = (mean(0.2, 0.4), mean(0.8, 1.0));
        println!(
            "resident size of the server: {early:.1} MiB in the second fifth of the time, {late:.1} in the last; at most \
             {highest:.1}, at the end {end:.1}; bound of growth {BOUND} MiB"
        );
        let mut faults = Vec::new();
        if late - early > BOUND {
            faults.push(format!("the server has grown by {:.1} MiB", late - early));
        }
        if end - highest > BOUND {
            faults.push(format!("when all had come back it was {:.1} MiB larger than ever before", end - highest));
        }
        faults
    }
}
