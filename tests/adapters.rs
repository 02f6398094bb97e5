//! The adapter laws, over a hostile transport: one-byte reads and writes, Pending everywhere, early ends, errors.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use common::*;
use futures::executor::block_on;
use futures::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, SinkExt, Stream, StreamExt, future,
};
use sealwire::adapter::{AdapterError, OpenStream, SealSink, SealedStream};
use sealwire::client::{ClientConfig, EarlyData};
use sealwire::{Error, Half, Limits, Padding, StreamErrorCode, Suite, server, testing};

/// One direction of a pipe that gives and takes one byte at a time, and is not ready every other time.
#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    closed: bool,
    flushes: usize,
    read_flip: bool,
    write_flip: bool,
    waker: Option<Waker>,
    fail_reads: bool,
    cut_after: Option<usize>,
    taken: usize,
}

#[derive(Clone, Default)]
struct Hostile {
    read: Arc<Mutex<Lane>>,
    write: Arc<Mutex<Lane>>,
}

impl Hostile {
    fn pair() -> (Self, Self) {
        let one = Self::default();
        let two = Self {
            read: one.write.clone(),
            write: one.read.clone(),
        };
        (one, two)
    }

    fn written(&self) -> Vec<u8> {
        self.write.lock().unwrap().bytes.iter().copied().collect()
    }
}

/// Every other call is Pending, with an immediate wake-up.
fn hesitate(flip: &mut bool, cx: &mut Context<'_>) -> bool {
    *flip = !*flip;
    if *flip {
        cx.waker().wake_by_ref();
    }
    *flip
}

impl AsyncRead for Hostile {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut lane = self.read.lock().unwrap();
        if hesitate(&mut lane.read_flip, cx) {
            return Poll::Pending;
        }
        if lane.fail_reads {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if lane.cut_after.is_some_and(|cut| lane.taken >= cut) {
            return Poll::Ready(Ok(0));
        }
        match lane.bytes.pop_front() {
            Some(byte) => {
                lane.taken += 1;
                out[0] = byte;
                Poll::Ready(Ok(1))
            }
            None if lane.closed => Poll::Ready(Ok(0)),
            None => {
                lane.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Hostile {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut lane = self.write.lock().unwrap();
        if hesitate(&mut lane.write_flip, cx) {
            return Poll::Pending;
        }
        lane.bytes.push_back(bytes[0]);
        if let Some(waker) = lane.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(1))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut lane = self.write.lock().unwrap();
        if hesitate(&mut lane.write_flip, cx) {
            return Poll::Pending;
        }
        lane.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut lane = self.write.lock().unwrap();
        if hesitate(&mut lane.write_flip, cx) {
            return Poll::Pending;
        }
        lane.closed = true;
        if let Some(waker) = lane.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }
}

/// Client and instance over a hostile pipe, and the pipe's ends.
fn connected(
    early_data: EarlyData,
) -> (
    SealedStream<Hostile>,
    SealedStream<Hostile>,
    Hostile,
    Hostile,
) {
    let provider = sealwire::rustcrypto::provider();
    let mut ring = ring(&provider);
    let bundle = verify(&provider, ring.bundle(Suite::MlKem768, NOW).unwrap());
    let (client_end, server_end) = Hostile::pair();
    let config = ClientConfig {
        early_data,
        ..ClientConfig::default()
    };
    let context = context();
    let client = SealedStream::connect(client_end.clone(), &provider, &config, &bundle, &context);
    let server = SealedStream::accept(server_end.clone(), |request, context, out| {
        server::accept(&mut ring, request, context, &Limits::default(), NOW, out)
    });
    let (client, server) = block_on(future::join(client, server));
    (client.unwrap(), server.unwrap(), client_end, server_end)
}

#[test]
fn request_and_answer_cross_a_hostile_pipe() {
    for early_data in [EarlyData::Allow, EarlyData::Never] {
        let (mut client, mut server, ..) = connected(early_data);
        let question = vec![b'q'; 40_000];
        block_on(async {
            let ask = async {
                client.write_all(&question).await.unwrap();
                AsyncWriteExt::close(&mut client).await.unwrap();
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).await.unwrap();
                answer
            };
            let serve = async {
                let mut request = Vec::new();
                server.read_to_end(&mut request).await.unwrap();
                server.send(Bytes::from_static(b"token ")).await.unwrap();
                server.write_all(b"by token").await.unwrap();
                AsyncWriteExt::close(&mut server).await.unwrap();
                request
            };
            let (answer, request) = future::join(ask, serve).await;
            assert_eq!(request, question);
            assert_eq!(answer, b"token by token");
        });
        assert_eq!(
            client.session().unwrap().th2(),
            server.session().unwrap().th2()
        );
    }
}

#[test]
fn public_bodies_come_out_once_and_in_order() {
    let (mut client, mut server, ..) = connected(EarlyData::Never);
    block_on(async {
        let ask = async {
            AsyncWriteExt::close(&mut client).await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let serve = async {
            server.write_all(b"before ").await.unwrap();
            server.public(b"first").unwrap();
            server.public(b"second").unwrap();
            server.write_all(b"after").await.unwrap();
            AsyncWriteExt::close(&mut server).await.unwrap();
        };
        let (answer, ()) = future::join(ask, serve).await;
        assert_eq!(answer, b"before after");
    });
    assert_eq!(client.take_public().as_deref(), Some(&b"first"[..]));
    assert_eq!(client.take_public().as_deref(), Some(&b"second"[..]));
    assert_eq!(client.take_public(), None);
}

#[test]
fn both_ends_export_the_same_key() {
    let (client, server, ..) = connected(EarlyData::Never);
    let (mut one, mut two, mut other) = ([0; 48], [0; 48], [0; 48]);
    client
        .session()
        .unwrap()
        .export(b"label", b"context", &mut one)
        .unwrap();
    server
        .session()
        .unwrap()
        .export(b"label", b"context", &mut two)
        .unwrap();
    server
        .session()
        .unwrap()
        .export(b"label", b"other", &mut other)
        .unwrap();
    assert_eq!(one, two);
    assert_ne!(one, other);
    assert_ne!(one, [0; 48]);
}

#[test]
fn flush_seals_what_is_pending_and_flushes_the_transport() {
    let (mut client, mut server, client_end, _) = connected(EarlyData::Never);
    let flushes = client_end.write.lock().unwrap().flushes;
    block_on(async {
        client.write_all(b"half a frame").await.unwrap();
        AsyncWriteExt::flush(&mut client).await.unwrap();
        let mut got = [0; 12];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"half a frame");
    });
    assert!(client_end.write.lock().unwrap().flushes > flushes);
}

#[test]
fn close_sends_final_once_and_may_be_polled_again() {
    let (mut client, mut server, _, server_end) = connected(EarlyData::Never);
    block_on(async {
        AsyncWriteExt::close(&mut client).await.unwrap();
        AsyncWriteExt::close(&mut client).await.unwrap();
        AsyncWriteExt::flush(&mut client).await.unwrap();
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert!(got.is_empty());
        assert!(client.write_all(b"late").await.is_err());
    });
    // A second FINAL would lie here unread.
    assert!(server_end.read.lock().unwrap().bytes.is_empty());
}

#[test]
fn dropping_a_writer_is_no_end() {
    let (mut client, mut server, client_end, _) = connected(EarlyData::Never);
    block_on(async {
        client.write_all(b"cut").await.unwrap();
        AsyncWriteExt::flush(&mut client).await.unwrap();
        drop(client);
        client_end.write.lock().unwrap().closed = true;
        let mut got = Vec::new();
        let error = server.read_to_end(&mut got).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(got, b"cut");
        // Sticky.
        let error = server.read_to_end(&mut got).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let again = server.next().await.unwrap().unwrap_err();
        assert!(matches!(again, AdapterError::Protocol(Error::Truncated)));
    });
}

#[test]
fn an_answer_cut_anywhere_is_never_whole() {
    for cut in [0, 1, 500, 1_122, 1_125, 1_200, 1_300] {
        let (mut client, mut server, client_end, _) = connected(EarlyData::Allow);
        client_end.read.lock().unwrap().cut_after = Some(cut);
        block_on(async {
            server.send(Bytes::from_static(b"one")).await.unwrap();
            server.send(Bytes::from_static(b"two")).await.unwrap();
            AsyncWriteExt::close(&mut server).await.unwrap();
            let mut got = Vec::new();
            let error = client.read_to_end(&mut got).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut at {cut}");
            assert!(b"onetwo".starts_with(&got[..]));
        });
    }
}

#[test]
fn a_changed_byte_is_an_error_that_stays() {
    let (mut client, mut server, client_end, _) = connected(EarlyData::Never);
    block_on(async {
        server.send(Bytes::from_static(b"first")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), "first");
        server.send(Bytes::from_static(b"second")).await.unwrap();
        server.send(Bytes::from_static(b"third")).await.unwrap();
        *client_end.read.lock().unwrap().bytes.get_mut(10).unwrap() ^= 1;
        for _ in 0..3 {
            let error = client.next().await.unwrap().unwrap_err();
            assert!(matches!(error, AdapterError::Protocol(Error::Decrypt)));
        }
    });
}

#[test]
fn a_transport_error_stays() {
    let (mut client, _server, client_end, _) = connected(EarlyData::Never);
    client_end.read.lock().unwrap().fail_reads = true;
    block_on(async {
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        client_end.read.lock().unwrap().fail_reads = false;
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn reading_does_not_wait_for_writing() {
    let (mut client, mut server, ..) = connected(EarlyData::Allow);
    block_on(async {
        server.send(Bytes::from_static(b"unasked")).await.unwrap();
        // The client has written nothing, has pending plaintext, and never flushes.
        client.write_all(b"pending").await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), "unasked");
    });
}

#[test]
fn a_refused_handshake_is_truncated_for_the_client() {
    let provider = sealwire::rustcrypto::provider();
    let mut ring = ring(&provider);
    let bundle = verify(&provider, ring.bundle(Suite::MlKem768, NOW).unwrap());
    let (client_end, server_end) = Hostile::pair();
    let config = ClientConfig {
        early_data: EarlyData::Never,
        ..ClientConfig::default()
    };
    let context = context();
    let mut other = common::ring(&provider);
    let client = SealedStream::connect(client_end, &provider, &config, &bundle, &context);
    let serve = async {
        let server = SealedStream::accept(server_end.clone(), |request, context, out| {
            server::accept(&mut other, request, context, &Limits::default(), NOW, out)
        });
        let error = server.await.err().unwrap();
        assert!(matches!(&error, AdapterError::Protocol(error) if error.code() == "key-unknown"));
        server_end.write.lock().unwrap().closed = true;
        if let Some(waker) = server_end.write.lock().unwrap().waker.take() {
            waker.wake();
        }
    };
    let (client, ()) = block_on(future::join(client, serve));
    assert!(matches!(
        client.err().unwrap(),
        AdapterError::Protocol(Error::Truncated)
    ));
}

#[test]
fn a_context_that_is_announced_too_long_is_refused_at_once() {
    let (mut client_end, server_end) = Hostile::pair();
    block_on(async {
        client_end.write_all(&[0x04, 0x01]).await.unwrap();
        let server = SealedStream::accept(server_end, |_, _, _| Err(Error::Truncated)).await;
        assert!(matches!(
            server.err().unwrap(),
            AdapterError::Protocol(Error::BadContext)
        ));
    });
}

fn half(secret: u8) -> (sealwire::Sealer, sealwire::Opener) {
    let provider = sealwire::rustcrypto::provider();
    let limits = Limits::default();
    let mut sealer = testing::sealer(&provider, &limits, Half::S2c, [secret; 32], true).unwrap();
    sealer.set_padding(Padding::None);
    let opener = testing::opener(&provider, &limits, Half::S2c, [secret; 32], None).unwrap();
    (sealer, opener)
}

/// Chunks as they are, with Pending before each.
fn chunks(items: Vec<Vec<u8>>) -> impl Stream<Item = Result<Bytes, io::Error>> + Unpin {
    let mut items: VecDeque<_> = items.into();
    let mut ready = false;
    futures::stream::poll_fn(move |cx| {
        ready = !ready;
        if ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(items.pop_front().map(|item| Ok(Bytes::from(item))))
    })
}

#[test]
fn a_stream_gives_no_empty_items_and_ends_after_final() {
    let (mut sealer, opener) = half(1);
    let mut wire = Vec::new();
    sealer.seal_vec(b"a", &mut wire).unwrap();
    sealer.pad(100, &mut wire).unwrap();
    let mut empty = vec![0; sealer.sealed_len(0).unwrap()];
    sealer.seal(b"", &mut empty).unwrap();
    wire.extend_from_slice(&empty);
    sealer.public(b"receipt", &mut wire).unwrap();
    sealer.seal_vec(b"b", &mut wire).unwrap();
    sealer.finish(b"", &mut wire).unwrap();
    let bytes = wire.iter().map(|byte| vec![*byte]).collect();
    let mut stream = OpenStream::new(chunks(bytes), opener, Bytes::new());
    block_on(async {
        assert_eq!(stream.next().await.unwrap().unwrap(), "a");
        assert_eq!(stream.next().await.unwrap().unwrap(), "b");
        assert!(stream.next().await.is_none());
        assert!(stream.next().await.is_none());
    });
    assert_eq!(stream.take_public().unwrap(), "receipt");
    assert!(stream.take_public().is_none());
}

#[test]
fn an_error_frame_is_an_error_and_not_an_end() {
    let (mut sealer, opener) = half(2);
    let mut wire = Vec::new();
    sealer.seal_vec(b"part", &mut wire).unwrap();
    sealer
        .fail(StreamErrorCode::Upstream, "model died", &mut wire)
        .unwrap();
    let mut stream = OpenStream::new(chunks(vec![wire]), opener, Bytes::new());
    block_on(async {
        assert_eq!(stream.next().await.unwrap().unwrap(), "part");
        for _ in 0..2 {
            let error = stream.next().await.unwrap().unwrap_err();
            assert!(
                matches!(&error, AdapterError::Peer { code: StreamErrorCode::Upstream, message } if message == "model died")
            );
        }
    });
}

#[test]
fn unique_chunks_are_opened_in_place() {
    let (mut sealer, opener) = half(3);
    let mut wire = Vec::new();
    sealer.seal_vec(b"here", &mut wire).unwrap();
    let address = wire.as_ptr().addr();
    let mut stream = OpenStream::new(chunks(vec![wire]), opener, Bytes::new());
    let data = block_on(stream.next()).unwrap().unwrap();
    assert_eq!(data.as_ptr().addr(), address + 4);
}

#[test]
fn a_sink_seals_each_item_once_under_back_pressure() {
    let (sealer, mut opener) = half(4);
    let mut taken = Vec::new();
    let mut refuse = 0;
    let inner = futures::sink::unfold((), |(), chunk: Bytes| {
        taken.push(chunk);
        refuse += 1;
        let wait = refuse % 2;
        async move {
            for _ in 0..wait {
                let mut yielded = false;
                future::poll_fn(|cx| {
                    if yielded {
                        return Poll::Ready(());
                    }
                    yielded = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            }
            Ok::<_, io::Error>(())
        }
    });
    let mut sink = SealSink::new(Box::pin(inner), sealer, b"");
    block_on(async {
        for item in ["one ", "two ", "three"] {
            sink.feed(Bytes::from(item)).await.unwrap();
        }
        SinkExt::close(&mut sink).await.unwrap();
    });
    drop(sink);
    let wire = taken.concat();
    let got = open_all(&mut opener, &wire, []);
    assert_eq!(
        (got.data.as_slice(), got.end, got.error),
        (&b"one two three"[..], Some(End::Final), None)
    );
}

#[test]
fn written_bytes_are_kept_until_the_transport_takes_them() {
    let (mut client, mut server, client_end, _) = connected(EarlyData::Never);
    let before = client_end.written().len();
    // One poll writes at most a part of the frame; polling flush again goes on with the same bytes.
    let waker = futures::task::noop_waker();
    let mut cx = Context::from_waker(&waker);
    let mut pinned = Pin::new(&mut client);
    assert!(matches!(
        AsyncWrite::poll_write(pinned.as_mut(), &mut cx, b"x"),
        Poll::Ready(Ok(1))
    ));
    let mut polls = 0;
    while AsyncWrite::poll_flush(pinned.as_mut(), &mut cx).is_pending() {
        polls += 1;
    }
    assert!(polls > 10, "the transport takes one byte at a time");
    assert_eq!(
        client_end.written().len() - before,
        24 + 64 + 24 + 64,
        "SWITCH and one DATA frame, in buckets"
    );
    let mut got = [0];
    block_on(server.read_exact(&mut got)).unwrap();
    assert_eq!(&got, b"x");
}
