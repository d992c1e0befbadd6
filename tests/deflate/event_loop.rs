//! The extension in an event loop: negotiated from the `Config`, contexts shared, buffers swapped.

use std::time::{Duration, Instant};

use wireroom::{
    Compression, Config, ConnId, Event, EventLoop, Kind, PermessageDeflate, PreparedMessage, handshake::ClientRequest,
};

use crate::support::*;

struct World {
    event_loop: EventLoop,
    clients: Vec<ConnId>,
    servers: Vec<ConnId>,
    /// What the clients heard.
    heard: Vec<(ConnId, Vec<u8>)>,
    closed: Vec<(ConnId, String)>,
    /// What the servers did.
    served: Vec<Vec<u8>>,
}

impl World {
    /// Echo servers, and as many clients as there are configurations.
    fn new(server: Config, clients: &[Config]) -> Self {
        let mut event_loop = EventLoop::new().unwrap();
        let any = |_, request: &wireroom::http::Request<'_>| request.allow_any_origin();
        let address = event_loop.listen(([127, 0, 0, 1], 0).into(), server, any).unwrap();
        let connect = |config: &Config| {
            event_loop.connect(address, ClientRequest::new("ws://localhost/").unwrap(), config.clone()).unwrap()
        };
        let clients: Vec<_> = clients.iter().map(connect).collect();
        let mut world = Self {
            event_loop,
            clients,
            servers: Vec::new(),
            heard: Vec::new(),
            closed: Vec::new(),
            served: Vec::new(),
        };
        let count = world.clients.len();
        world.until(|world| {
            let clients = world.clients.clone();
            let open = clients.iter().filter(|id| world.event_loop.connections().is_open(**id)).count();
            open == count && world.servers.len() == count
        });
        world
    }

    #[track_caller]
    fn until(&mut self, done: impl Fn(&mut Self) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            assert!(begin.elapsed() < Duration::from_secs(20), "it does not come");
            let Self { event_loop, clients, servers, heard, closed, served } = self;
            event_loop
                .turn(Some(Duration::from_millis(20)), |connections, id, event| match event {
                    Event::Open if !clients.contains(&id) => servers.push(id),
                    Event::Message(message) if clients.contains(&id) => heard.push((id, message.as_bytes().to_vec())),
                    Event::Message(message) => {
                        served.push(message.as_bytes().to_vec());
                        let _ = connections.send(id, message).unwrap();
                    }
                    Event::Closed(ended) => closed.push((id, format!("{:?}", ended.cause))),
                    _ => {}
                })
                .unwrap();
        }
    }
}

fn deflate(no_takeover: bool) -> PermessageDeflate {
    PermessageDeflate {
        server_no_context_takeover: no_takeover,
        client_no_context_takeover: no_takeover,
        threshold: 0,
        ..PermessageDeflate::default()
    }
}

fn with(deflate: PermessageDeflate) -> Config {
    config(|config| config.permessage_deflate(Some(deflate)))
}

#[test]
fn echoes_with_and_without_takeover_and_without_the_extension() {
    let clients = [with(deflate(false)), with(deflate(true)), Config::default()];
    let mut world = World::new(with(deflate(false)), &clients);
    let agreed: Vec<_> = world.clients.clone().into_iter().map(|id| world.extensions(id)).collect();
    assert_eq!(agreed, [Some((false, false)), Some((true, true)), None]);
    for round in 0..5 {
        let texts = [prose(10), prose(2000 + round), prose(400_000)];
        for id in world.clients.clone() {
            for text in &texts {
                let _ = world.event_loop.connections().send(id, text).unwrap();
            }
        }
        let expected = 9 * (round + 1);
        world.until(|world| world.heard.len() == expected);
        for id in world.clients.clone() {
            let heard: Vec<_> = world.heard.iter().filter(|(by, _)| *by == id).map(|(_, bytes)| bytes).collect();
            assert!(
                heard.iter().rev().take(3).rev().map(|bytes| bytes.as_slice()).eq(texts.iter().map(|t| t.as_bytes()))
            );
        }
    }
}

impl World {
    fn extensions(&mut self, id: ConnId) -> Option<(bool, bool)> {
        let params = self.event_loop.connections().get(id).unwrap().extensions().deflate()?;
        Some((params.server_no_context_takeover, params.client_no_context_takeover))
    }
}

#[test]
fn a_broadcast_reaches_members_of_every_kind() {
    let small = PermessageDeflate { server_max_window_bits: 9, client_max_window_bits: 9, ..deflate(false) };
    let clients = [with(deflate(false)), with(deflate(true)), Config::default(), with(small), with(deflate(false))];
    let mut world = World::new(with(deflate(false)), &clients);
    for round in 1..4 {
        let prepared = PreparedMessage::new(&prose(5000));
        for id in world.servers.clone() {
            let _ = world.event_loop.connections().send(id, &prose(300)).unwrap();
            let _ = world.event_loop.connections().send_prepared(id, &prepared).unwrap();
            let _ = world.event_loop.connections().send_with(id, &prose(300), Compression::Always).unwrap();
        }
        world.until(|world| world.heard.len() == 15 * round);
        for id in world.clients.clone() {
            let heard: Vec<_> = world.heard.iter().filter(|(by, _)| *by == id).map(|(_, bytes)| bytes.len()).collect();
            assert_eq!(heard[heard.len() - 3..], [300, 5000, 300]);
        }
    }
    assert!(world.heard.iter().all(|(_, bytes)| *bytes == prose(bytes.len()).into_bytes()));
}

/// Half a compressed message stays behind in the loop's buffer, small or large, while others are served.
#[test]
fn messages_that_come_in_pieces_wait_beside_others() {
    use std::io::Write;
    let mut world = World::new(with(deflate(false)), &[with(deflate(false))]);
    let any = |_, request: &wireroom::http::Request<'_>| request.allow_any_origin();
    let limits = with(deflate(false));
    let address = world.event_loop.listen(([127, 0, 0, 1], 0).into(), limits, any).unwrap();
    let mut peers: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    for peer in &mut peers {
        peer.write_all(
            b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Extensions: permessage-deflate\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
        peer.set_nonblocking(false).unwrap();
    }
    world.until(|world| world.servers.len() == 4);
    let lengths = [1000, 60_000, 500_000];
    let frames: Vec<Vec<u8>> = lengths
        .iter()
        .map(|length| frame(Role::Client, 0xc1, &Peer::new(15).compress(prose(*length).as_bytes())))
        .collect();
    for step in 0..10 {
        for (peer, frame) in peers.iter_mut().zip(&frames) {
            let n = frame.len();
            peer.write_all(&frame[n * step / 10..n * (step + 1) / 10]).unwrap();
        }
        let client = world.clients[0];
        let _ = world.event_loop.connections().send(client, &prose(200)).unwrap();
        world.until(|world| world.heard.len() == step + 1);
        std::thread::sleep(Duration::from_millis(5));
        world.until(|_| true);
    }
    let received = |world: &mut World| world.event_loop.connections().stats().messages_received;
    // Ten at the server, their echoes at the client, and the three.
    world.until(|world| received(world) == 23);
    assert!(world.closed.is_empty(), "{:?}", world.closed);
    for length in lengths {
        assert_eq!(world.served.iter().filter(|bytes| ***bytes == *prose(length).as_bytes()).count(), 1, "{length}");
    }
}

#[test]
fn a_loop_holds_one_context_for_all_its_connections() {
    let mut world = World::new(with(deflate(true)), &vec![with(deflate(true)); 10]);
    for id in world.clients.clone() {
        let _ = world.event_loop.connections().send(id, &prose(1000)).unwrap();
    }
    world.until(|world| world.heard.len() == 10);
    let told = format!("{:?}", world.event_loop.connections());
    assert!(told.contains("DeflatePool { compressors: 1, decompressors: 1 }"), "{told}");
}

#[test]
fn the_compressor_of_a_connection_that_only_hears_is_given_up() {
    let short = PermessageDeflate { release_after: Some(Duration::from_millis(100)), ..deflate(false) };
    let server = config(|config| config.permessage_deflate(Some(short)).keepalive_interval(None));
    let mut world = World::new(server, &[with(deflate(false))]);
    let id = world.servers[0];
    let mut heard = 0;
    let mut say = |world: &mut World| {
        heard += 1;
        let before = world.event_loop.connections().stats().bytes_sent;
        let _ = world.event_loop.connections().send(id, &prose(1000)).unwrap();
        world.until(|world| world.heard.len() == heard);
        world.event_loop.connections().stats().bytes_sent - before
    };
    let (first, second) = (say(&mut world), say(&mut world));
    assert!(second < first * 2 / 3, "{second} and {first} bytes");
    let begin = Instant::now();
    world.until(|_| begin.elapsed() > Duration::from_millis(500));
    assert_eq!(say(&mut world), first, "a fresh window");
    assert_eq!(say(&mut world), second);
}

#[test]
fn a_bomb_is_refused() {
    let small = config(|config| config.permessage_deflate(Some(deflate(false))).max_message_size(1 << 20));
    let mut world = World::new(small, &[with(deflate(false))]);
    let client = world.clients[0];
    let bomb = vec![0; (1 << 20) + 1];
    let _ = world.event_loop.connections().send(client, &bomb[..1 << 20]).unwrap();
    world.until(|world| world.heard.len() == 1);
    let _ = world.event_loop.connections().send(client, &bomb).unwrap();
    world.until(|world| world.closed.len() == 2);
    assert!(world.closed.iter().any(|(_, cause)| cause == "Failed(MessageTooBig { limit: 1048576 })"));
}

#[test]
fn what_little_stands_for_is_handed_out_over_several_turns() {
    let mut world = World::new(with(deflate(false)), &[with(deflate(false))]);
    let client = world.clients[0];
    for _ in 0..8 {
        let _ = world.event_loop.connections().send(client, &vec![0; 3 << 19]).unwrap();
    }
    let (mut served, mut most) = (0, 0);
    let begin = Instant::now();
    while served < 8 {
        assert!(begin.elapsed() < Duration::from_secs(20), "{served} of 8 came");
        let mut heard = 0;
        let count = |_: &mut wireroom::Connections, id, event: Event<'_>| {
            heard += u32::from(id != client && matches!(event, Event::Message(_)));
        };
        world.event_loop.turn(Some(Duration::from_millis(20)), count).unwrap();
        (served, most) = (served + heard, most.max(heard));
    }
    assert!(most <= 2, "{most} messages of 1.5 MiB in one turn, while all others wait");
}

#[test]
fn an_answer_that_is_compressed_long_after_the_handshake_brings_its_look_at_the_compressor_forward() {
    // Nothing is planned for these connections but the keepalive, much later than the compressor is to be given up.
    let config = config(|config| {
        config
            .permessage_deflate(Some(PermessageDeflate {
                release_after: Some(Duration::from_millis(200)),
                ..deflate(false)
            }))
            .handshake_timeout(Duration::from_millis(100))
    });
    let mut world = World::new(config.clone(), &[config]);
    let (id, begin) = (world.clients[0], Instant::now());
    world.until(|_| begin.elapsed() > Duration::from_millis(300));
    let _ = world.event_loop.connections().send(id, &prose(1000)).unwrap();
    world.until(|world| world.heard.len() == 1);
    let compressors = |world: &mut World| {
        let told = format!("{:?}", world.event_loop.connections());
        told.contains("DeflatePool { compressors: 2")
    };
    assert!(!compressors(&mut world), "in use");
    let begin = Instant::now();
    world.until(|_| begin.elapsed() > Duration::from_millis(800));
    assert!(compressors(&mut world), "{:?}", world.event_loop.connections());
}

#[test]
fn an_answer_in_compressed_fragments_leaves_no_compressor_and_nothing_to_look_at() {
    let config =
        config(|config| config.permessage_deflate(Some(deflate(true))).handshake_timeout(Duration::from_millis(100)));
    let mut world = World::new(config.clone(), &[config]);
    let (client, server, begin) = (world.clients[0], world.servers[0], Instant::now());
    world.until(|_| begin.elapsed() > Duration::from_millis(300));
    let _ = world.event_loop.connections().send(client, "go").unwrap();
    let mut heard = 0;
    while heard == 0 {
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not come");
        let answer = |connections: &mut wireroom::Connections, id, event: Event<'_>| match event {
            Event::Message(message) if id == client => heard = message.as_bytes().len(),
            Event::Message(_) => {
                for text in [prose(1000), prose(500)] {
                    let mut writer = connections.writer_with(server, Kind::Text, Compression::Always).unwrap();
                    let _ = writer.write(text.as_bytes()).unwrap();
                }
                let writer = connections.writer(server, Kind::Text).unwrap();
                let _ = writer.finish().unwrap();
            }
            _ => {}
        };
        world.event_loop.turn(Some(Duration::from_millis(20)), answer).unwrap();
    }
    assert_eq!(heard, prose(1000).len() + prose(500).len());
}
