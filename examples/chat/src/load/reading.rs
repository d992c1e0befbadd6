//! Reads the whole history of a room, page by page, from either end.

use std::time::{Duration, Instant};

use crate::{
    Failure,
    crowd::{Crowd, Heard, Target},
    cursor::{Cursor, Seen},
    messages::FromClient,
    random::Random,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// A member who joins as one who has nothing, and asks for what comes after until there is no more.
pub(crate) fn forwards(target: &Target, name: &str, room: &str, random: &mut Random) -> Result<Vec<Seen>, Failure> {
    let mut cursor = Cursor::default();
    cursor.joined();
    let mut crowd = Crowd::new(target.clone())?;
    crowd.add(name.to_owned(), room, Some(0), random);
    let deadline = Instant::now() + PATIENCE;
    while !cursor.is_up_to_date() {
        if Instant::now() > deadline {
            return Err(format!("the history ends in silence behind {}", cursor.have()).into());
        }
        crowd.turn(Duration::from_millis(100), |seats, member, heard| {
            let wait = match &heard {
                Heard::Message(message) if message.kind == "error" => message.retry.map(Duration::from_millis),
                Heard::Message(message) => cursor.handle(message)?.then_some(Duration::ZERO),
                _ => None,
            };
            let Some(wait) = wait else { return seats.refuse_trouble(member, &heard) };
            seats.send_later(member, &FromClient::History { room, before: None, after: Some(cursor.have()) }, wait)
        })?;
    }
    crowd.leave()?;
    Ok(cursor.seen)
}

/// A member who joins for the last messages, and scrolls back to the first.
pub(crate) fn backwards(target: &Target, name: &str, room: &str, random: &mut Random) -> Result<Vec<Seen>, Failure> {
    let mut pages: Vec<Vec<Seen>> = Vec::new();
    let mut done = false;
    let mut crowd = Crowd::new(target.clone())?;
    crowd.add(name.to_owned(), room, None, random);
    let deadline = Instant::now() + PATIENCE;
    while !done {
        if Instant::now() > deadline {
            return Err(format!("the history ends in silence behind {} pages", pages.len()).into());
        }
        crowd.turn(Duration::from_millis(100), |seats, member, heard| {
            let wait = match &heard {
                Heard::Message(message) if message.kind == "error" => message.retry.map(Duration::from_millis),
                Heard::Message(message) if message.kind == "history" => {
                    pages.push(message.messages.iter().map(Seen::from).collect());
                    done = !message.more;
                    message.more.then_some(Duration::ZERO)
                }
                _ => None,
            };
            let Some(wait) = wait else { return seats.refuse_trouble(member, &heard) };
            let before = pages.iter().rev().find_map(|page| page.first()).map(|seen| seen.seq);
            seats.send_later(member, &FromClient::History { room, before, after: None }, wait)
        })?;
    }
    crowd.leave()?;
    Ok(pages.into_iter().rev().flatten().collect())
}
