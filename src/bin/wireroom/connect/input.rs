//! What is sent: lines of standard input, or those that are typed, read on a thread and handed over in a bounded queue.

use std::{
    io::{self, BufRead, Read},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use wireroom::Handle;

use crate::failure::Failure;

/// Lines that wait at most for a connection that is slower than they come ..
const WAITING: usize = 256;
/// .. and their bytes, but for a line that is longer and waits alone.
const WAITING_BYTES: usize = 1 << 20;
/// The longest line in bytes: what is longer would have to be in memory as a whole.
const LONGEST_LINE: u64 = 16 << 20;

/// One thing that was typed or read.
#[derive(Debug)]
pub(super) enum Input {
    /// A line without its end.
    Line(Vec<u8>),
    /// The end of the input.
    End,
    /// Ctrl-C while typing, which no signal tells then.
    Interrupted,
    /// Reading goes no further.
    Broken(Failure),
}

/// The queue from the thread that reads.
#[derive(Debug)]
pub(super) struct Inputs {
    receiver: Receiver<Input>,
    room: Arc<Room>,
    ended: bool,
}

/// Bytes of the lines in the queue.
#[derive(Debug, Default)]
struct Room {
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Room {
    fn take(&self, bytes: usize) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut usize| *taken > 0 && *taken + bytes > WAITING_BYTES;
        *self.freed.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    fn free(&self, bytes: usize) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.freed.notify_one();
    }
}

impl Inputs {
    /// The next, if it is there.
    pub(super) fn next(&mut self) -> Option<Input> {
        if self.ended {
            return None;
        }
        let input = match self.receiver.try_recv() {
            Ok(input) => input,
            Err(mpsc::TryRecvError::Empty) => return None,
            Err(mpsc::TryRecvError::Disconnected) => Input::End,
        };
        if let Input::Line(line) = &input {
            self.room.free(line.len());
        }
        self.ended = matches!(input, Input::End | Input::Broken(_));
        Some(input)
    }
}

/// The thread's side of the queue.
#[derive(Clone)]
pub(super) struct Tell {
    sender: SyncSender<Input>,
    room: Arc<Room>,
    handle: Handle,
}

impl Tell {
    /// Waits for room. False: nobody listens any more.
    pub(super) fn tell(&self, input: Input) -> bool {
        if let Input::Line(line) = &input {
            self.room.take(line.len());
        }
        let told = self.sender.send(input).is_ok();
        self.handle.wake();
        told
    }
}

pub(super) fn queue(handle: Handle) -> (Tell, Inputs) {
    let (sender, receiver) = mpsc::sync_channel(WAITING);
    let room = Arc::new(Room::default());
    (Tell { sender, room: room.clone(), handle }, Inputs { receiver, room, ended: false })
}

/// Texts that were given as options, and no more.
pub(super) fn given(texts: &[String], handle: Handle) -> Result<Inputs, Failure> {
    let (tell, inputs) = queue(handle);
    let texts: Vec<_> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    spawn(move || {
        let all = texts.into_iter().all(|text| tell.tell(Input::Line(text)));
        if all {
            tell.tell(Input::End);
        }
    })?;
    Ok(inputs)
}

/// Lines of standard input.
pub(super) fn standard(handle: Handle) -> Result<Inputs, Failure> {
    let (tell, inputs) = queue(handle);
    spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = (&mut input).take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
            let next = match read {
                Err(error) => Input::Broken(Failure::here(format_args!("standard input: {error}"))),
                Ok(0) => Input::End,
                Ok(_) if line.len() as u64 > LONGEST_LINE && !line.ends_with(b"\n") => {
                    Input::Broken(Failure::here(format_args!("a line of the input is above {LONGEST_LINE} bytes")))
                }
                Ok(_) => {
                    if line.ends_with(b"\n") {
                        line.pop();
                        line.pop_if(|byte| *byte == b'\r');
                    }
                    Input::Line(line)
                }
            };
            let last = !matches!(next, Input::Line(_));
            if !tell.tell(next) || last {
                return;
            }
        }
    })?;
    Ok(inputs)
}

pub(super) fn spawn(read: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name("input".to_owned()).spawn(read);
    thread.map(|_| ()).map_err(|error| Failure::here(format_args!("no thread for the input: {error}")))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use wireroom::EventLoop;

    use super::*;

    #[test]
    fn few_long_lines_wait_and_none_is_lost() {
        const LENGTH: usize = 300_000;
        let event_loop = EventLoop::new().unwrap();
        let (tell, mut inputs) = queue(event_loop.handle());
        let reading = thread::spawn(move || {
            let line = |length: usize| Input::Line(vec![b'x'; length]);
            // One that is longer than all that may wait comes too.
            assert!((0..100).all(|_| tell.tell(line(LENGTH))) && tell.tell(line(2 * WAITING_BYTES)));
        });
        thread::sleep(Duration::from_millis(300));
        assert_eq!(*inputs.room.taken.lock().unwrap(), 900_000);
        let (mut bytes, until) = (0, Instant::now() + Duration::from_secs(20));
        while bytes < 100 * LENGTH + 2 * WAITING_BYTES {
            assert!(Instant::now() < until, "{bytes} bytes came");
            match inputs.next() {
                Some(Input::Line(line)) => bytes += line.len(),
                Some(other) => panic!("{other:?}"),
                None => thread::yield_now(),
            }
        }
        reading.join().unwrap();
    }
}
