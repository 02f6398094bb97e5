//! A whole run of both roles (spec/conformance.md section 2.4, kind `stream`).

use sealwire::client::{ClientConfig, EarlyData};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::receipt::ReceiptChecker;
use sealwire::{Error, Half, testing};
use serde_json::{Map, Value};

use super::halves::{Released, open_all, run_ops, sizes};
use super::handshake::{self, Instance, intermediates, start};
use super::{Outcome, Run, blocks};
use crate::input::{Input, Stop, fault, hex, object, unhex};

pub(super) fn stream(run: Run<'_>) -> Result<Outcome, Stop> {
    let limits = run.limits()?;
    let never = run.input.text("early")? == "never";
    let early_data = if never {
        EarlyData::Never
    } else {
        EarlyData::Allow
    };
    let started = start(run, &ClientConfig { early_data, limits })?;
    let RequestProgress::Done { request, .. } = ParsedRequest::read(&started.h1)? else {
        return Err(Error::Truncated.into());
    };
    let context = run.input.hex("context")?;
    let (mut accepted, h2) = Instance::new(run)?.accept_request(request, &context, &limits)?;
    let connected = handshake::read_h2(started.waiting, &h2)?;

    let padding =
        |name: &str| blocks::padding_policy(run.input.get(name).unwrap_or(&"none".into()));
    let mut sealer = started.sealer;
    sealer.set_padding(padding("padding_c2s")?);
    accepted.sealer.set_padding(padding("padding_s2c")?);
    let (mut c2s, mut s2c) = (Vec::new(), Vec::new());
    let ops = run.input.list("ops_c2s")?;
    run_ops(sealer, ops, Some(connected.switch_key), &mut c2s)?;
    run_ops(accepted.sealer, run.input.list("ops_s2c")?, None, &mut s2c)?;

    let mid = intermediates(run, &started.h1, &h2)?;
    let secret = |name: &str| -> Result<[u8; 32], Stop> {
        mid.get(name)
            .and_then(unhex)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| fault("no such secret"))
    };
    let open_again = |half: Half, wire: &[u8], sizes: &[usize]| -> Result<Released, Stop> {
        let (name, late) = match half {
            Half::C2s => ("ts_c2s_0", Some(secret("ts_c2s_1")?)),
            Half::S2c => ("ts_s2c_0", None),
        };
        let ts = secret(name)?;
        let mut opener = testing::opener(run.provider, &limits, half, ts, late)?;
        Ok(open_all(&mut opener, wire, sizes))
    };
    let mut opened = Vec::new();
    let mut opener_s2c = connected.opener;
    for (half, wire, opener, chunks) in [
        (Half::C2s, &c2s, &mut accepted.opener, "chunks_c2s"),
        (Half::S2c, &s2c, &mut opener_s2c, "chunks_s2c"),
    ] {
        let released = open_all(opener, wire, &[]);
        if let Some(error) = released.error {
            return Err(error.into());
        }
        for cut in cuts(run.input, chunks)? {
            if open_again(half, wire, &cut)? != released {
                return Err(fault("other events when the bytes are cut otherwise"));
            }
        }
        opened.push(released);
    }
    let mut checker = ReceiptChecker::for_session(&connected.session);
    let mut before = Released::default();
    for event in opened.last().into_iter().flat_map(|s2c| &s2c.events) {
        let bytes = Input(event).hex("bytes").unwrap_or_default();
        if event["type"] != "public" {
            before.plaintext.extend_from_slice(&bytes);
        } else if let Err(error) = checker.check(&run.provider.verification, &bytes) {
            before.error = Some(error);
            let mut members = before.members(run);
            members.remove("events");
            return Ok((members, mid));
        }
    }

    let ask = run.input.object("exporter")?;
    let (label, export_context) = (ask.hex("label")?, ask.hex("context")?);
    let mut exported = vec![0; ask.small("length")?];
    let mut other = exported.clone();
    connected
        .session
        .export(&label, &export_context, &mut exported)?;
    accepted
        .session
        .export(&label, &export_context, &mut other)?;
    if exported != other {
        return Err(fault("the exporters of the two sides differ"));
    }
    let mut events = opened.into_iter().map(|released| released.events);
    let members: Map<String, Value> = object([
        ("h1", hex(&started.h1)),
        ("h2", hex(&h2)),
        ("c2s", hex(&c2s)),
        ("s2c", hex(&s2c)),
        ("events_c2s", events.next().unwrap_or_default().into()),
        ("events_s2c", events.next().unwrap_or_default().into()),
        ("exporter", hex(&exported)),
    ]);
    Ok((members, mid))
}

fn cuts(input: Input<'_>, name: &str) -> Result<Vec<Vec<usize>>, Stop> {
    let mut cuts = vec![vec![1; 1 << 16]];
    for cut in input
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        cuts.push(sizes(cut)?);
    }
    Ok(cuts)
}
