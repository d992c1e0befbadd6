//! A socket that never waits: reads go round and round through the same bytes, writes vanish.

use std::{
    future::Future,
    hint::black_box,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub struct Wire {
    bytes: Vec<u8>,
    at: usize,
    ends: bool,
}

impl Wire {
    pub fn endless(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, ends: false }
    }

    pub fn once(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, ends: true }
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        if self.at == self.bytes.len() && !self.ends {
            self.at = 0;
        }
        let n = out.len().min(self.bytes.len() - self.at);
        out[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        n
    }
}

impl io::Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(self.take(out))
    }
}

impl io::Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let n = self.take(out.initialize_unfilled());
        out.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(slices).iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The outcome of what waits for nothing.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("this socket is always ready")
}
