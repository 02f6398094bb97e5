//! What the roles hold in memory while streams are open, busy and idle.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::chain::{Between, Chain};
use crate::load::{Load, Stream};
use crate::parts::{ENDLESS, Pace, opened};
use crate::report::{Goal, Row};

/// Busy streams that the roles hold open.
pub(crate) const BUSY: usize = 1_000;
/// Idle ones.
pub(crate) const IDLE: usize = 10_000;
/// Each idle stream has had an interim receipt by then; they come every 10 s.
const SETTLED: Duration = Duration::from_secs(12);
const ROLES: [&str; 3] = ["proxy", "relay", "instance"];
const KIB: f64 = 1_024.0;
const MB: f64 = 1e6;

/// Resident bytes of proxy, relay and instance.
struct Resident {
    before: [u64; 3],
    /// The most while all streams were open; `None` if they never were.
    most: Option<[u64; 3]>,
    streams: usize,
}

impl Resident {
    async fn watch(
        chain: &Chain,
        load: Load,
        streams: usize,
        settle: Duration,
        pace: Pace,
    ) -> Self {
        let before = chain.resident();
        opened(&load, streams).await;
        sleep(settle).await;
        let mut most = [0; 3];
        let mut least = usize::MAX;
        let start = Instant::now();
        while start.elapsed() < pace.window {
            for (most, now) in most.iter_mut().zip(chain.resident()) {
                *most = now.max(*most);
            }
            least = least.min(load.running());
            sleep(Duration::from_millis(100)).await;
        }
        drop(load);
        println!("{least} streams were open all the time");
        Self {
            before,
            most: (least == streams).then_some(most),
            streams,
        }
    }

    /// Bytes before and meanwhile, of each role; not a number if not all streams were open, since fewer say nothing about all.
    fn roles(&self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        let most = self
            .most
            .map_or([f64::NAN; 3], |most| most.map(|bytes| bytes as f64));
        let before = self.before.map(|bytes| bytes as f64);
        let pairs = before.into_iter().zip(most);
        ROLES
            .into_iter()
            .zip(pairs)
            .map(|(role, (before, most))| (role, before, most))
    }

    /// What a stream adds to each role.
    fn of_one(&self, kind: &str, goal: impl Fn(&str) -> Goal) -> Vec<Row> {
        let row = |(role, before, most): (&str, f64, f64)| {
            let bytes = (most - before) / self.streams as f64;
            let figure = format!("resident for one {kind} stream: {role}");
            Row::alone(&figure, "KiB", bytes / KIB, goal(role))
        };
        self.roles().map(row).collect()
    }
}

/// Streams at full pace, with a connection for each between the roles.
pub(crate) async fn busy(chain: &Chain, pace: Pace) -> Vec<Row> {
    let every = Duration::from_millis(10);
    let load = Load::streams(chain.address, Stream::Paced(ENDLESS), every, BUSY);
    let resident = Resident::watch(chain, load, BUSY, Duration::ZERO, pace).await;
    let row = |(role, before, most)| {
        let goal = if role == "proxy" {
            Goal::AtMost(200.0)
        } else {
            Goal::None
        };
        let figure = format!("resident, 1,000 open streams: {role}");
        Row {
            other: Some(before / MB),
            ours: Some(most / MB),
            ..Row::alone(&figure, "MB", most / MB, goal)
        }
    };
    let mut rows: Vec<Row> = resident.roles().map(row).collect();
    rows.extend(resident.of_one("busy", |_| Goal::None));
    rows
}

/// Streams that had one token and wait, many on one connection between the roles.
pub(crate) async fn idle(upstream: SocketAddr, pace: Pace, streams: usize) -> io::Result<Vec<Row>> {
    let chain = Chain::start(upstream, streams, Between::Http2).await?;
    let load = Load::streams(
        chain.address,
        Stream::Held,
        Duration::from_millis(3),
        streams,
    );
    let resident = Resident::watch(&chain, load, streams, SETTLED, pace).await;
    let (before, most) = resident.roles().fold((0.0, 0.0), |sum, (_, before, most)| {
        (sum.0 + before, sum.1 + most)
    });
    let figure = format!("resident, {streams} idle streams, HTTP/2: all three");
    let mut rows = resident.of_one("idle", |role| match role {
        "relay" => Goal::AtMost(16.0),
        _ => Goal::None,
    });
    rows.push(Row {
        other: Some(before / MB),
        ours: Some(most / MB),
        // 1.5 GiB.
        ..Row::alone(
            &figure,
            "MB",
            most / MB,
            Goal::AtMost(1.5 * KIB * KIB * KIB / MB),
        )
    });
    Ok(rows)
}
