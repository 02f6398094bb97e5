//! A sealed question and answer over TCP: `cargo run --example tcp --features tokio`.

mod common;

use common::{Result, instance, now, verified};
use sealwire::Limits;
use sealwire::adapter::{SealedStream, TokioIo};
use sealwire::client::ClientConfig;
use sealwire::server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (provider, mut ring, bundle) = instance()?;
    let pin = ring.identity().public_key();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;

    let serve = async {
        let (transport, _) = listener.accept().await?;
        let mut stream = SealedStream::accept(TokioIo::new(transport), |request, context, out| {
            server::accept(&mut ring, request, context, &Limits::default(), now(), out)
        })
        .await?;
        let mut question = String::new();
        stream.read_to_string(&mut question).await?;
        stream
            .write_all(format!("you asked: {question}").as_bytes())
            .await?;
        stream.shutdown().await?;
        Result::Ok(())
    };
    let ask = async {
        let (bundle, context) = verified(&provider, &bundle, pin)?;
        let transport = TokioIo::new(TcpStream::connect(address).await?);
        let config = ClientConfig::default();
        let mut stream =
            SealedStream::connect(transport, &provider, &config, &bundle, &context).await?;
        stream.write_all(b"who can read this?").await?;
        // Sends FINAL and closes the writing half of the socket; the answer still comes.
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        println!("{answer}");
        Result::Ok(())
    };
    tokio::try_join!(serve, ask)?;
    Ok(())
}
