//! Floor 0: bytes on their way in and out. Knows no protocol.
//!
//! * [`RecvBuffer`]: the linear receive buffer. Events borrow it, messages assemble in place.
//! * [`SendQueue`]: what waits to be written. It implements [`bytes::Buf`], so a driver needs one vectored write.

mod gather;
mod recv_buffer;
mod run;
mod send_queue;

pub use recv_buffer::RecvBuffer;
pub use send_queue::SendQueue;
