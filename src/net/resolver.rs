//! Names become addresses on a thread of their own: what the operating system offers for it blocks.
//!
//! The thread begins with the first name and ends with the loop. It looks at one name after the other; those whose
//! connections have gone meanwhile are passed over. What hangs is not waited for: the connection has its deadline, and the
//! thread ends behind the call that hangs.

use std::{
    collections::{HashSet, VecDeque},
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
};

use super::{ConnId, connect_options::Resolve, handle::Notifier};
use crate::ConnectError;

/// Keeps a question alive: who drops it does not want to know any more.
pub(super) type Ticket = Arc<()>;

/// The loop's side.
pub(super) struct Resolver {
    shared: Arc<Shared>,
    notifier: Arc<Notifier>,
    runs: bool,
}

#[derive(Default)]
struct Shared {
    names: Mutex<Names>,
    asked: Condvar,
}

#[derive(Default)]
struct Names {
    waiting: VecDeque<Question>,
    answers: Vec<Answer>,
    /// The loop has gone.
    ended: bool,
}

/// What is to be looked up, for whom, and by what if not by the operating system.
struct Question {
    id: ConnId,
    ticket: Weak<()>,
    host: Box<str>,
    port: u16,
    resolve: Option<Arc<Resolve>>,
}

pub(super) struct Answer {
    pub(super) id: ConnId,
    pub(super) ticket: Weak<()>,
    pub(super) addresses: io::Result<Vec<SocketAddr>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    pub(super) fn new(notifier: Arc<Notifier>) -> Self {
        Self { shared: Arc::default(), notifier, runs: false }
    }

    /// Has a name looked up, unless `most` wait already. The answer is among [`Resolver::answers`] after the loop was woken.
    pub(super) fn ask(
        &mut self,
        id: ConnId,
        (host, port): (&str, u16),
        resolve: Option<Arc<Resolve>>,
        most: usize,
    ) -> Result<Ticket, ConnectError> {
        let ticket = Ticket::default();
        let mut names = self.shared.lock();
        if names.waiting.len() >= most {
            names.waiting.retain(|question| question.ticket.strong_count() > 0);
            if names.waiting.len() >= most {
                return Err(ConnectError::TooManyNames { limit: most });
            }
        }
        let question = Question { id, ticket: Arc::downgrade(&ticket), host: host.into(), port, resolve };
        names.waiting.push_back(question);
        drop(names);
        if !self.runs {
            let (shared, notifier) = (self.shared.clone(), self.notifier.clone());
            let thread = thread::Builder::new().name("wireroom-resolver".to_owned());
            thread.spawn(move || run(&shared, &notifier)).map_err(|error| ConnectError::Io(error.kind()))?;
            self.runs = true;
        }
        self.shared.asked.notify_one();
        Ok(ticket)
    }

    pub(super) fn answers(&self) -> Vec<Answer> {
        mem::take(&mut self.shared.lock().answers)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.asked.notify_one();
    }
}

fn run(shared: &Shared, notifier: &Notifier) {
    loop {
        let question = {
            let mut names = shared.lock();
            loop {
                if names.ended {
                    return;
                }
                match names.waiting.pop_front() {
                    Some(question) if question.ticket.strong_count() > 0 => break question,
                    Some(_) => {}
                    None => names = shared.asked.wait(names).unwrap_or_else(PoisonError::into_inner),
                }
            }
        };
        let Question { id, ticket, host, port, resolve } = question;
        // Somebody else's code: its panic is one name's, not that of all behind it.
        let addresses = catch_unwind(AssertUnwindSafe(|| match resolve {
            Some(resolve) => resolve(&host, port),
            None => (&*host, port).to_socket_addrs().map(Iterator::collect),
        }))
        .unwrap_or_else(|_| Err(io::Error::other("the resolver panicked")));
        shared.lock().answers.push(Answer { id, ticket, addresses });
        notifier.wake();
    }
}

/// The addresses that need no resolver: an address itself, and `localhost`. RFC 6761, 6.3: "Name resolution APIs and libraries
/// SHOULD recognize localhost names as special and SHOULD always return the IP loopback address for address queries".
pub(super) fn known(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![(address, port).into()]);
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    is_local.then(|| vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()])
}

/// RFC 8305, 4: "the list will be re-ordered such that the addresses alternate between address families", beginning with IPv6.
/// Each once, and `most` of them.
pub(super) fn in_turns(addresses: Vec<SocketAddr>, most: usize) -> VecDeque<SocketAddr> {
    let mut seen = HashSet::new();
    let addresses = addresses.into_iter().filter(|address| seen.insert(*address));
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) = addresses.partition(SocketAddr::is_ipv6);
    let mut ordered = VecDeque::new();
    while ordered.len() < most {
        let Some(address) = first.pop_front().or_else(|| second.pop_front()) else { break };
        ordered.push_back(address);
        mem::swap(&mut first, &mut second);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn rfc8305_section_4_families_take_turns() {
        for (given, expected) in [
            (&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"][..], &["[::1]:1", "1.1.1.1:1", "2.2.2.2:1"][..]),
            (&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"], &["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]),
            (&["1.1.1.1:1", "2.2.2.2:1"], &["1.1.1.1:1", "2.2.2.2:1"]),
            (&["1.1.1.1:1", "1.1.1.1:1", "[::1]:1"], &["[::1]:1", "1.1.1.1:1"]),
            (&[], &[]),
        ] {
            assert_eq!(in_turns(addresses(given), 8), addresses(expected), "{given:?}");
        }
        let many = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(in_turns(many, 3), addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1"]));
    }

    #[test]
    fn rfc6761_section_6_3_localhost_is_known() {
        let both = Some(addresses(&["[::1]:80", "127.0.0.1:80"]));
        for host in ["localhost", "LOCALHOST.", "a.localhost"] {
            assert_eq!(known(host, 80), both, "{host}");
        }
        assert_eq!(known("::1", 80), Some(addresses(&["[::1]:80"])));
        assert_eq!(known("127.0.0.1", 80), Some(addresses(&["127.0.0.1:80"])));
        for host in ["localhost.example", "alocalhost", "example.com", ""] {
            assert_eq!(known(host, 80), None, "{host}");
        }
    }
}
