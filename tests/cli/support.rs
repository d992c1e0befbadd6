//! The program in a process of its own, and servers for it to meet.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use wireroom::{Config, Event, EventLoop, Handle, handshake::accept_key};

/// What has not come by then does not come.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs it to its end with this on its standard input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Ended {
    let mut program = Program::start(arguments);
    program.write(input);
    program.end()
}

/// Runs it; it has to succeed, and to say nothing on standard error. Answers its standard output.
pub(crate) fn succeeds(arguments: &[&str], input: &[u8]) -> String {
    let ended = run(arguments, input);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{ended:?}");
    ended.out
}

/// Runs it; it has to fail with this status and one sentence. Answers the sentence.
pub(crate) fn fails(status: i32, arguments: &[&str]) -> String {
    let ended = run(arguments, b"");
    assert_eq!((ended.status, ended.out.as_str()), (status, ""), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "one sentence: {ended:?}");
    ended.err.strip_prefix("wireroom: ").unwrap_or_else(|| panic!("{ended:?}")).trim_end().to_owned()
}

/// The running program. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Receiver<String>,
    readers: [Option<JoinHandle<()>>; 2],
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// With these variables in its environment.
    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wireroom"))
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, lines) = read_lines(child.stdout.take().unwrap());
        let (err, complaints) = read_lines(child.stderr.take().unwrap());
        Self { stdin: child.stdin.take(), child, lines, complaints, readers: [Some(out), Some(err)] }
    }

    /// A server, and where it listens.
    pub(crate) fn serving(arguments: &[&str]) -> (Self, String) {
        let program = Self::start(arguments);
        // Where standard output is for JSON it says so elsewhere.
        let line = if arguments.contains(&"--json") { program.complaint() } else { program.line() };
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}"));
        let address = address.split([',', '\n']).next().unwrap().to_owned();
        (program, address)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line")
    }

    /// The same, if it comes so soon.
    pub(crate) fn line_within(&self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    /// The next line of its standard error.
    pub(crate) fn complaint(&self) -> String {
        self.complaints.recv_timeout(LIMIT).expect("a line")
    }

    /// The lines up to the first that holds this.
    pub(crate) fn lines_to(&self, wanted: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.lines.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{wanted:?} did not come: {lines:#?}"));
            let found = line.contains(wanted);
            lines.push(line);
            if found {
                return lines;
            }
        }
    }

    pub(crate) fn write(&mut self, input: &[u8]) {
        // It may have ended already, which its status tells.
        let _ = self.stdin.as_mut().unwrap().write_all(input);
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// The end of its input, then its own.
    pub(crate) fn end(mut self) -> Ended {
        self.stdin = None;
        let status = self.wait();
        for reader in &mut self.readers {
            reader.take().unwrap().join().unwrap();
        }
        let (out, err) = (self.lines.try_iter().collect(), self.complaints.try_iter().collect());
        Ended { status: status.code().unwrap_or(-1), out, err }
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads on a thread, so that the program is never held up by a pipe.
fn read_lines(pipe: impl Read + Send + 'static) -> (JoinHandle<()>, Receiver<String>) {
    let (tell, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        let (mut pipe, mut line) = (BufReader::new(pipe), Vec::new());
        while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let _ = tell.send(String::from_utf8_lossy(&line).into_owned());
            line.clear();
        }
    });
    (reader, lines)
}

/// A server of the library's, in this process: it echoes.
pub(crate) struct Echo {
    pub(crate) url: String,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: impl Into<Arc<Config>>) -> Self {
        let (tell, told) = mpsc::channel();
        let config = config.into();
        let thread = thread::spawn(move || {
            let mut event_loop = EventLoop::new().unwrap();
            let address = event_loop.listen(([127, 0, 0, 1], 0).into(), config, |_id, request| {
                request.allow_any_origin().with_subprotocol(request.select_subprotocol(&["chat"]))
            });
            tell.send((address.unwrap(), event_loop.handle())).unwrap();
            while !event_loop.is_shut_down() {
                event_loop
                    .turn(None, |connections, id, event| {
                        if let Event::Message(message) = event {
                            let _ = connections.send(id, message);
                        }
                    })
                    .unwrap();
            }
        });
        let (address, handle) = told.recv_timeout(LIMIT).unwrap();
        Self { url: format!("ws://{address}/"), handle, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.handle.shut_down(Duration::ZERO, Duration::from_millis(200));
        let _ = self.thread.take().unwrap().join();
    }
}

/// A server written by hand: `serve` has each connection, `backlog` of them, one after the other.
pub(crate) fn by_hand(serve: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut serve = serve;
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            serve(stream);
        }
    });
    address
}

/// Reads a head and answers it with this.
pub(crate) fn answering(answer: &'static [u8]) -> SocketAddr {
    by_hand(move |mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(answer);
    })
}

pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// The opening handshake as the server, with these fields more.
pub(crate) fn accept(stream: &mut TcpStream, fields: &str) -> String {
    let head = read_head(stream);
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{fields}\r\n",
        accept_key(key)
    );
    stream.write_all(answer.as_bytes()).unwrap();
    head
}

/// Reads frames of a client, up to its Close or the end. Answers their opcodes and payloads.
pub(crate) fn read_frames(stream: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut exactly = |n: usize| {
        let mut bytes = vec![0; n];
        stream.read_exact(&mut bytes).ok().map(|()| bytes)
    };
    while let Some(head) = exactly(2) {
        assert!(head[1] & 0x80 != 0 && head[1] & 0x7F < 126, "{head:?}");
        let Some(key) = exactly(4) else { break };
        let Some(mut payload) = exactly(usize::from(head[1] & 0x7F)) else { break };
        wireroom::frame::apply_mask(&mut payload, [key[0], key[1], key[2], key[3]], 0);
        frames.push((head[0] & 0xF, payload));
        if head[0] & 0xF == 8 {
            break;
        }
    }
    frames
}

/// The opening handshake, then these bytes, then the end when the peer has closed.
pub(crate) fn sending(bytes: &'static [u8]) -> String {
    let address = by_hand(move |mut stream| {
        accept(&mut stream, "");
        let _ = stream.write_all(bytes);
        let close = read_frames(&mut stream).pop().filter(|(opcode, _)| *opcode == 8 && !bytes.contains(&0x88));
        if let Some((_, payload)) = close {
            let _ = stream.write_all(&[&[0x88, payload.len() as u8], &payload[..]].concat());
        }
    });
    format!("ws://{address}/")
}
