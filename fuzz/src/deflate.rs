//! inflate . deflate: whatever one end sends compressed, the other hears, and so does a reader that is not ours, with no
//! more window than was agreed on. The input is a list of operations behind the parameters.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use wireroom::{
    Compression, DeflatePool, Kind, PermessageDeflate, PreparedMessage, SendError,
    handshake::{DeflateParams, Extensions},
};

use crate::{
    common::{Endpoint, Role, Seen, config, start},
    reference::Puff,
};

/// One conversation is not longer than this.
const LONGEST: usize = 1 << 17;

/// What one end does; the first field says which.
#[derive(Arbitrary, Debug)]
enum Operation {
    Send {
        client: bool,
        compression: Choice,
        text: Content,
    },
    SendBytes {
        client: bool,
        text: Content,
    },
    Prepared {
        client: bool,
        message: u8,
    },
    /// A message in fragments, the last of them empty.
    Fragments {
        client: bool,
        compression: Choice,
        texts: Vec<Content>,
    },
    /// An idle compressor is given up.
    Wait {
        seconds: u8,
    },
    Streaming {
        client: bool,
        on: bool,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Choice {
    Auto,
    Always,
    Never,
}

/// Text that compresses well, badly, or as something before it.
#[derive(Arbitrary, Clone, Debug)]
enum Content {
    Repeat { byte: u8, times: u16 },
    Literal(Vec<u8>),
    Noise { seed: u16, length: u16 },
    Again { from: u16, length: u16 },
}

/// Messages of both ends, as the model has them.
struct Model {
    /// Accepted and not heard yet.
    waiting: VecDeque<(Kind, Vec<u8>)>,
    /// Everything that was said, to say it again.
    said: Vec<u8>,
    /// A reader with the window that was agreed on.
    puff: Puff,
    takeover: bool,
    window: usize,
    /// A part of a message that is under way.
    part: Vec<u8>,
}

pub fn run(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let _ = conversation(&mut input);
}

fn conversation(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let params = DeflateParams {
        server_no_context_takeover: input.arbitrary()?,
        client_no_context_takeover: input.arbitrary()?,
        server_max_window_bits: input.int_in_range(8..=15)?,
        client_max_window_bits: input.int_in_range(8..=15)?,
    };
    let deflate = PermessageDeflate {
        level: input.int_in_range(0..=9)?,
        threshold: *input.choose(&[0, 1, 128, 1000])?,
        release_after: *input.choose(&[None, Some(Duration::from_secs(10))])?,
        ..PermessageDeflate::default()
    };
    let config = Arc::new(config(|config| config.permessage_deflate(Some(deflate)).keepalive_interval(None)));
    let extensions = Extensions::none().with_deflate(params);
    let mut client = Endpoint::with(Role::Client, config.clone(), extensions, start());
    let mut server = Endpoint::with(Role::Server, config, extensions, start());
    if input.arbitrary()? {
        let pool = DeflatePool::new();
        client.connection.set_deflate_pool(&pool);
        server.connection.set_deflate_pool(&pool);
    }
    let step = *input.choose(&[usize::MAX, 1, 7, 1000])?;
    let prepared = [("a prepared message ".repeat(40), 0), ("\u{e9}".repeat(3), 1), (String::new(), 0)]
        .map(|(text, _)| (text.clone(), PreparedMessage::with_compression(&text, Compression::Always)));
    let model = |bits: u8, no_takeover: bool| Model {
        waiting: VecDeque::new(),
        said: Vec::new(),
        puff: Puff::default(),
        takeover: !no_takeover,
        window: 1 << bits,
        part: Vec::new(),
    };
    let mut to_server = model(params.client_max_window_bits, params.client_no_context_takeover);
    let mut to_client = model(params.server_max_window_bits, params.server_no_context_takeover);
    let mut sum = 0;
    while !input.is_empty() && sum < LONGEST {
        let operation = Operation::arbitrary(input)?;
        let from_client = match &operation {
            Operation::Send { client, .. }
            | Operation::SendBytes { client, .. }
            | Operation::Prepared { client, .. }
            | Operation::Fragments { client, .. }
            | Operation::Streaming { client, .. } => *client,
            Operation::Wait { seconds } => {
                client.advance(Duration::from_secs((*seconds).into()));
                server.advance(Duration::from_secs((*seconds).into()));
                continue;
            }
        };
        let (from, to, model) = match from_client {
            true => (&mut client, &mut server, &mut to_server),
            false => (&mut server, &mut client, &mut to_client),
        };
        sum += perform(from, model, operation, &prepared).expect("nothing is in the way of it");
        carry(from, to, model, step);
    }
    Ok(())
}

/// Answers how many bytes of message that was.
fn perform(
    from: &mut Endpoint,
    model: &mut Model,
    operation: Operation,
    prepared: &[(String, PreparedMessage)],
) -> Result<usize, SendError> {
    let connection = &mut from.connection;
    let message = match operation {
        Operation::Send { compression, text, .. } => {
            let bytes = text.bytes(&model.said);
            let _ = connection.send_with(&bytes[..], compression.into())?;
            (Kind::Binary, bytes)
        }
        Operation::SendBytes { text, .. } => {
            let text = String::from_utf8_lossy(&text.bytes(&model.said)).into_owned();
            let _ = connection.send_bytes(Kind::Text, Bytes::from(text.clone()))?;
            (Kind::Text, text.into())
        }
        Operation::Prepared { message, .. } => {
            let (text, message) = &prepared[usize::from(message) % prepared.len()];
            let _ = connection.send_prepared(message)?;
            (Kind::Text, text.clone().into())
        }
        Operation::Fragments { compression, texts, .. } => {
            let mut whole = Vec::new();
            let mut writer = connection.writer_with(Kind::Binary, compression.into())?;
            for text in texts {
                let bytes = text.bytes(&model.said);
                if whole.len() + bytes.len() > LONGEST {
                    break;
                }
                let _ = writer.write(&bytes)?;
                whole.extend(bytes);
            }
            let _ = writer.finish()?;
            (Kind::Binary, whole)
        }
        Operation::Streaming { on, .. } => {
            assert!(connection.set_streaming(on), "no message is under way");
            return Ok(0);
        }
        Operation::Wait { .. } => return Ok(0),
    };
    let length = message.1.len();
    model.said.extend(&message.1);
    model.said.drain(..model.said.len().saturating_sub(1 << 16));
    model.waiting.push_back(message);
    Ok(length)
}

/// The bytes go over, and both readers hear what was said.
fn carry(from: &mut Endpoint, to: &mut Endpoint, model: &mut Model, step: usize) {
    let bytes = from.flush();
    let mut frames = crate::common::frames(from.role, &bytes).into_iter().peekable();
    for (_, expected) in &model.waiting {
        let mut payload = Vec::new();
        let first = frames.peek().expect("a message").0;
        loop {
            let (head, bytes) = frames.next().expect("a whole message");
            assert!(head == first || head & 0x7F == 0, "one RSV1, one opcode");
            payload.extend(bytes);
            if head & 0x80 != 0 {
                break;
            }
        }
        if first & 0x40 == 0 {
            assert_eq!(payload, *expected);
            continue;
        }
        if !model.takeover {
            model.puff.reset();
        }
        assert_eq!(model.puff.message(&payload, usize::MAX), (expected.clone(), Ok(())));
        assert!(model.puff.farthest <= model.window, "a distance of {} in {}", model.puff.farthest, model.window);
    }
    assert!(frames.next().is_none());
    for piece in bytes.chunks(step.clamp(1, bytes.len().max(1)).max(bytes.len() / 1000)) {
        to.receive(piece);
    }
    for seen in to.take_seen() {
        let heard = match seen {
            Seen::Text(text) => (Kind::Text, text.into_bytes()),
            Seen::Binary(bytes) => (Kind::Binary, bytes),
            Seen::Part { kind, bytes, last, .. } => {
                model.part.extend(bytes);
                if !last {
                    continue;
                }
                (kind, std::mem::take(&mut model.part))
            }
            Seen::Drain => continue, // of what it said itself
            other => panic!("{other:?}"),
        };
        assert_eq!(Some(heard), model.waiting.pop_front());
    }
    assert!(model.waiting.is_empty(), "not heard: {:?}", model.waiting);
}

/// Mostly small, sometimes larger than any window.
fn size(length: u16) -> usize {
    let length = usize::from(length);
    if length < 0xFC00 { length % 1000 } else { (length & 0x3FF) * 64 }
}

impl Content {
    fn bytes(&self, said: &[u8]) -> Vec<u8> {
        match self {
            Content::Repeat { byte, times } => vec![*byte; size(*times)],
            Content::Literal(bytes) => bytes.clone(),
            Content::Noise { seed, length } => {
                let mut n = u32::from(*seed);
                let next = |_| {
                    n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (n >> 24) as u8
                };
                (0..size(*length)).map(next).collect()
            }
            Content::Again { from, length } => {
                let from = usize::from(*from) % (said.len() + 1);
                said[from..].iter().copied().take(size(*length)).collect()
            }
        }
    }
}

impl From<Choice> for Compression {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Auto => Self::Auto,
            Choice::Always => Self::Always,
            Choice::Never => Self::Never,
        }
    }
}
