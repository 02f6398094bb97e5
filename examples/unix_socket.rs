//! A sealed question and answer over a Unix socket: `cargo run --example unix_socket --features tokio`.

#[cfg(unix)]
mod common;

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> common::Result<()> {
    use common::{Result, instance, now, verified};
    use sealwire::adapter::{SealedStream, TokioIo};
    use sealwire::client::{ClientConfig, EarlyData};
    use sealwire::{Limits, server};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    let (provider, mut ring, bundle) = instance()?;
    let pin = ring.identity().public_key();
    let (near, far) = UnixStream::pair()?;

    let serve = async {
        let mut stream = SealedStream::accept(TokioIo::new(far), |request, context, out| {
            server::accept(&mut ring, request, context, &Limits::default(), now(), out)
        })
        .await?;
        let mut line = [0; 5];
        stream.read_exact(&mut line).await?;
        assert_eq!(&line, b"hello");
        for token in ["sealed ", "token ", "by ", "token"] {
            stream.write_all(token.as_bytes()).await?;
            stream.flush().await?;
        }
        stream.shutdown().await?;
        Result::Ok(())
    };
    let ask = async {
        let (bundle, context) = verified(&provider, &bundle, pin)?;
        // Nothing is sent before the instance has proven that it holds the key.
        let config = ClientConfig {
            early_data: EarlyData::Never,
            ..ClientConfig::default()
        };
        let mut stream =
            SealedStream::connect(TokioIo::new(near), &provider, &config, &bundle, &context)
                .await?;
        stream.write_all(b"hello").await?;
        stream.flush().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        println!("{answer}");
        Result::Ok(())
    };
    tokio::try_join!(serve, ask)?;
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("this platform has no Unix sockets");
}
