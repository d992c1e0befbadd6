//! The limits of rooms, and what is said when one is reached.

/// The limits of a [`Rooms`](super::Rooms).
///
/// ```
/// use wireroom::rooms::RoomLimits;
///
/// let limits = RoomLimits { max_rooms_per_socket: 16, ..RoomLimits::default() };
/// assert_eq!((limits.max_room_name, limits.max_rooms), (256, 1_000_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomLimits {
    /// How many rooms one connection may be in. Default: 1,024.
    pub max_rooms_per_socket: usize,
    /// How many bytes the name of a room may have. Default: 256.
    pub max_room_name: usize,
    /// How many rooms may exist. Default: 1,000,000.
    pub max_rooms: usize,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self { max_rooms_per_socket: 1_024, max_room_name: 256, max_rooms: 1_000_000 }
    }
}

/// Why a connection was not let into a room. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection has closed, or has not opened yet.
    #[error("the connection is not open")]
    NotOpen,
    /// The name is longer than [`RoomLimits::max_room_name`].
    #[error("the name of the room has {len} bytes, max_room_name is {limit}")]
    NameTooLong {
        /// Bytes of the name.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The connection is in [`RoomLimits::max_rooms_per_socket`] rooms already.
    #[error("the connection is in {limit} rooms already, which is max_rooms_per_socket")]
    TooManyRoomsOfSocket {
        /// The limit.
        limit: usize,
    },
    /// The room does not exist and [`RoomLimits::max_rooms`] do.
    #[error("{limit} rooms exist already, which is max_rooms")]
    TooManyRooms {
        /// The limit.
        limit: usize,
    },
}
