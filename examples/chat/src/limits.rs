//! What a name, a text, an id may be, and how fast somebody may talk.

use std::time::{Duration, Instant};

use crate::messages::{Code, Refusal};

/// Characters of a name, and of a room's name.
pub(crate) const MAX_NAME: usize = 32;
/// Characters of a text.
pub(crate) const MAX_TEXT: usize = 2000;
/// Rooms that one connection may be in.
pub(crate) const MAX_ROOMS_EACH: usize = 100;
/// Rooms with people.
pub(crate) const MAX_ROOMS: usize = 100_000;
/// Refusals by rate in a row that end a connection.
pub(crate) const FLOOD: u32 = 200;
/// All that is not said to others: joins, history, typing and the like.
pub(crate) const CONTROL: Rate = Rate { per_second: 10, burst: 40 };

/// So many at once, and so many a second in the long run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// 0: no limit.
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

/// A token bucket, told by the one moment at which it will be full again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes a token, or says how long it takes until there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        if rate.per_second == 0 {
            return Ok(());
        }
        let token = Duration::from_secs(1) / rate.per_second;
        let full_at = self.full_at.max(now) + token;
        match (full_at - now).checked_sub(token * rate.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    is_name(name).then_some(()).ok_or_else(|| {
        let rule = format!("A name has 1 to {MAX_NAME} characters, without spaces at its ends.");
        Refusal::new(Code::BadName, rule)
    })
}

/// Rooms of the server's own have a control character in their names: no client's room passes for one of them.
pub(crate) fn check_room(room: &str) -> Result<(), Refusal> {
    is_name(room).then_some(()).ok_or_else(|| {
        let rule = format!("The name of a room has 1 to {MAX_NAME} characters, without spaces at its ends.");
        Refusal::new(Code::BadRoom, rule)
    })
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control) && name.trim() == name
}

pub(crate) fn check_text(text: &str) -> Result<(), Refusal> {
    match text.chars().count() {
        0 => Err(Refusal::new(Code::BadText, "A message without text says nothing.")),
        1..=MAX_TEXT => Ok(()),
        count => {
            let rule = format!("A message has at most {MAX_TEXT} characters; this one has {count}.");
            Err(Refusal::new(Code::TooLong, rule))
        }
    }
}

pub(crate) fn check_id(id: &str) -> Result<(), Refusal> {
    is_token(id, 8).then_some(()).ok_or_else(|| {
        Refusal::new(Code::BadId, "The id of a message has 8 to 64 characters of A-Z, a-z, 0-9, _ and -.")
    })
}

pub(crate) fn check_secret(secret: &str) -> Result<(), Refusal> {
    is_token(secret, 16)
        .then_some(())
        .ok_or_else(|| Refusal::new(Code::BadSecret, "A secret has 16 to 64 characters of A-Z, a-z, 0-9, _ and -."))
}

fn is_token(text: &str, at_least: usize) -> bool {
    (at_least..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// In a time that does not tell where they differ.
pub(crate) fn same_secret(one: &str, other: &str) -> bool {
    let differing = one.bytes().zip(other.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b));
    one.len() == other.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_burst_and_fills_by_its_rate() {
        let start = Instant::now();
        let rate = Rate { per_second: 5, burst: 20 };
        let mut bucket = Bucket::new(start);
        for n in 0..20 {
            assert_eq!(bucket.take(rate, start), Ok(()), "{n}");
        }
        assert_eq!(bucket.take(rate, start), Err(Duration::from_millis(200)));
        // A refusal costs nothing: the wait that was told is enough.
        assert_eq!(bucket.take(rate, start + Duration::from_millis(150)), Err(Duration::from_millis(50)));
        assert_eq!(bucket.take(rate, start + Duration::from_millis(200)), Ok(()));
        assert!(bucket.take(rate, start + Duration::from_millis(200)).is_err());
        // However long nothing was said, no more than the burst is saved up.
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..25).filter(|_| bucket.take(rate, later).is_ok()).count(), 20);
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let mut bucket = Bucket::new(Instant::now());
        assert!((0..10_000).all(|_| bucket.take(Rate { per_second: 0, burst: 0 }, Instant::now()).is_ok()));
    }

    #[test]
    fn the_limits_at_their_edges() {
        let code = |checked: Result<(), Refusal>| checked.err().map(|refusal| refusal.code);
        assert_eq!(code(check_name(&"ä".repeat(32))), None);
        for bad in ["", &"ä".repeat(33), " a", "a\u{a0}", "a\nb", "\0people"] {
            assert_eq!(code(check_name(bad)), Some(Code::BadName), "{bad:?}");
            assert_eq!(code(check_room(bad)), Some(Code::BadRoom), "{bad:?}");
        }
        assert_eq!(code(check_text(&"😀".repeat(2000))), None);
        assert_eq!(code(check_text(&"😀".repeat(2001))), Some(Code::TooLong));
        assert_eq!(code(check_text("")), Some(Code::BadText));
        for (id, good) in
            [("1234567", false), ("12345678", true), ("a-Z_0-9_", true), ("1234 678", false), ("é2345678", false)]
        {
            assert_eq!(check_id(id).is_ok(), good, "{id}");
        }
        assert!(check_id(&"a".repeat(64)).is_ok() && check_id(&"a".repeat(65)).is_err());
        assert!(check_secret(&"a".repeat(16)).is_ok() && check_secret(&"a".repeat(15)).is_err());
        assert!(same_secret("abc", "abc") && !same_secret("abc", "abd") && !same_secret("abc", "ab"));
    }
}
