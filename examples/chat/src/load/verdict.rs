//! What was acknowledged, what the history holds and what a member saw, beside each other.

use std::{collections::HashMap, fmt};

use crate::cursor::Seen;

/// A message that was acknowledged, by its id.
pub(crate) struct Acknowledged {
    pub(crate) seq: u64,
    pub(crate) from: String,
    pub(crate) text: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) acknowledged: usize,
    pub(crate) kept: usize,
    /// Acknowledged, and not in the history.
    pub(crate) lost: usize,
    /// In the history more than once.
    pub(crate) doubled: usize,
    /// In the history under another seq than acknowledged, or as somebody else's, or with another text.
    pub(crate) altered: usize,
    /// In the history, and never acknowledged.
    pub(crate) unknown: usize,
    /// Places at which the history is not in the order of seq.
    pub(crate) unordered: usize,
    /// Messages behind a later one of the same writer; the number stands behind the id's last hyphen.
    pub(crate) overtaken: usize,
    /// Messages of the history that the member did not see at that place.
    pub(crate) seen_otherwise: usize,
}

impl Verdict {
    pub(crate) fn new(acknowledged: &HashMap<String, Acknowledged>, history: &[Seen], member: &[Seen]) -> Self {
        let mut verdict = Self { acknowledged: acknowledged.len(), kept: history.len(), ..Self::default() };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for seen in history {
            let count = counts.entry(&seen.id).or_default();
            *count += 1;
            verdict.doubled += usize::from(*count > 1);
            match acknowledged.get(&seen.id) {
                None => verdict.unknown += 1,
                Some(Acknowledged { seq, from, text }) => {
                    verdict.altered += usize::from((seq, from, text) != (&seen.seq, &seen.from, &seen.text));
                }
            }
        }
        verdict.lost = acknowledged.keys().filter(|id| !counts.contains_key(id.as_str())).count();
        verdict.unordered = history.windows(2).filter(|pair| pair[0].seq >= pair[1].seq).count();
        let mut latest: HashMap<&str, usize> = HashMap::new();
        for seen in history {
            let Some(Ok(number)) = seen.id.rsplit_once('-').map(|(_, number)| number.parse::<usize>()) else {
                continue;
            };
            let latest = latest.entry(&seen.from).or_default();
            verdict.overtaken += usize::from(number < *latest);
            *latest = number.max(*latest);
        }
        let longer = history.len().max(member.len());
        verdict.seen_otherwise = (0..longer).filter(|&at| history.get(at) != member.get(at)).count();
        verdict
    }

    /// True without any fault; whether a writer's messages may overtake each other is for the caller to say.
    pub(crate) fn is_clean(&self) -> bool {
        let Self { acknowledged, kept, overtaken, .. } = *self;
        *self == Self { acknowledged, kept, overtaken, ..Self::default() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, kept, lost, doubled, altered, unknown, unordered, overtaken, seen_otherwise } = self;
        write!(
            f,
            "acknowledged {acknowledged}, in the history {kept}, lost {lost}, doubled {doubled}, altered {altered}, \
             unknown {unknown}, out of order {unordered}, overtaken by their writer's next {overtaken}, seen otherwise by the member {seen_otherwise}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(seq: u64, id: &str) -> Seen {
        Seen { seq, id: id.to_owned(), from: "Ann".to_owned(), text: id.to_owned() }
    }

    fn acknowledged(all: &[Seen]) -> HashMap<String, Acknowledged> {
        let values = all.iter().cloned().map(|Seen { seq, id, from, text }| (id, Acknowledged { seq, from, text }));
        values.collect()
    }

    #[test]
    fn each_fault_is_counted_under_its_name() {
        let right = [seen(1, "a"), seen(3, "b"), seen(4, "c")];
        let acks = acknowledged(&right);
        assert!(Verdict::new(&acks, &right, &right).is_clean());

        let verdict = Verdict::new(&acks, &right[..2], &right[..2]);
        assert_eq!((verdict.lost, verdict.is_clean()), (1, false));
        let doubled = [seen(1, "a"), seen(3, "b"), seen(4, "c"), seen(5, "c")];
        let verdict = Verdict::new(&acks, &doubled, &doubled);
        assert_eq!((verdict.doubled, verdict.altered, verdict.lost), (1, 1, 0));
        let swapped = [seen(3, "b"), seen(1, "a"), seen(4, "c")];
        let verdict = Verdict::new(&acks, &swapped, &right);
        assert_eq!((verdict.unordered, verdict.seen_otherwise, verdict.altered), (1, 2, 0));
        let more = [seen(1, "a"), seen(2, "x"), seen(3, "b"), seen(4, "c")];
        assert_eq!(Verdict::new(&acks, &more, &more).unknown, 1);
        assert_eq!(Verdict::new(&acks, &right, &right[..2]).seen_otherwise, 1);
        let overtaken = [seen(1, "a-1"), seen(2, "a-3"), seen(3, "a-2"), seen(4, "a-4")];
        assert_eq!(Verdict::new(&acknowledged(&overtaken), &overtaken, &overtaken).overtaken, 1);
    }
}
