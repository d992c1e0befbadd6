//! A server to start, and clients that hide nothing: frames are made and read by hand here.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Nothing here takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const SECRET: &str = "0123456789abcdef";

/// A directory that is gone at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wireroom-chat-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program, with a port of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// With its history in memory.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::with_database(Path::new(":memory:"), arguments)
    }

    pub(crate) fn with_database(database: &Path, arguments: &[&str]) -> Self {
        let mut child = program("127.0.0.1:0", database, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").and_then(|url| url.strip_suffix('/'));
        Self { child, address: address.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap() }
    }

    pub(crate) fn connect(&self, path: &str) -> Client {
        Client::open(self.address, path)
    }

    /// Somebody who has said hello.
    pub(crate) fn person(&self, name: &str) -> Client {
        let mut client = self.connect("/ws");
        client.send(json!({"type": "hello", "name": name, "secret": SECRET}));
        client.expect("welcome");
        client
    }

    /// Somebody in a room.
    pub(crate) fn member(&self, name: &str, room: &str) -> Client {
        let mut client = self.person(name);
        client.send(json!({"type": "join", "room": room}));
        client.until("joined");
        client.until("history");
        client
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Its exit status, when it ends by itself.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Without a farewell.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn program(listen: &str, database: &Path, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_wireroom-chat"));
    program.args(["--listen", listen, "--log", "error", "--database"]).arg(database).args(arguments);
    program
}

/// One request, and all that is answered to it: status, head, body.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, headers: &str) -> (u16, String, String) {
    let mut stream = stream(address);
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, head.to_owned(), body.to_owned())
}

pub(crate) fn upgrade(address: SocketAddr, path: &str, origin: &str) -> (u16, String, String) {
    let headers = format!(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{origin}"
    );
    request(address, "GET", path, &headers)
}

/// The value of a header of an answer.
pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

fn stream(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A WebSocket, from the client's side.
pub(crate) struct Client {
    stream: TcpStream,
    inbox: VecDeque<u8>,
    /// The heads of the opening handshake, as they went and came.
    pub(crate) request: String,
    pub(crate) response: String,
}

impl Client {
    pub(crate) fn open(address: SocketAddr, path: &str) -> Self {
        Self::open_with(address, path, "")
    }

    pub(crate) fn open_with(address: SocketAddr, path: &str, headers: &str) -> Self {
        let mut stream = stream(address);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut client = Self { stream, inbox: VecDeque::new(), request, response: String::new() };
        while !client.response.ends_with("\r\n\r\n") {
            let byte = client.take(1)[0];
            client.response.push(byte.into());
        }
        assert!(client.response.starts_with("HTTP/1.1 101 "), "{}", client.response);
        client
    }

    pub(crate) fn send(&mut self, message: Value) {
        self.send_frame(0x81, message.to_string().as_bytes());
    }

    /// A frame with this first byte, masked as a client must.
    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.stream.write_all(&frame(first, payload)).unwrap();
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame: its first byte and its payload.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.take(2);
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.take(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.take(8).try_into().unwrap()),
            length => length.into(),
        };
        (head[0], self.take(length as usize))
    }

    /// The next message.
    pub(crate) fn message(&mut self) -> Value {
        let (first, payload) = self.frame();
        assert_eq!(first, 0x81, "{:?}", String::from_utf8_lossy(&payload));
        serde_json::from_slice(&payload).unwrap()
    }

    /// The next message, which is of this type.
    pub(crate) fn expect(&mut self, of_type: &str) -> Value {
        let message = self.message();
        assert_eq!(message["type"], of_type, "{message}");
        message
    }

    /// The next message of this type, whatever comes before it.
    pub(crate) fn until(&mut self, of_type: &str) -> Value {
        loop {
            let message = self.message();
            if message["type"] == of_type {
                return message;
            }
        }
    }

    /// The next message, which is an error with this code.
    pub(crate) fn refused(&mut self, code: &str) -> Value {
        let message = self.expect("error");
        assert_eq!(message["code"], code, "{message}");
        assert!(message["message"].as_str().is_some_and(|words| words.len() > 5), "{message}");
        message
    }

    /// Code and reason of the Close frame that comes next.
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let (first, payload) = self.frame();
        assert_eq!(first, 0x88, "{:?}", String::from_utf8_lossy(&payload));
        (u16::from_be_bytes([payload[0], payload[1]]), String::from_utf8(payload[2..].to_vec()).unwrap())
    }

    /// The same, whatever comes before it.
    pub(crate) fn until_closed(&mut self) -> (u16, String) {
        loop {
            let (first, payload) = self.frame();
            if first == 0x88 {
                return (
                    u16::from_be_bytes([payload[0], payload[1]]),
                    String::from_utf8(payload[2..].to_vec()).unwrap(),
                );
            }
        }
    }

    /// Nothing has come that was not taken yet: a Ping's answer is the next thing to come.
    pub(crate) fn has_nothing(&mut self) {
        self.send_frame(0x89, b"anything?");
        let (first, payload) = self.frame();
        assert_eq!(first, 0x8A, "{:?}", String::from_utf8_lossy(&payload));
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        while self.inbox.len() < n {
            let mut bytes = [0; 16 * 1024];
            let read = self.stream.read(&mut bytes).unwrap_or_else(|error| panic!("nothing came: {error}"));
            assert_ne!(read, 0, "the stream has ended, after {:?}", self.inbox);
            self.inbox.extend(&bytes[..read]);
        }
        self.inbox.drain(..n).collect()
    }
}

/// A client's frame. The masking key is such that a mistake in it shows.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Says something new, and gives its `seq` when it is acknowledged: own copy first, then the acknowledgement.
pub(crate) fn say(client: &mut Client, room: &str, id: &str, text: &str) -> u64 {
    client.send(json!({"type": "say", "id": id, "room": room, "text": text}));
    let said = client.until("said");
    assert_eq!((&said["id"], &said["text"]), (&json!(id), &json!(text)));
    let ack = client.expect("ack");
    assert_eq!((&ack["id"], &ack["seq"]), (&json!(id), &said["seq"]));
    ack["seq"].as_u64().unwrap()
}

/// The `seq`s of the messages of a page of history.
pub(crate) fn seqs(history: &Value) -> Vec<u64> {
    history["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_u64().unwrap()).collect()
}
