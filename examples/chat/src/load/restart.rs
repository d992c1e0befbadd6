//! Kills the chat under load, again and again, and looks for what it acknowledged.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{
    Failure,
    crowd::{Crowd, Heard, Seats, Target},
    cursor::Cursor,
    messages::{FromClient, FromServer},
    random::Random,
    reading,
    server::Server,
    verdict::{Acknowledged, Verdict},
};

/// Without an acknowledgement, or a message at the listening member, for so long the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// After the last acknowledgement the listening member has heard everything when nothing comes for so long.
const SILENCE: Duration = Duration::from_secs(10);
/// Full jitter: a wait is between 0 and the smaller of both, the first doubled with each attempt.
const FIRST_WAIT: u64 = 20;
const LONGEST_WAIT: u64 = 1000;
/// How long the chat stays down, at most, and how long after its moment has come it is killed, in milliseconds.
const LONGEST_DOWN: u64 = 500;
const LONGEST_DELAY: u64 = 20;

pub(crate) struct Plan {
    pub(crate) server: PathBuf,
    pub(crate) database: PathBuf,
    pub(crate) messages: usize,
    pub(crate) writers: usize,
    pub(crate) window: usize,
    pub(crate) kills: usize,
    pub(crate) seed: u64,
}

/// One writer: what is under way stays there, over all connections, until it is acknowledged.
struct Writer {
    name: String,
    quota: usize,
    next: usize,
    under_way: VecDeque<usize>,
    attempts: u32,
}

struct Run {
    plan: Plan,
    name: String,
    room: String,
    writers: Vec<Writer>,
    /// The member behind the writers.
    listener: Cursor,
    listener_attempts: u32,
    acknowledged: HashMap<String, Acknowledged>,
    resent: usize,
    /// Asked by the chat to try again later.
    retried: usize,
    reconnected: usize,
    random: Random,
    last_progress: Instant,
    stop: Arc<AtomicBool>,
}

pub(crate) fn run(plan: Plan) -> Result<bool, Failure> {
    let mut run = Run::new(plan)?;
    let mut server = Server::new(run.plan.server.clone(), run.plan.database.clone());
    let target = Target::new(server.start()?)?;
    let mut crowd = Crowd::new(target.clone())?;
    for writer in &run.writers {
        crowd.add(writer.name.clone(), &run.room, None, &mut run.random);
    }
    crowd.add(format!("{} listener", run.name), &run.room, Some(0), &mut run.random);

    for at in run.moments() {
        run.turn_until(&mut crowd, &mut server, |run| run.acknowledged.len() >= at)?;
        let delay = Duration::from_millis(run.random.below(LONGEST_DELAY));
        let due = Instant::now() + delay;
        run.turn_until(&mut crowd, &mut server, |_| Instant::now() >= due)?;
        run.restart(&mut crowd, &mut server)?;
    }
    let total = run.plan.messages;
    run.turn_until(&mut crowd, &mut server, |run| run.acknowledged.len() == total)?;
    // At once, so that an acknowledgement ahead of its commit would be found out.
    run.restart(&mut crowd, &mut server)?;
    run.turn_until(&mut crowd, &mut server, |run| {
        let complete = run.listener.seen.len() >= total && run.listener.is_up_to_date();
        // Whatever it has not heard by then is the verdict's.
        complete || run.last_progress.elapsed() > SILENCE
    })?;
    crowd.leave()?;

    let history = reading::forwards(&target, &format!("{} reader", run.name), &run.room, &mut run.random)?;
    let backwards = reading::backwards(&target, &format!("{} other reader", run.name), &run.room, &mut run.random)?;
    let verdict = Verdict::new(&run.acknowledged, &history, &run.listener.seen);
    println!("{verdict}");
    println!("reconnected {}, sent again {}, told to try again {}", run.reconnected, run.resent, run.retried);
    if backwards != history {
        println!("read backwards the history is another one, of {} messages", backwards.len());
    }
    // What was refused for a while, by a full queue, may have been overtaken by the writer's next.
    let in_turn = verdict.overtaken == 0 || run.retried > 0;
    Ok(verdict.is_clean() && in_turn && backwards == history)
}

impl Run {
    fn new(plan: Plan) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, stop.clone())?;
        }
        // What must not be the same in two runs on one database does not come from the seed.
        let name = format!("{:08x}", Random::from_system().next() >> 32);
        let Plan { messages, writers, kills, seed, .. } = plan;
        println!("{messages} messages by {writers} writers, {kills} kills and one behind the last, seed {seed}");
        let writers = (0..writers).map(|writer| Writer {
            name: format!("{name} {writer}"),
            quota: messages / writers + usize::from(writer < messages % writers),
            next: 0,
            under_way: VecDeque::new(),
            attempts: 0,
        });
        Ok(Self {
            room: format!("load {name}"),
            writers: writers.collect(),
            listener: Cursor::default(),
            listener_attempts: 0,
            acknowledged: HashMap::new(),
            resent: 0,
            retried: 0,
            reconnected: 0,
            random: Random::new(seed),
            last_progress: Instant::now(),
            stop,
            name,
            plan,
        })
    }

    /// The numbers of acknowledged messages at which the chat is killed: one in each part of the run.
    fn moments(&mut self) -> Vec<usize> {
        let part = self.plan.messages as u64 / (self.plan.kills as u64).max(1);
        (0..self.plan.kills as u64).map(|kill| (kill * part + self.random.below(part)) as usize).collect()
    }

    fn restart(&mut self, crowd: &mut Crowd, server: &mut Server) -> Result<(), Failure> {
        server.kill();
        let due = Instant::now() + Duration::from_millis(self.random.below(LONGEST_DOWN));
        self.turn_until(crowd, server, |_| Instant::now() >= due)?;
        println!("killed with {} acknowledged", self.acknowledged.len());
        server.start()?;
        Ok(())
    }

    fn turn_until(
        &mut self,
        crowd: &mut Crowd,
        server: &mut Server,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), Failure> {
        self.last_progress = Instant::now();
        while !done(self) {
            if self.stop.load(Ordering::Relaxed) {
                return Err("stopped".into());
            }
            if self.last_progress.elapsed() > PATIENCE {
                let (acked, seen) = (self.acknowledged.len(), self.listener.seen.len());
                return Err(format!("nothing goes on: {acked} acknowledged, {seen} at the listening member").into());
            }
            server.watch()?;
            crowd.turn(Duration::from_millis(5), |seats, member, heard| self.hear(seats, member, heard))?;
        }
        Ok(())
    }

    fn hear(&mut self, seats: &mut Seats<'_>, member: usize, heard: Heard<'_>) -> Result<(), Failure> {
        let is_writer = member < self.writers.len();
        match heard {
            Heard::Closed(_) => {
                let attempts = match self.writers.get_mut(member) {
                    Some(writer) => &mut writer.attempts,
                    None => &mut self.listener_attempts,
                };
                let most = LONGEST_WAIT.min(FIRST_WAIT << (*attempts).min(10));
                *attempts += 1;
                self.reconnected += 1;
                seats.connect_later(member, Duration::from_millis(self.random.below(most)));
                Ok(())
            }
            Heard::Joined if is_writer => {
                let writer = &mut self.writers[member];
                writer.attempts = 0;
                self.resent += writer.under_way.len();
                for number in writer.under_way.clone() {
                    self.say(seats, member, number, Duration::ZERO)?;
                }
                self.fill(seats, member)
            }
            Heard::Joined => {
                self.listener_attempts = 0;
                self.listener.joined();
                Ok(())
            }
            Heard::Message(message) => match &*message.kind {
                "ack" => self.acknowledge(seats, member, message),
                "said" | "history" if !is_writer => {
                    self.last_progress = Instant::now();
                    let more = self.listener.handle(message)?;
                    seats.set_after(member, self.listener.have());
                    if more { self.ask(seats, member, Duration::ZERO) } else { Ok(()) }
                }
                "error" => match message.retry.map(Duration::from_millis) {
                    // A refused history names its room, a refused message its id.
                    Some(wait) if message.id.is_empty() && !is_writer => self.ask(seats, member, wait),
                    Some(wait) if is_writer => {
                        self.retried += 1;
                        let number = self.number(member, &message.id)?;
                        self.say(seats, member, number, wait)
                    }
                    _ => seats.refuse_trouble(member, &Heard::Message(message)),
                },
                _ => Ok(()),
            },
        }
    }

    fn acknowledge(&mut self, seats: &mut Seats<'_>, member: usize, message: &FromServer<'_>) -> Result<(), Failure> {
        self.last_progress = Instant::now();
        let number = self.number(member, &message.id)?;
        let writer = &mut self.writers[member];
        writer.under_way.retain(|&other| other != number);
        let acknowledged = Acknowledged { seq: message.seq, from: writer.name.clone(), text: text(number) };
        if let Some(before) = self.acknowledged.insert(message.id.to_string(), acknowledged)
            && before.seq != message.seq
        {
            return Err(format!("{} was acknowledged as {} and as {}", message.id, before.seq, message.seq).into());
        }
        self.fill(seats, member)
    }

    /// Sends until as many are under way as may be.
    fn fill(&mut self, seats: &mut Seats<'_>, member: usize) -> Result<(), Failure> {
        loop {
            let writer = &mut self.writers[member];
            if writer.next == writer.quota || writer.under_way.len() == self.plan.window || !seats.has_joined(member) {
                return Ok(());
            }
            let number = writer.next;
            writer.next += 1;
            writer.under_way.push_back(number);
            self.say(seats, member, number, Duration::ZERO)?;
        }
    }

    fn say(&self, seats: &mut Seats<'_>, member: usize, number: usize, wait: Duration) -> Result<(), Failure> {
        let id = format!("{}-{member}-{number}", self.name);
        let say = FromClient::Say { id: &id, room: &self.room, text: &text(number) };
        if wait.is_zero() { seats.send(member, &say) } else { seats.send_later(member, &say, wait) }
    }

    fn ask(&self, seats: &mut Seats<'_>, member: usize, wait: Duration) -> Result<(), Failure> {
        let history = FromClient::History { room: &self.room, before: None, after: Some(self.listener.have()) };
        if wait.is_zero() { seats.send(member, &history) } else { seats.send_later(member, &history, wait) }
    }

    /// The number in an id of this writer.
    fn number(&self, member: usize, id: &str) -> Result<usize, Failure> {
        let number = id.strip_prefix(&format!("{}-{member}-", self.name)).and_then(|number| number.parse().ok());
        number.ok_or_else(|| format!("the chat answers writer {member} about {id:?}").into())
    }
}

fn text(number: usize) -> String {
    format!("message {number}")
}
