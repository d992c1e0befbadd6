//! Open loop: messages leave at their times, whether or not answers come, and every member has to hear each of them.

use std::time::{Duration, Instant};

use crate::{
    Failure,
    crowd::{Crowd, Heard, Target},
    figures::Times,
    messages::{FromClient, FromServer},
    random::Random,
};

/// How long nothing may arrive before what is missing counts as lost.
const SILENCE: Duration = Duration::from_secs(5);

pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) members: usize,
    pub(crate) rate: u32,
    pub(crate) time: Duration,
}

/// What the members of the room have heard.
struct Room {
    members: usize,
    run: String,
    /// When each message was planned to leave. The times count from there, so a late start is in them.
    begin: Instant,
    interval: Duration,
    /// By member and message: how often it arrived.
    arrivals: Vec<u8>,
    /// By message: how often it was acknowledged.
    acks: Vec<u8>,
    /// By member: the last seq.
    last: Vec<u64>,
    received: usize,
    out_of_order: usize,
    refused: usize,
    foreign: usize,
    at_others: Times,
    acked: Times,
    last_heard: Instant,
}

pub(crate) fn run(plan: &Plan) -> Result<bool, Failure> {
    let total = (plan.time.as_secs_f64() * f64::from(plan.rate)).round() as usize;
    let random = &mut Random::from_system();
    let run = format!("{:08x}", random.next() >> 32);
    let mut crowd = Crowd::new(plan.target.clone())?;
    for member in 0..plan.members {
        crowd.add(format!("{run} {member}"), &format!("load {run}"), None, random);
    }
    crowd.gather()?;
    println!("{} members in one room, {} messages a second in total, for {:?}", plan.members, plan.rate, plan.time);

    let begin = Instant::now() + Duration::from_millis(500);
    let mut room = Room {
        members: plan.members,
        run,
        begin,
        interval: Duration::from_secs(1) / plan.rate,
        arrivals: vec![0; plan.members * total],
        acks: vec![0; total],
        last: vec![0; plan.members],
        received: 0,
        out_of_order: 0,
        refused: 0,
        foreign: 0,
        at_others: Times::default(),
        acked: Times::default(),
        last_heard: begin,
    };
    let mut late = Times::default();
    let mut sent = 0;
    while sent < total || !room.is_complete() && room.last_heard.elapsed() < SILENCE {
        while sent < total && room.planned(sent) <= Instant::now() {
            late.push(room.planned(sent).elapsed());
            let member = sent % plan.members;
            let name = room.id(sent);
            let say = FromClient::Say { id: &name, room: &format!("load {}", room.run), text: &name };
            crowd.send(member, &say)?;
            sent += 1;
            room.last_heard = Instant::now();
        }
        let wait =
            if sent < total { room.planned(sent).saturating_duration_since(Instant::now()) } else { SILENCE / 10 };
        crowd.turn(wait, |seats, member, heard| match heard {
            Heard::Message(message) => {
                room.hear(member, message);
                Ok(())
            }
            heard => seats.refuse_trouble(member, &heard),
        })?;
    }
    crowd.leave()?;
    Ok(room.report(sent, late))
}

impl Room {
    fn planned(&self, number: usize) -> Instant {
        self.begin + self.interval * number as u32
    }

    /// The id of a message, and its text too.
    fn id(&self, number: usize) -> String {
        format!("{}-{number}", self.run)
    }

    fn number(&self, id: &str) -> Option<usize> {
        let (run, number) = id.split_once('-')?;
        number.parse().ok().filter(|&number| run == self.run && number < self.acks.len())
    }

    fn is_complete(&self) -> bool {
        self.received >= self.arrivals.len() && self.acks.iter().all(|&count| count > 0)
    }

    fn hear(&mut self, member: usize, message: &FromServer<'_>) {
        let number = self.number(&message.id);
        match (&*message.kind, number) {
            ("said", Some(number)) if message.text == message.id => {
                self.last_heard = Instant::now();
                self.received += 1;
                let arrivals = &mut self.arrivals[member * self.acks.len() + number];
                *arrivals = arrivals.saturating_add(1);
                if *arrivals == 1 && number % self.members != member {
                    self.at_others.push(self.planned(number).elapsed());
                }
                self.out_of_order += usize::from(message.seq <= self.last[member]);
                self.last[member] = message.seq;
            }
            ("said", _) => self.foreign += 1,
            ("ack", Some(number)) => {
                self.last_heard = Instant::now();
                self.acks[number] = self.acks[number].saturating_add(1);
                if self.acks[number] == 1 {
                    self.acked.push(self.planned(number).elapsed());
                }
            }
            ("error", _) => {
                self.refused += 1;
                if self.refused == 1 {
                    eprintln!("refused: {}, {}", message.code, message.message);
                }
            }
            _ => {}
        }
    }

    /// Prints what happened, and answers whether it is what has to happen.
    fn report(self, sent: usize, late: Times) -> bool {
        let lost = self.arrivals.iter().filter(|&&count| count == 0).count();
        let unacked = self.acks.iter().filter(|&&count| count == 0).count();
        let doubled = self.arrivals.iter().chain(&self.acks).filter(|&&count| count > 1).count();
        println!("from the planned moment to the receipt at each other member: {}", self.at_others.sorted());
        println!("from the planned moment to the acknowledgement:              {}", self.acked.sorted());
        println!("of that, the load generator's own lateness:                  {}", late.sorted());
        println!(
            "sent {sent}, acked {}, received {}, expected {}, lost {lost}, doubled {doubled}, out of order {}, refused {}",
            self.acks.len() - unacked,
            self.received,
            self.arrivals.len(),
            self.out_of_order,
            self.refused
        );
        if self.foreign > 0 {
            println!("and {} that are not of this run, or altered", self.foreign);
        }
        [lost, unacked, doubled, self.out_of_order, self.refused, self.foreign].iter().all(|&count| count == 0)
    }
}
