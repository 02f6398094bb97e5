//! One frame in each binary message, over WebSocket: `cargo run --example websocket --features tokio` (spec/protocol.md section 9).

mod common;

use common::{Result, instance, now, verified};
use futures::{SinkExt, StreamExt};
use sealwire::client::{self, ClientConfig};
use sealwire::handshake::{context_prefix, read_opening_message};
use sealwire::{Event, Limits, Opener, Sealer, server};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

type Socket = WebSocketStream<TcpStream>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (provider, mut ring, bundle) = instance()?;
    let pin = ring.identity().public_key();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;

    let serve = async {
        let mut socket = accept_async(listener.accept().await?.0).await?;
        let first = receive(&mut socket).await?;
        let (context, request) = read_opening_message(&first)?;
        let mut h2 = Vec::new();
        let mut accepted = server::accept(
            &mut ring,
            request,
            context,
            &Limits::default(),
            now(),
            &mut h2,
        )?;
        send(&mut socket, h2).await?;
        let question = read_text(&mut socket, &mut accepted.opener).await?;
        for token in ["you ", "asked: "] {
            send_data(&mut socket, &mut accepted.sealer, token.as_bytes()).await?;
        }
        let mut last = Vec::new();
        accepted.sealer.finish(question.as_bytes(), &mut last)?;
        send(&mut socket, last).await
    };
    let ask = async {
        let (bundle, context) = verified(&provider, &bundle, pin)?;
        let transport = TcpStream::connect(address).await?;
        let (mut socket, _) = client_async(format!("ws://{address}/"), transport).await?;
        let mut first = context_prefix(&context);
        let (mut sealer, wait) = client::start(
            &provider,
            &ClientConfig::default(),
            &bundle,
            &context,
            &mut first,
        )?;
        send(&mut socket, first).await?;
        send_data(&mut socket, &mut sealer, b"does ").await?;
        let h2 = receive(&mut socket).await?;
        let mut connected = wait.read_message(&h2)?;
        let mut switch = Vec::new();
        sealer.switch(connected.switch_key, &mut switch)?;
        send(&mut socket, switch).await?;
        let mut last = Vec::new();
        sealer.finish(b"it work?", &mut last)?;
        send(&mut socket, last).await?;
        println!("{}", read_text(&mut socket, &mut connected.opener).await?);
        Ok(())
    };
    tokio::try_join!(serve, ask)?;
    Ok(())
}

async fn send(socket: &mut Socket, frame: Vec<u8>) -> Result<()> {
    Ok(socket.send(Message::binary(frame)).await?)
}

async fn send_data(socket: &mut Socket, sealer: &mut Sealer, content: &[u8]) -> Result<()> {
    let mut frame = vec![0; sealer.sealed_len(content.len())?];
    sealer.seal(content, &mut frame)?;
    send(socket, frame).await
}

async fn receive(socket: &mut Socket) -> Result<Vec<u8>> {
    match socket.next().await {
        Some(Ok(Message::Binary(bytes))) => Ok(bytes.to_vec()),
        Some(Ok(_)) => Err("not a binary message".into()),
        Some(Err(error)) => Err(error.into()),
        None => Err(sealwire::Error::Truncated.into()),
    }
}

async fn read_text(socket: &mut Socket, opener: &mut Opener) -> Result<String> {
    let mut text = Vec::new();
    while !opener.is_ended() {
        let mut message = receive(socket).await?;
        match opener.open_message(&mut message)? {
            Some(Event::Data(data) | Event::Final(data)) => text.extend_from_slice(data),
            Some(Event::Error { message, .. }) => return Err(message.into()),
            _ => {}
        }
    }
    Ok(String::from_utf8(text)?)
}
