//! How many connections a listener holds at once: in total, and from each address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use super::shared_listener::Door;
use crate::{Config, handshake::HandshakeError};

/// Connections beyond the limits that a listener answers at once: their refusal lingers, so that it arrives.
const REFUSED: usize = 64;

/// Where a listener's connections are counted: in the loop, or together with those of other loops.
#[derive(Debug)]
pub(super) enum Gate {
    Own(Admission),
    Shared(Arc<Door>),
}

impl Gate {
    pub(super) fn enter(&mut self, peer: Option<SocketAddr>) -> Entry {
        match self {
            Gate::Own(admission) => admission.enter(peer),
            Gate::Shared(door) => door.enter(peer),
        }
    }

    pub(super) fn locate(&mut self, place: Place, peer: Option<SocketAddr>) -> Entry {
        match self {
            Gate::Own(admission) => admission.locate(place, peer),
            Gate::Shared(door) => door.locate(place, peer),
        }
    }

    pub(super) fn leave(&mut self, place: Place) {
        match self {
            Gate::Own(admission) => admission.leave(place),
            Gate::Shared(door) => door.leave(place),
        }
    }
}

/// What one listener holds.
#[derive(Debug)]
pub(super) struct Admission {
    total: usize,
    max_total: usize,
    max_per_address: Option<usize>,
    addresses: Addresses,
    /// Connections that are being refused.
    refused: usize,
}

/// Whether a new connection comes in.
#[derive(Debug)]
pub(super) enum Entry {
    Admitted(Place),
    /// It is answered, and closed.
    Refused(Place, HandshakeError),
    /// It is closed without an answer.
    Dropped(HandshakeError),
}

/// What a connection takes up at its listener. One word, for every slot has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// Not by way of a listener: connected, taken over, adopted.
    pub(super) const NONE: Self = Self(u32::MAX);
    const REFUSED: Self = Self(u32::MAX - 1);
    const TOTAL: Self = Self(u32::MAX - 2);
    // Below: an address.
}

impl Admission {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            total: 0,
            max_total: config.max_connections(),
            max_per_address: config.max_connections_per_address(),
            addresses: Addresses::default(),
            refused: 0,
        }
    }

    /// A connection comes in. `peer`: its address, which it lacks on a Unix-domain socket.
    pub(super) fn enter(&mut self, peer: Option<SocketAddr>) -> Entry {
        if self.total >= self.max_total {
            return self.refuse(HandshakeError::TooManyConnections { limit: self.max_total });
        }
        let place = match (self.max_per_address, peer) {
            (Some(limit), Some(peer)) => match self.addresses.enter(Address::from(peer.ip()), limit) {
                Some(place) => Place(place),
                None => return self.refuse(HandshakeError::TooManyConnectionsFromAddress { limit }),
            },
            _ => Place::TOTAL,
        };
        self.total += 1;
        Entry::Admitted(place)
    }

    /// It has become known where a connection comes from that is in already. It gives up its place and comes in anew: that
    /// of the total is free, so only its address can refuse it.
    pub(super) fn locate(&mut self, place: Place, peer: Option<SocketAddr>) -> Entry {
        if place == Place::NONE {
            return Entry::Admitted(place);
        }
        self.leave(place);
        self.enter(peer)
    }

    fn refuse(&mut self, error: HandshakeError) -> Entry {
        if self.refused >= REFUSED {
            return Entry::Dropped(error);
        }
        self.refused += 1;
        Entry::Refused(Place::REFUSED, error)
    }

    /// A connection has gone, or is no longer this listener's.
    pub(super) fn leave(&mut self, place: Place) {
        match place {
            Place::NONE => {}
            Place::REFUSED => self.refused -= 1,
            Place::TOTAL => self.total -= 1,
            Place(address) => {
                self.total -= 1;
                self.addresses.leave(address);
            }
        }
    }
}

/// One network host, as far as can be told: an IPv4 address, or the /64 of an IPv6 one, which one host may have whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Address {
    V4(Ipv4Addr),
    V6(u64),
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        // A listener on `[::]` sees ::ffff:a.b.c.d: all of IPv4 in one /64.
        match address.to_canonical() {
            IpAddr::V4(address) => Address::V4(address),
            IpAddr::V6(address) => Address::V6((u128::from(address) >> 64) as u64),
        }
    }
}

/// The addresses that have connections, each with their count; gone with the last of them.
#[derive(Debug, Default)]
struct Addresses {
    places: HashMap<Address, u32>,
    counts: Vec<(Address, usize)>,
    free: Vec<u32>,
}

impl Addresses {
    /// One more from this address; `None` if there are `limit` of them.
    fn enter(&mut self, address: Address, limit: usize) -> Option<u32> {
        if let Some(place) = self.places.get(&address) {
            let (_, count) = &mut self.counts[*place as usize];
            *count += 1;
            if *count > limit {
                *count = limit;
                return None;
            }
            return Some(*place);
        }
        let place = match self.free.pop() {
            Some(place) => {
                self.counts[place as usize] = (address, 1);
                place
            }
            None => {
                self.counts.push((address, 1));
                self.counts.len() as u32 - 1
            }
        };
        self.places.insert(address, place);
        Some(place)
    }

    fn leave(&mut self, place: u32) {
        let (address, count) = &mut self.counts[place as usize];
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.places.remove(address);
        self.free.push(place);
        // What a crowd has made large goes with its last one.
        if self.places.is_empty() && self.counts.len() > 64 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(total: usize, per_address: Option<usize>) -> Admission {
        let config = Config::builder().max_connections(total).max_connections_per_address(per_address);
        Admission::new(&config.build().unwrap())
    }

    fn enter(admission: &mut Admission, peer: &str) -> Entry {
        admission.enter(Some(SocketAddr::new(peer.parse().unwrap(), 1)))
    }

    fn admitted(admission: &mut Admission, peer: &str) -> Place {
        let Entry::Admitted(place) = enter(admission, peer) else { panic!("{peer} is not let in") };
        place
    }

    #[test]
    fn an_ipv6_host_is_its_64_and_a_mapped_address_is_ipv4() {
        let mut admission = admission(100, Some(1));
        for peer in ["2001:db8::1", "2001:db8:0:1::1", "10.0.0.1", "::ffff:10.0.0.2", "::1"] {
            admitted(&mut admission, peer);
        }
        for peer in ["2001:db8::ffff:1", "2001:db8:0:1:2:3:4:5", "::ffff:10.0.0.1", "10.0.0.2"] {
            let entry = enter(&mut admission, peer);
            let error = HandshakeError::TooManyConnectionsFromAddress { limit: 1 };
            assert!(matches!(&entry, Entry::Refused(_, refused) if *refused == error), "{peer}: {entry:?}");
        }
    }

    #[test]
    fn places_are_given_back_and_an_address_goes_with_its_last_connection() {
        let mut admission = admission(1_000, Some(2));
        let places: Vec<_> =
            (0..500).map(|n| admitted(&mut admission, &format!("10.0.{}.{}", n / 250, n % 250))).collect();
        let second = admitted(&mut admission, "10.0.0.0");
        assert!(matches!(enter(&mut admission, "10.0.0.0"), Entry::Refused(..)));
        admission.leave(second);
        let again = admitted(&mut admission, "10.0.0.0");
        admission.leave(again);
        assert_eq!((admission.total, admission.addresses.places.len()), (500, 500));
        for place in places {
            admission.leave(place);
        }
        assert_eq!((admission.total, admission.refused), (0, 1));
        assert_eq!((admission.addresses.places.capacity(), admission.addresses.counts.capacity()), (0, 0));
    }

    #[test]
    fn the_total_comes_first_and_64_are_answered_at_once() {
        let mut admission = admission(1, Some(1));
        let only = admitted(&mut admission, "10.0.0.1");
        let mut refused = Vec::new();
        for _ in 0..REFUSED {
            match enter(&mut admission, "10.0.0.1") {
                Entry::Refused(place, HandshakeError::TooManyConnections { limit: 1 }) => refused.push(place),
                entry => panic!("{entry:?}"),
            }
        }
        assert!(matches!(enter(&mut admission, "10.0.0.2"), Entry::Dropped(_)));
        admission.leave(refused[0]);
        assert!(matches!(enter(&mut admission, "10.0.0.2"), Entry::Refused(..)));
        admission.leave(only);
        // On a Unix-domain socket nobody has an address.
        assert!(matches!(admission.enter(None), Entry::Admitted(Place::TOTAL)));
    }
}
