//! What the `AsyncRead` and `AsyncWrite` implementations share, and tokio transports as futures-io ones.

#[cfg(feature = "tokio")]
use core::pin::Pin;
#[cfg(feature = "tokio")]
use core::task::{Context, Poll, ready};
#[cfg(feature = "tokio")]
use std::io;

use bytes::{Buf, Bytes};
#[cfg(feature = "tokio")]
use pin_project::pin_project;

/// Moves as much as fits from `unread` to `out`.
pub(super) fn copy_out(unread: &mut Bytes, out: &mut [u8]) -> usize {
    let len = unread.len().min(out.len());
    if let Some(space) = out.get_mut(..len) {
        unread.copy_to_slice(space);
    }
    len
}

/// `Stream` of `Bytes`, and `AsyncRead` of futures-io and tokio, for a type with `poll_data` and a field `unread`.
macro_rules! reader {
    ($type:ident<$param:ident>, $($bounds:tt)+) => {
        impl<$param> $type<$param>
        where
            $($bounds)+
        {
            fn poll_read_bytes(
                mut self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                out: &mut [u8],
            ) -> core::task::Poll<std::io::Result<usize>> {
                if self.unread.is_empty() {
                    match core::task::ready!(self.as_mut().poll_data(cx))? {
                        Some(data) => *self.as_mut().project().unread = data,
                        None => return core::task::Poll::Ready(Ok(0)),
                    }
                }
                let unread = self.project().unread;
                core::task::Poll::Ready(Ok($crate::adapter::io::copy_out(unread, out)))
            }
        }

        impl<$param> futures_core::Stream for $type<$param>
        where
            $($bounds)+
        {
            type Item = Result<bytes::Bytes, $crate::adapter::AdapterError>;

            fn poll_next(
                mut self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Option<Self::Item>> {
                if !self.unread.is_empty() {
                    let rest = core::mem::take(self.as_mut().project().unread);
                    return core::task::Poll::Ready(Some(Ok(rest)));
                }
                self.poll_data(cx).map(Result::transpose)
            }
        }

        impl<$param> futures_io::AsyncRead for $type<$param>
        where
            $($bounds)+
        {
            fn poll_read(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                out: &mut [u8],
            ) -> core::task::Poll<std::io::Result<usize>> {
                self.poll_read_bytes(cx, out)
            }
        }

        #[cfg(feature = "tokio")]
        impl<$param> tokio::io::AsyncRead for $type<$param>
        where
            $($bounds)+
        {
            fn poll_read(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                out: &mut tokio::io::ReadBuf<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                $crate::adapter::io::fill(out, |space| self.poll_read_bytes(cx, space))
            }
        }
    };
}
pub(super) use reader;

/// `Sink` of `Bytes`, and `AsyncWrite` of futures-io and tokio, for a type with `poll_drain`, `poll_write_bytes`, `poll_flush_all`,
/// `poll_close_all` and a write pump named by its field.
macro_rules! writer {
    ($type:ident<$param:ident>, $pump:ident, $($bounds:tt)+) => {
        impl<$param> futures_sink::Sink<bytes::Bytes> for $type<$param>
        where
            $($bounds)+
        {
            type Error = $crate::adapter::AdapterError;

            fn poll_ready(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Result<(), Self::Error>> {
                self.poll_drain(cx)
            }

            fn start_send(
                self: core::pin::Pin<&mut Self>,
                item: bytes::Bytes,
            ) -> Result<(), Self::Error> {
                self.project().$pump.seal(&item)
            }

            fn poll_flush(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Result<(), Self::Error>> {
                self.poll_flush_all(cx)
            }

            fn poll_close(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Result<(), Self::Error>> {
                self.poll_close_all(cx)
            }
        }

        $crate::adapter::io::writer!(@io futures_io::AsyncWrite, poll_close, $type<$param>, $($bounds)+);
        #[cfg(feature = "tokio")]
        $crate::adapter::io::writer!(@io tokio::io::AsyncWrite, poll_shutdown, $type<$param>, $($bounds)+);
    };
    (@io $trait:path, $close:ident, $type:ident<$param:ident>, $($bounds:tt)+) => {
        impl<$param> $trait for $type<$param>
        where
            $($bounds)+
        {
            fn poll_write(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                bytes: &[u8],
            ) -> core::task::Poll<std::io::Result<usize>> {
                self.poll_write_bytes(cx, bytes).map_err(Into::into)
            }

            fn poll_flush(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                self.poll_flush_all(cx).map_err(Into::into)
            }

            fn $close(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                self.poll_close_all(cx).map_err(Into::into)
            }
        }
    };
}
pub(super) use writer;

/// Lets a slice reader fill tokio's buffer.
#[cfg(feature = "tokio")]
pub(super) fn fill(
    out: &mut tokio::io::ReadBuf<'_>,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<()>> {
    let len = ready!(read(out.initialize_unfilled()))?;
    out.advance(len);
    Poll::Ready(Ok(()))
}

/// A tokio transport seen as a futures-io one.
#[cfg(feature = "tokio")]
#[pin_project]
pub struct TokioIo<T>(#[pin] T);

#[cfg(feature = "tokio")]
impl<T> TokioIo<T> {
    /// Wraps a transport.
    pub const fn new(transport: T) -> Self {
        Self(transport)
    }

    /// The transport.
    pub fn into_inner(self) -> T {
        self.0
    }
}

#[cfg(feature = "tokio")]
impl<T: tokio::io::AsyncRead> futures_io::AsyncRead for TokioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut space = tokio::io::ReadBuf::new(out);
        ready!(self.project().0.poll_read(cx, &mut space))?;
        Poll::Ready(Ok(space.filled().len()))
    }
}

#[cfg(feature = "tokio")]
impl<T: tokio::io::AsyncWrite> futures_io::AsyncWrite for TokioIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().0.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().0.poll_shutdown(cx)
    }
}
