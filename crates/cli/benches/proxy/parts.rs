//! The parts of the bench: what is asked of whom, and which figures come of it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::api::Api;
use crate::chain::Chain;
use crate::litellm::LiteLlm;
use crate::load::{Load, Stream};
use crate::machine::processors;
use crate::pacer::INTERVAL;
use crate::process::own_cpu;
use crate::report::{Goal, Row};
use crate::samples::{Samples, quantile};

/// Streams at a time for times.
const FEW: usize = 32;
/// Streams at a time for tokens of a second.
const MANY: usize = 256;
/// Tokens of a stream whose times are taken; short, so that there are many first ones.
const SHORT: u64 = 25;
/// Tokens of a stream that does not end before it is given up.
pub(crate) const ENDLESS: u64 = 1_000_000;
/// After streams were given up, before something else begins.
const CALM: Duration = Duration::from_millis(700);

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rounds: u32,
    pub(crate) window: Duration,
}

/// Times with 32 streams: to the first token and from token to token, in turns.
pub(crate) async fn times(upstream: SocketAddr, chain: &Chain, pace: Pace) -> Vec<Row> {
    let [mut direct, mut sealed] = [Samples::default(), Samples::default()];
    for _ in 0..pace.rounds {
        for (target, all) in [(upstream, &mut direct), (chain.address, &mut sealed)] {
            // With a stream's length over the number of streams between two of them, so many are open.
            let length = INTERVAL * u32::try_from(SHORT).unwrap_or(u32::MAX);
            let every = length / u32::try_from(FEW).unwrap_or(u32::MAX);
            let load = Load::streams(target, Stream::Paced(SHORT), every, usize::MAX);
            sleep(length + CALM).await;
            add(all, load.window(pace.window).await);
            drop(load);
            sleep(CALM).await;
        }
    }
    println!(
        "{FEW} streams: {} and {} first tokens, {} and {} others",
        direct.first.len(),
        sealed.first.len(),
        direct.token.len(),
        sealed.token.len()
    );
    told(&direct, &sealed);
    let mut first = |part| [&mut direct, &mut sealed].map(|all| quantile(&mut all.first, part));
    let (middle, late) = (first(0.5), first(0.99));
    let mut token = |part| [&mut direct, &mut sealed].map(|all| quantile(&mut all.token, part));
    vec![
        Row::added(
            "first token, 32 streams, p50",
            "ms",
            middle,
            Goal::AtMost(3.0),
        ),
        Row::added(
            "first token, 32 streams, p99",
            "ms",
            late,
            Goal::AtMost(10.0),
        ),
        Row::added(
            "each token, 32 streams, p50",
            "ms",
            token(0.5),
            Goal::AtMost(0.2),
        ),
        Row::added("each token, 32 streams, p99", "ms", token(0.99), Goal::None),
    ]
}

/// Tokens of a second with 256 streams, in turns, and what processors spend for one.
pub(crate) async fn crowd(upstream: SocketAddr, chain: &Chain, pace: Pace) -> Vec<Row> {
    let [mut direct, mut sealed] = [Samples::default(), Samples::default()];
    let (mut spent, mut tool) = ([0.0; 3], 0.0);
    for _ in 0..pace.rounds {
        for (target, all) in [(upstream, &mut direct), (chain.address, &mut sealed)] {
            let load = Load::streams(
                target,
                Stream::Paced(ENDLESS),
                Duration::from_secs(2) / 256,
                MANY,
            );
            opened(&load, MANY).await;
            let before = (chain.cpu(), own_cpu());
            add(all, load.window(pace.window).await);
            if target == chain.address {
                for (sum, (after, before)) in
                    spent.iter_mut().zip(chain.cpu().into_iter().zip(before.0))
                {
                    *sum += after - before;
                }
                tool += own_cpu() - before.1;
            }
            drop(load);
            sleep(CALM).await;
        }
    }
    told(&direct, &sealed);
    let rates = [direct.tokens_a_second(), sealed.tokens_a_second()];
    let tokens = sealed.token.len() as f64;
    let mut rows = vec![Row::ratio(
        "tokens of a second, 256 streams",
        rates,
        rates[1] / rates[0],
        Goal::AtLeast(0.7),
    )];
    let late = [&mut direct, &mut sealed].map(|all| quantile(&mut all.token, 0.5));
    rows.push(Row::added(
        "each token, 256 streams, p50",
        "ms",
        late,
        Goal::None,
    ));
    let [proxy, relay, instance] = spent;
    for (name, spent) in [
        ("proxy", proxy),
        ("relay", relay),
        ("instance", instance),
        ("load tool", tool),
    ] {
        let figure = format!("processor time of a token, 256 streams: {name}");
        rows.push(Row::alone(&figure, "us", spent / tokens * 1e6, Goal::None));
    }
    rows
}

/// Small whole answers, LiteLLM and the chain over the same upstream, in turns.
pub(crate) async fn requests(
    upstream: SocketAddr,
    chain: &Chain,
    pace: Pace,
    api: Api,
    (program, folder): (&Path, &Path),
) -> io::Result<Vec<Row>> {
    let workers = processors();
    println!(
        "LiteLLM with {workers} workers, {FEW} connections, {}",
        api.path()
    );
    let litellm = LiteLlm::start(program, folder, upstream, workers).await?;
    let addresses = litellm.addresses();
    let [mut theirs, mut ours] = [Samples::default(), Samples::default()];
    let [mut their_time, mut our_time] = [0.0; 2];
    for _ in 0..pace.rounds {
        let (window, spent) = busy(&addresses, api, pace, || litellm.cpu()).await;
        add(&mut theirs, window);
        their_time += spent;
        let (window, spent) = busy(&[chain.address], api, pace, || chain.proxy.cpu()).await;
        add(&mut ours, window);
        our_time += spent;
    }
    told(&theirs, &ours);
    let rates = [&theirs, &ours].map(|all| all.answers as f64 / all.seconds);
    let costs = [
        their_time / theirs.answers as f64 * 1e3,
        our_time / ours.answers as f64 * 1e3,
    ];
    Ok(vec![
        Row::ratio(
            "requests of a second (ours: the whole chain)",
            rates,
            rates[1] / rates[0],
            Goal::AtLeast(10.0),
        ),
        Row::ratio(
            "processor ms of a request (ours: the proxy alone)",
            costs,
            costs[0] / costs[1],
            Goal::None,
        ),
    ])
}

/// Answers of a window, after a second of the same, and the processor time of the window.
async fn busy(
    targets: &[SocketAddr],
    api: Api,
    pace: Pace,
    cpu: impl Fn() -> f64,
) -> (Option<Samples>, f64) {
    let load = Load::requests(targets, api, FEW);
    sleep(Duration::from_secs(1)).await;
    let before = cpu();
    let samples = load.window(pace.window).await;
    let spent = cpu() - before;
    drop(load);
    sleep(CALM).await;
    (samples, spent)
}

/// Waits until so many streams are open, or nothing more happens.
pub(crate) async fn opened(load: &Load, streams: usize) {
    let (mut most, mut since) = (0, Instant::now());
    while load.running() < streams && since.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(50)).await;
        if load.running() > most {
            (most, since) = (load.running(), Instant::now());
        }
    }
    sleep(CALM).await;
}

fn add(all: &mut Samples, window: Option<Samples>) {
    match window {
        Some(window) => all.add(window),
        None => println!("the clock was set: a window is left out"),
    }
}

/// Failures belong beside the figures.
fn told(other: &Samples, ours: &Samples) {
    if other.failed + ours.failed > 0 {
        println!("failed: {} and {}", other.failed, ours.failed);
    }
}
