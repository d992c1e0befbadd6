//! An echo server on io_uring by hand: one thread, one ring, a receive and a send under way for each connection.
//!
//! What the kernel works on may not move, and not go, before it says that it is done. So it never sees the core's own
//! buffers: each connection has two of its own, and one copy is made on the way in and one on the way out.

#![allow(clippy::disallowed_methods)] // an example has a clock

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("io_uring_echo: not permitted here: io_uring is Linux's");
    std::process::exit(77);
}

#[cfg(target_os = "linux")]
fn main() {
    if let Err(error) = linux::run() {
        eprintln!("io_uring_echo: {error}");
        std::process::exit(1);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        error::Error,
        io,
        net::{Shutdown, TcpListener, TcpStream},
        os::fd::{AsRawFd, FromRawFd, OwnedFd},
        sync::Arc,
        time::Instant,
    };

    use bytes::Buf;
    use io_uring::{
        IoUring, opcode, squeue,
        types::{Fd, SubmitArgs, Timespec},
    };
    use wireroom::{Config, Transport};
    use wireroom_embedding::{Peer, READ, arguments};

    /// Connections in slots; the kernel gives back `slot * 2`, and 1 more for a send. This is the listener's.
    const ACCEPT: u64 = u64::MAX;
    /// Nobody is there to whom it could be told.
    const CANNOT: [i32; 2] = [1 /* EPERM */, 38 /* ENOSYS */];

    struct Slot {
        stream: TcpStream,
        peer: Peer,
        inbox: Box<[u8]>,
        receiving: bool,
        outbox: Vec<u8>,
        /// So much of the outbox has left, while there is one.
        sent: usize,
        shut: bool,
        failed: bool,
    }

    pub(super) fn run() -> Result<(), Box<dyn Error>> {
        let (listen, config) = arguments()?;
        let ring = match IoUring::new(256) {
            Ok(ring) if ring.params().is_feature_ext_arg() => ring,
            Ok(_) => cannot("this kernel's has no timeouts for its waits, which Linux 5.11 brought"),
            Err(error) if error.raw_os_error().is_some_and(|code| CANNOT.contains(&code)) => cannot(&error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let listener = TcpListener::bind(listen)?;
        println!("listening on {}", listener.local_addr()?);
        Server { ring, listener, config, slots: Vec::new() }.serve()
    }

    /// The exit status by which test scripts know that a test is to be skipped.
    fn cannot(why: &str) -> ! {
        eprintln!("io_uring is not permitted here: {why}");
        std::process::exit(77);
    }

    struct Server {
        ring: IoUring,
        listener: TcpListener,
        config: Arc<Config>,
        slots: Vec<Option<Slot>>,
    }

    impl Server {
        fn serve(&mut self) -> Result<(), Box<dyn Error>> {
            self.accept()?;
            loop {
                self.wait()?;
                while let Some(done) = { self.ring.completion().next() } {
                    match done.user_data() {
                        ACCEPT => self.accepted(done.result())?,
                        id => self.completed((id / 2) as usize, id % 2 == 1, done.result())?,
                    }
                }
                // A list of all is long enough for an example; many connections want their deadlines in a heap.
                let now = Instant::now();
                for slot in 0..self.slots.len() {
                    let due = |slot: &Slot| slot.peer.poll_timeout().is_some_and(|deadline| deadline <= now);
                    if let Some(late) = self.slots[slot].as_mut().filter(|slot| due(slot)) {
                        late.peer.handle_timeout(now);
                        self.go_on(slot)?;
                    }
                }
            }
        }

        /// Submits what is in the queue, and sleeps until something is done or a deadline has come.
        fn wait(&mut self) -> io::Result<()> {
            let deadline = self.slots.iter().flatten().filter_map(|slot| slot.peer.poll_timeout()).min();
            let left = deadline.map(|deadline| Timespec::from(deadline.saturating_duration_since(Instant::now())));
            let waited = match &left {
                Some(left) => self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(left)),
                None => self.ring.submit_and_wait(1),
            };
            match waited {
                // ETIME: nothing but time has come. EBUSY: completions have to be taken first. EINTR: a signal.
                Err(error) if ![Some(62), Some(16), Some(4)].contains(&error.raw_os_error()) => Err(error),
                _ => Ok(()),
            }
        }

        fn accept(&mut self) -> io::Result<()> {
            let entry = opcode::Accept::new(Fd(self.listener.as_raw_fd()), std::ptr::null_mut(), std::ptr::null_mut());
            // SAFETY: no address is asked for, so nothing is written.
            unsafe { self.push(&entry.build().user_data(ACCEPT)) }
        }

        fn accepted(&mut self, result: i32) -> io::Result<()> {
            if result < 0 {
                // Such as no descriptors: that passes, if it is not asked at once again.
                eprintln!("accept: {}", io::Error::from_raw_os_error(-result));
                std::thread::sleep(std::time::Duration::from_millis(100));
                return self.accept();
            }
            // SAFETY: the kernel has just made this descriptor, and told nobody else.
            let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(result) });
            stream.set_nodelay(true).ok(); // a peer that has gone is noticed by its first receive
            let peer = Peer::new(self.config.clone(), Instant::now());
            let inbox = vec![0; READ].into();
            let fresh =
                Slot { stream, peer, inbox, receiving: false, outbox: Vec::new(), sent: 0, shut: false, failed: false };
            let slot = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() - 1
            });
            self.slots[slot] = Some(fresh);
            self.go_on(slot)?;
            self.accept()
        }

        /// A receive or a send is done.
        fn completed(&mut self, number: usize, was_send: bool, result: i32) -> io::Result<()> {
            let Some(slot) = &mut self.slots[number] else { return Ok(()) };
            match (was_send, usize::try_from(result)) {
                (false, Ok(n)) => {
                    slot.receiving = false;
                    slot.peer.space()[..n].copy_from_slice(&slot.inbox[..n]);
                    slot.peer.received(n);
                }
                (true, Ok(n)) => {
                    slot.sent += n;
                    if slot.sent == slot.outbox.len() {
                        (slot.outbox, slot.sent) = (Vec::new(), 0);
                    } else {
                        return self.send(number); // the kernel took a part
                    }
                }
                (_, Err(_)) => {
                    // The stream has failed, or was shut below: what else is under way ends as well.
                    slot.receiving &= was_send;
                    if was_send {
                        (slot.outbox, slot.sent) = (Vec::new(), 0);
                    }
                    slot.failed = true;
                    slot.peer.handle_io_error(io::Error::from_raw_os_error(-result).kind());
                }
            }
            self.go_on(number)
        }

        /// Events, what is to be done with the socket, and the next receive and send.
        fn go_on(&mut self, number: usize) -> io::Result<()> {
            let Some(slot) = &mut self.slots[number] else { return Ok(()) };
            slot.peer.poll(Instant::now());
            let (sending, transport) = (!slot.outbox.is_empty(), slot.peer.transport());
            if transport == Transport::Close || slot.failed {
                // The kernel may still work on our buffers: the slot is free when it has given both back.
                let _ = slot.stream.shutdown(Shutdown::Both);
                if !slot.receiving && !sending {
                    self.slots[number] = None;
                }
                return Ok(());
            }
            if transport == Transport::ShutdownWrite && !sending && !slot.shut {
                slot.shut = true;
                let _ = slot.stream.shutdown(Shutdown::Write); // a peer that has gone is told by the receive
            }
            let (receive, send) = (slot.peer.wants_read() && !slot.receiving, slot.peer.wants_write() && !sending);
            if send {
                // Taken out at once: what is in the queue may still change places, what is under way may not.
                let queue = slot.peer.transmit();
                let n = queue.remaining().min(64 * 1024);
                slot.outbox.resize(n, 0);
                queue.copy_to_slice(&mut slot.outbox);
                self.send(number)?;
            }
            if receive { self.receive(number) } else { Ok(()) }
        }

        fn receive(&mut self, number: usize) -> io::Result<()> {
            let Some(slot) = &mut self.slots[number] else { return Ok(()) };
            slot.receiving = true;
            let fd = Fd(slot.stream.as_raw_fd());
            let entry = opcode::Recv::new(fd, slot.inbox.as_mut_ptr(), slot.inbox.len() as u32);
            // SAFETY: the inbox is allocated once, and its slot is not freed while `receiving`.
            unsafe { self.push(&entry.build().user_data(number as u64 * 2)) }
        }

        fn send(&mut self, number: usize) -> io::Result<()> {
            let Some(slot) = &mut self.slots[number] else { return Ok(()) };
            let rest = &slot.outbox[slot.sent..];
            let entry = opcode::Send::new(Fd(slot.stream.as_raw_fd()), rest.as_ptr(), rest.len() as u32);
            // SAFETY: the outbox is not touched, and its slot is not freed, while it holds anything.
            unsafe { self.push(&entry.build().user_data(number as u64 * 2 + 1)) }
        }

        /// # Safety
        ///
        /// What the entry points at stays where it is until the kernel has given it back.
        unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
            // SAFETY: as the caller says.
            while unsafe { self.ring.submission().push(entry) }.is_err() {
                self.ring.submit()?; // full: 256 entries go to the kernel, and there is room again
            }
            Ok(())
        }
    }

    impl Drop for Server {
        /// On the way out the kernel may still be at work: what it works on is not given back.
        fn drop(&mut self) {
            for slot in self.slots.drain(..).flatten() {
                std::mem::forget((slot.inbox, slot.outbox));
            }
        }
    }
}
