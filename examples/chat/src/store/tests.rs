//! The store without a loop: what is stored, what is refused, and what is told.

use std::{
    fs,
    path::PathBuf,
    sync::{
        atomic::AtomicU32,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
};

use super::{writer::Outcome, *};
use crate::messages::Kept;

/// A file that is gone at the end, with its journal.
struct File(PathBuf);

impl File {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wireroom-store-{}-{}.db", std::process::id(), COUNT.fetch_add(1, Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

/// Writes down what is told: to whom, and what.
#[derive(Clone)]
struct Told(Sender<(String, String)>);

impl Outbox for Told {
    fn to_room(&self, room: &str, message: &str) {
        let _ = self.0.send((room.to_owned(), message.to_owned()));
    }

    fn to_one(&self, id: ConnId, message: &str) {
        let _ = self.0.send((id.to_string(), message.to_owned()));
    }
}

/// A writer with its database, to be driven by hand.
struct Bench {
    writer: Writer<Told>,
    database: Shared,
    told: Receiver<(String, String)>,
}

impl Bench {
    fn new(path: &Path, keep: u64) -> Self {
        let (sender, told) = channel();
        let database = Arc::new(Mutex::new(schema::open(path).unwrap()));
        let writer = Writer::new(database.clone(), Told(sender), Arc::default(), keep).unwrap();
        Self { writer, database, told }
    }

    fn commit(&mut self, group: &[Say]) -> Vec<Outcome> {
        self.writer.commit(group).unwrap()
    }

    fn told(&self) -> Vec<(String, String)> {
        self.told.try_iter().collect()
    }

    fn seqs(&self, room: &str, page: Page) -> (Vec<u64>, bool) {
        let (messages, more) = reader::read(&lock(&self.database), room, page).unwrap();
        (messages.iter().map(|message| message.seq).collect(), more)
    }
}

fn memory() -> Bench {
    Bench::new(Path::new(":memory:"), 1000)
}

fn by() -> ConnId {
    "0-7-0".parse().unwrap()
}

fn say(id: &str, room: &str, text: &str) -> Say {
    Say { by: by(), id: id.into(), room: room.into(), from: "Ann".into(), text: text.into() }
}

fn group(ids: std::ops::Range<u32>, room: &str) -> Vec<Say> {
    ids.map(|n| say(&format!("id-{n:06}"), room, &n.to_string())).collect()
}

fn seq(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Stored { seq, .. } | Outcome::Known { seq } => *seq,
        Outcome::Reused => panic!("reused"),
    }
}

#[test]
fn a_group_is_told_in_order_after_its_commit() {
    let mut bench = memory();
    bench.writer.commit_and_tell(&[say("id-1", "red", "one"), say("id-2", "blue", "two")]);
    let told = bench.told();
    let to: Vec<_> = told.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(to, ["red", "0-7-0", "blue", "0-7-0"]);
    assert!(
        told[0].1.starts_with(r#"{"type":"said","room":"red","seq":1,"id":"id-1","from":"Ann","text":"one","time":1"#)
    );
    assert_eq!(told[1].1, r#"{"type":"ack","id":"id-1","seq":1}"#);
    assert_eq!(told[3].1, r#"{"type":"ack","id":"id-2","seq":2}"#);
}

#[test]
fn the_same_message_has_the_same_seq_for_ever() {
    let mut bench = memory();
    let first = bench.commit(&[say("id-1", "red", "one")]);
    // In a later group, and twice in one.
    let again = bench.commit(&[say("id-1", "red", "one"), say("id-2", "red", "two"), say("id-2", "red", "two")]);
    assert_eq!(again[0], Outcome::Known { seq: seq(&first[0]) });
    assert!(matches!(again[1], Outcome::Stored { .. }));
    assert_eq!(again[2], Outcome::Known { seq: seq(&again[1]) });
    assert_eq!(bench.seqs("red", Page::Last).0.len(), 2);
    bench.writer.commit_and_tell(&[say("id-1", "red", "one")]);
    assert_eq!(bench.told(), [("0-7-0".to_owned(), r#"{"type":"ack","id":"id-1","seq":1}"#.to_owned())]);
}

#[test]
fn an_id_is_not_taken_for_another_message() {
    let mut bench = memory();
    bench.commit(&[say("id-1", "red", "one")]);
    let others = bench.commit(&[say("id-1", "blue", "one"), say("id-1", "red", "ONE"), say("id-1", "red", "one")]);
    assert_eq!(others[..2], [Outcome::Reused, Outcome::Reused]);
    assert!(matches!(others[2], Outcome::Known { .. }));
    bench.writer.commit_and_tell(&[say("id-1", "blue", "one")]);
    let told = bench.told();
    assert_eq!((told.len(), told[0].0.as_str()), (1, "0-7-0"));
    assert!(
        told[0].1.contains(r#""code":"id_reused""#) && told[0].1.contains(r#""id":"id-1","room":"blue""#),
        "{told:?}"
    );
}

#[test]
fn pages_at_their_edges() {
    let mut bench = memory();
    let said: Vec<u64> = bench.commit(&group(0..101, "red")).iter().map(seq).collect();
    bench.commit(&group(500..503, "blue"));
    assert_eq!(bench.seqs("red", Page::Last), (said[51..].to_vec(), true));
    assert_eq!(bench.seqs("red", Page::Before(said[51])), (said[1..51].to_vec(), true));
    assert_eq!(bench.seqs("red", Page::Before(said[50])), (said[..50].to_vec(), false));
    assert_eq!(bench.seqs("red", Page::Before(said[0])), (vec![], false));
    assert_eq!(bench.seqs("red", Page::After(0)), (said[..50].to_vec(), true));
    assert_eq!(bench.seqs("red", Page::After(said[50])), (said[51..].to_vec(), false));
    assert_eq!(bench.seqs("red", Page::After(said[100])), (vec![], false));
    assert_eq!(bench.seqs("red", Page::After(u64::MAX)), (vec![], false));
    assert_eq!(bench.seqs("red", Page::Before(u64::MAX)), (said[51..].to_vec(), true));
    assert_eq!(bench.seqs("green", Page::Last), (vec![], false));
}

#[test]
fn a_message_comes_back_as_it_was_said() {
    let mut bench = memory();
    let text = "\u{0} '\"\\ \u{1F600} </script>";
    bench.commit(&[say("id-1", "röd", text)]);
    let (messages, _) = reader::read(&lock(&bench.database), "röd", Page::Last).unwrap();
    let [Kept { id, from, text: kept, time, .. }] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((id.as_str(), from.as_str(), kept.as_str()), ("id-1", "Ann", text));
    assert!(now() - time < 60_000);
}

#[test]
fn rooms_by_their_latest_message() {
    let mut bench = memory();
    assert_eq!(reader::rooms(&lock(&bench.database)).unwrap(), Vec::<String>::new());
    for (n, room) in ["b", "a", "", "c", "b", "ä"].into_iter().enumerate() {
        bench.commit(&[say(&format!("id-{n}"), room, "x")]);
    }
    assert_eq!(reader::rooms(&lock(&bench.database)).unwrap(), ["ä", "b", "c", "", "a"]);
}

#[test]
fn the_oldest_go_when_there_are_too_many() {
    let file = File::new();
    let mut bench = Bench::new(&file.0, 10);
    let mut said = bench.commit(&group(0..10, "red"));
    said.extend(bench.commit(&group(10..15, "red")));
    let seqs: Vec<u64> = said.iter().map(seq).collect();
    assert_eq!(bench.seqs("red", Page::Last), (seqs[5..].to_vec(), false));
    // What was sent twice counts once.
    bench.commit(&group(12..15, "red"));
    assert_eq!(bench.seqs("red", Page::Last).0.len(), 10);
    // A group of more than are kept, and a seq that is never given again.
    let last = seq(bench.commit(&group(100..120, "red")).last().unwrap());
    assert_eq!(bench.seqs("red", Page::Last), ((last - 9..=last).collect(), false));
    drop(bench);
    // With a smaller number from the start: in small steps.
    let mut bench = Bench::new(&file.0, 1);
    bench.writer.prune().unwrap();
    assert_eq!(bench.seqs("red", Page::Last), (vec![last], false));
    lock(&bench.database).execute("DELETE FROM message", []).unwrap();
    bench.writer.prune().unwrap();
    assert_eq!(seq(&bench.commit(&group(200..201, "red"))[0]), last + 1);
}

#[test]
fn a_failed_commit_acknowledges_nothing_and_the_next_one_succeeds() {
    let file = File::new();
    let mut bench = Bench::new(&file.0, 1000);
    bench.commit(&group(0..2, "red"));
    // As if the disk were full.
    let pages: u32 = lock(&bench.database).pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let set = |bench: &Bench, pages: u32| {
        let database = lock(&bench.database);
        database.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, u32>(0)).unwrap();
    };
    set(&bench, pages);
    let large: Vec<Say> = (0..20).map(|n| say(&format!("large-{n:02}"), "red", &"x".repeat(2000))).collect();
    bench.writer.commit_and_tell(&large);
    let told = bench.told();
    assert_eq!(told.len(), 20);
    for ((to, message), n) in told.iter().zip(0..) {
        assert_eq!(to, "0-7-0", "{message}");
        assert!(message.contains(r#""code":"storage""#) && message.contains(r#""retry":2000"#), "{message}");
        assert!(message.contains(&format!(r#""id":"large-{n:02}","room":"red""#)), "{message}");
    }
    assert_eq!(bench.seqs("red", Page::Last), (vec![1, 2], false));
    // There is room again: the same messages are new ones.
    set(&bench, 1_000_000);
    bench.writer.commit_and_tell(&large);
    let told = bench.told();
    assert_eq!(told.iter().filter(|(to, message)| to == "0-7-0" && message.contains(r#""type":"ack""#)).count(), 20);
    assert_eq!(told.iter().filter(|(to, message)| to == "red" && message.contains(r#""type":"said""#)).count(), 20);
    assert_eq!(bench.seqs("red", Page::Last).0.len(), 22);
}

#[test]
fn a_writer_that_is_locked_out_refuses_and_recovers() {
    let file = File::new();
    let bench = Bench::new(&file.0, 1000);
    lock(&bench.database).busy_timeout(Duration::from_millis(10)).unwrap();
    let Bench { mut writer, told, .. } = bench;
    let (says, queue) = sync_channel(10);
    let thread = thread::spawn(move || writer.run(&queue));
    let other = schema::open(&file.0).unwrap();
    let next = || match told.recv_timeout(Duration::from_secs(10)) {
        Ok(told) => told,
        Err(RecvTimeoutError::Timeout) => panic!("nothing is told"),
        Err(RecvTimeoutError::Disconnected) => panic!("the writer has ended"),
    };
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    says.send(say("id-1", "red", "one")).unwrap();
    let (to, refused) = next();
    assert_eq!(to, "0-7-0");
    assert!(refused.contains(r#""code":"storage""#), "{refused}");
    other.execute_batch("ROLLBACK").unwrap();
    says.send(say("id-1", "red", "one")).unwrap();
    assert_eq!(next().0, "red");
    assert_eq!(next().1, r#"{"type":"ack","id":"id-1","seq":1}"#);
    // All that was taken is stored before the end.
    (2..9).for_each(|n| says.send(say(&format!("id-{n}"), "red", "x")).unwrap());
    drop(says);
    thread.join().unwrap();
    assert_eq!(told.iter().filter(|(to, _)| to == "red").count(), 7);
}

#[test]
fn what_waits_is_bounded_and_counted() {
    let file = File::new();
    let (sender, told) = channel();
    let (mut store, rooms) = Store::open(&file.0, 100_000, Told(sender)).unwrap();
    assert_eq!(rooms, Vec::<String>::new());
    // Locked out, the writer waits; then its queue is full.
    let other = schema::open(&file.0).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut taken = 0;
    let refused = loop {
        match store.say(say(&format!("id-{taken:06}"), "red", "x")) {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!((refused.code, refused.retry), (Code::Busy, Some(RETRY)));
    assert!((SAYS..=SAYS + writer::GROUP).contains(&taken), "{taken}");
    assert_eq!(store.counters().waiting(), taken as u64);
    other.execute_batch("ROLLBACK").unwrap();
    store.finish();
    while !store.has_ended() {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((store.counters().waiting(), store.counters().messages()), (0, taken as u64));
    assert!(store.counters().last_commit().1 <= writer::GROUP as u64);
    assert_eq!(told.try_iter().filter(|(to, _)| to == "red").count(), taken);
    assert_eq!(store.say(say("late-000", "red", "x")).unwrap_err().code, Code::Storage);
}

#[test]
fn a_loop_that_is_behind_misses_nothing() {
    use wireroom::{Config, Event, EventLoop, Hub, HubConfig, handshake::ClientRequest};
    let mut event_loop = EventLoop::new().unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let address = event_loop.listen(address, Config::default(), |_id, request| request.allow_any_origin()).unwrap();
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    let client = event_loop.connect(address, request, Config::default()).unwrap();
    let mut hub = Hub::with_config(event_loop, HubConfig { handle_capacity: 2, ..HubConfig::default() });
    while hub.rooms().members("red").is_empty() {
        hub.turn(None, |socket, event| {
            if socket.id() != client && matches!(event, Event::Open) {
                socket.join("red").unwrap();
            }
        })
        .unwrap();
    }
    let handle = hub.handle();
    let store = thread::spawn(move || (0..100).for_each(|n| handle.to_room("red", &n.to_string())));
    thread::sleep(Duration::from_millis(20));
    let (start, mut heard) = (std::time::Instant::now(), Vec::new());
    while heard.len() < 100 && start.elapsed() < Duration::from_secs(10) {
        hub.turn(Some(Duration::from_millis(100)), |socket, event| {
            if let Event::Message(message) = event
                && socket.id() == client
            {
                heard.push(message.as_text().unwrap().to_owned());
            }
        })
        .unwrap();
    }
    assert_eq!(heard, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    store.join().unwrap();
}

#[test]
fn in_memory_both_threads_see_the_same() {
    let (sender, told) = channel();
    let (store, _) = Store::open(Path::new(":memory:"), 1000, Told(sender)).unwrap();
    store.say(say("id-1", "red", "one")).unwrap();
    let next = || told.recv_timeout(Duration::from_secs(10)).unwrap().1;
    assert!(next().contains("said") && next().contains("ack"));
    store.ask(Ask { by: by(), room: "red".into(), page: Page::After(0) }).unwrap();
    let history = next();
    assert!(
        history.starts_with(r#"{"type":"history","room":"red","after":0,"messages":[{"seq":1,"id":"id-1""#),
        "{history}"
    );
    assert!(history.ends_with(r#""more":false}"#), "{history}");
}

#[test]
fn whose_database_it_is() {
    let file = File::new();
    // An empty file is as good as none.
    fs::write(&file.0, "").unwrap();
    drop(schema::open(&file.0).unwrap());
    let set = |pragma, value: i32| {
        Connection::open(&file.0).unwrap().pragma_update(None, pragma, value).unwrap();
        schema::open(&file.0).err()
    };
    assert_eq!(set("user_version", 1), None);
    let shown = file.0.display();
    assert_eq!(
        set("user_version", 7),
        Some(format!("{shown} is from a newer version of this chat: it has schema 7, this one knows up to 1"))
    );
    assert_eq!(set("application_id", 1), Some(format!("{shown} is not a database of this chat")));
}
