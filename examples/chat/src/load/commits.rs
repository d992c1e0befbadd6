//! Closed loop: each writer sends the next message when the last is acknowledged, which is when it is committed.

use std::time::{Duration, Instant};

use crate::{
    Failure,
    crowd::{Crowd, Heard, Target},
    figures::Times,
    messages::FromClient,
    random::Random,
};

pub(crate) fn run(target: &Target, writers: &[usize], time: Duration) -> Result<bool, Failure> {
    for &count in writers {
        measure(target, count, time)?;
    }
    Ok(true)
}

/// One message of each writer is under way at any time.
struct Writer {
    member: usize,
    number: u64,
    sent: Instant,
}

fn measure(target: &Target, count: usize, time: Duration) -> Result<(), Failure> {
    let random = &mut Random::from_system();
    let run = format!("{:08x}", random.next() >> 32);
    let mut crowd = Crowd::new(target.clone())?;
    for member in 0..count {
        // A room of their own: what is measured is the commit, not the fan-out.
        crowd.add(format!("{run} {member}"), &format!("load {run} {member}"), None, random);
    }
    crowd.gather()?;

    let begin = Instant::now();
    let mut writers: Vec<Writer> = (0..count).map(|member| Writer { member, number: 0, sent: begin }).collect();
    for writer in &writers {
        crowd.send(writer.member, &writer.say(&writer.id(&run), &writer.room(&run)))?;
    }
    let mut times = Times::default();
    let mut commits = 0;
    while begin.elapsed() < time {
        crowd.turn(Duration::from_millis(100), |seats, member, heard| {
            let writer = &mut writers[member];
            match heard {
                Heard::Message(message) if message.kind == "ack" => {
                    if message.id != writer.id(&run) {
                        return Err(
                            format!("an acknowledgement of {:?}, not of {:?}", message.id, writer.id(&run)).into()
                        );
                    }
                    times.push(writer.sent.elapsed());
                    commits += 1;
                    writer.number += 1;
                    writer.sent = Instant::now();
                    seats.send(member, &writer.say(&writer.id(&run), &writer.room(&run)))
                }
                heard => seats.refuse_trouble(member, &heard),
            }
        })?;
    }
    let rate = f64::from(commits) / begin.elapsed().as_secs_f64();
    println!(
        "writers {count:>4}: {rate:>8.0} commits a second ({commits} in all), acknowledged after {}",
        times.sorted()
    );
    crowd.leave()
}

impl Writer {
    fn id(&self, run: &str) -> String {
        format!("{run}-{}-{}", self.member, self.number)
    }

    fn room(&self, run: &str) -> String {
        format!("load {run} {}", self.member)
    }

    fn say<'a>(&self, id: &'a str, room: &'a str) -> FromClient<'a> {
        FromClient::Say {
            id,
            room,
            text: "Eighty characters or so, as people write them when they have something to say.",
        }
    }
}
