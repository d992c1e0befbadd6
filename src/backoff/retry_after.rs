//! `Retry-After` (RFC 9110, section 10.2.3), and just enough of dates for it.

use std::time::Duration;

/// What a server asks for: `Retry-After = HTTP-date / delay-seconds`.
///
/// ```
/// use std::time::Duration;
/// use wireroom::backoff::RetryAfter;
///
/// assert_eq!(RetryAfter::parse("120"), Some(RetryAfter::Seconds(120)));
/// // A date is held against the `Date` of the same response: no clock has to be right.
/// let until = RetryAfter::parse("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
/// assert_eq!(until.wait(Some("Sun, 06 Nov 1994 08:49:07 GMT")), Some(Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So many seconds.
    Seconds(u64),
    /// Until this time, in seconds since 1970.
    Until(u64),
}

impl RetryAfter {
    /// Reads a field's value. `None`: it is neither a number of seconds nor a date in the form that RFC 9110, 5.6.7 has
    /// senders use (IMF-fixdate; the two obsolete forms are not read).
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim_matches([' ', '\t']);
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // More than fits is a long time all the same.
            return Some(Self::Seconds(value.parse().unwrap_or(u64::MAX)));
        }
        date(value).map(Self::Until)
    }

    /// How long to wait. `date`: the value of the response's `Date` field, without which a date says nothing. A time that has
    /// passed is no wait.
    pub fn wait(self, date: Option<&str>) -> Option<Duration> {
        match self {
            Self::Seconds(seconds) => Some(Duration::from_secs(seconds)),
            Self::Until(until) => {
                let now = self::date(date?)?;
                Some(Duration::from_secs(until.saturating_sub(now)))
            }
        }
    }
}

/// RFC 9110, 5.6.7: `day-name "," SP day SP month SP year SP time-of-day SP GMT`, in seconds since 1970. The day's name is not
/// held against the date.
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = text.trim_matches([' ', '\t']);
    let (name, rest) = text.split_once(", ")?;
    let rest = rest.strip_suffix(" GMT")?;
    let mut parts = rest.split(' ');
    let mut next = || parts.next();
    let (day, month, year, time) = (next()?, next()?, next()?, next()?);
    let mut time = time.split(':');
    let mut next = || number(time.next()?, 2);
    let (hour, minute, second) = (next()?, next()?, next()?);
    let (day, year) = (number(day, 2)?, number(year, 4)?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    // 60: a leap second.
    let is_valid = name.len() == 3 && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !is_valid || year < 1970 || parts.next().is_some() || time.next().is_some() {
        return None;
    }
    // Years that begin in March: a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // 719,468 days from the first of March of the year 0 to 1970.
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_section_10_2_3_seconds_and_dates() {
        for (value, expected) in [
            ("120", Some(RetryAfter::Seconds(120))),
            (" 0 ", Some(RetryAfter::Seconds(0))),
            ("99999999999999999999", Some(RetryAfter::Seconds(u64::MAX))),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(RetryAfter::Until(784_111_777))),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(RetryAfter::Until(0))),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(RetryAfter::Until(1_709_251_199))),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(RetryAfter::Until(1_709_251_200))),
            ("Fri, 31 Dec 9999 23:59:60 GMT", Some(RetryAfter::Until(253_402_300_800))),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 1 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 nov 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(RetryAfter::parse(value), expected, "{value}");
        }
    }

    #[test]
    fn a_date_is_held_against_the_date_of_the_response() {
        let until = RetryAfter::Until(784_111_777);
        assert_eq!(until.wait(Some("Sun, 06 Nov 1994 08:48:37 GMT")), Some(Duration::from_secs(60)));
        assert_eq!(until.wait(Some("Sun, 06 Nov 1994 09:48:37 GMT")), Some(Duration::ZERO));
        assert_eq!(until.wait(Some("today")), None);
        assert_eq!(until.wait(None), None);
        assert_eq!(RetryAfter::Seconds(3).wait(None), Some(Duration::from_secs(3)));
    }
}
