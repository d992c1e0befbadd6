//! Waits between attempts: never above what was set, whatever the numbers.

use std::time::Duration;

use proptest::prelude::*;
use wireroom::backoff::{Backoff, RetryAfter};

/// Any time, small ones mostly.
fn times() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0_u64..100_000).prop_map(Duration::from_millis),
        1 => any::<(u64, u32)>().prop_map(|(seconds, nanos)| Duration::new(seconds, nanos % 1_000_000_000)),
        1 => Just(Duration::MAX),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Failed { random: u64, retry_after: Option<Duration> },
    Opened,
    Passes(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let failed = (any::<u64>(), proptest::option::of(times()))
        .prop_map(|(random, retry_after)| Step::Failed { random, retry_after });
    let passes = (0_u64..40_000).prop_map(|millis| Step::Passes(Duration::from_millis(millis)));
    proptest::collection::vec(prop_oneof![3 => failed, 1 => Just(Step::Opened), 2 => passes], 0..80)
}

proptest! {
    #[test]
    fn waits_stay_below_their_limits_and_a_row_ends_only_behind_a_connection_that_lasted(
        (base, cap, most, stable) in (times(), times(), times(), times()),
        attempts in proptest::option::of(0_u32..20),
        total in proptest::option::of(times()),
        steps in steps(),
    ) {
        let mut now = crate::common::start();
        let mut backoff = Backoff::new().base(base).cap(cap).max_retry_after(most).stable_after(stable);
        backoff = backoff.max_attempts(attempts).max_total(total);
        let (mut row, mut since, mut opened) = (0_u32, None, None);
        for step in steps {
            match step {
                Step::Passes(time) => now += time,
                Step::Opened => {
                    backoff.opened(now);
                    opened = Some(now);
                }
                Step::Failed { random, retry_after } => {
                    if opened.take().is_some_and(|opened| now - opened >= stable) {
                        (row, since) = (0, None);
                    }
                    let first = *since.get_or_insert(now);
                    let mut ceiling = base;
                    (0..row).for_each(|_| ceiling = ceiling.saturating_add(ceiling));
                    let ceiling = ceiling.min(cap);
                    row += 1;
                    let after = retry_after.unwrap_or_default().min(most);
                    let wait = backoff.failed(now, random, retry_after);
                    prop_assert_eq!(backoff.failures(), row);
                    match wait {
                        Some(wait) => {
                            prop_assert!(attempts.is_none_or(|most| row < most), "attempt {}", row);
                            prop_assert!(wait >= after && wait <= after.saturating_add(ceiling), "{:?}", wait);
                            if retry_after.is_none() {
                                prop_assert!(wait <= cap);
                            }
                            prop_assert!(total.is_none_or(|total| (now - first).saturating_add(wait) <= total));
                        }
                        None => {
                            let may_be_late = total.is_some_and(|total| {
                                (now - first).saturating_add(after).saturating_add(ceiling) > total
                            });
                            prop_assert!(attempts.is_some_and(|most| row >= most) || may_be_late);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_random_part_is_in_proportion(random: u64, seconds in 1_u64..1_000_000) {
        let base = Duration::from_secs(seconds);
        let wait = Backoff::new().base(base).cap(base).failed(crate::common::start(), random, None).unwrap();
        let expected = base.as_secs_f64() * (random as f64 / 2_f64.powi(64));
        prop_assert!((wait.as_secs_f64() - expected).abs() < 1e-6 * base.as_secs_f64() + 1e-6);
    }

    #[test]
    fn any_text_is_a_time_or_none(text in ".{0,40}", seconds: u64) {
        let _ = RetryAfter::parse(&text).map(|after| after.wait(Some(&text)));
        prop_assert_eq!(RetryAfter::parse(&seconds.to_string()), Some(RetryAfter::Seconds(seconds)));
    }
}
