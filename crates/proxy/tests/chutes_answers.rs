//! chutes-v1: answers that are changed, cut, forged or none. Each fault has its own error, and nothing of the relay's becomes output.

mod common;

use common::{
    ANSWER, Call, Plan, Streamed, TestGate, answering, ask, ask_streamed, broken, code, completion,
    content, events, honest, inner_lines, post, post_with, question, raw, read_stream, stream_head,
    stream_of, system, system_with, whole, whole_answer, with_body,
};
use http::Response;
use sealwire::compat::chutes::Head;
use sealwire_http::net::{Body, channel, next_data, read_all};
use serde_json::json;

const BLOB: &str = "application/octet-stream";
const EVENTS: &str = "text/event-stream";
/// A plaintext event that tries to be output.
const INJECTED: &str = "data: {\"usage\":{\"completion_tokens\":1},\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"rm\",\"arguments\":\"{}\"}}]}}]}\n\n";

/// What a whole answer becomes.
async fn whole_from(
    script: impl Fn(Call) -> Response<Body> + Send + Sync + 'static,
) -> (u16, String) {
    let system = system(Plan::new(script)).await;
    let (status, answer) = ask(&system.url).await;
    (status, code(&answer).to_owned())
}

fn sealed(call: Call) -> Vec<u8> {
    let head = Head::new(200, "application/json").expect("sound");
    let body = completion(ANSWER).to_string();
    call.responder.seal(&head, body.as_bytes()).expect("sealed")
}

fn fault(code: &str) -> (u16, String) {
    (502, code.to_owned())
}

#[tokio::test]
async fn a_changed_answer_is_refused() {
    let changed = |call: Call| {
        let mut blob = sealed(call);
        let last = blob.len() - 1;
        blob[last] ^= 1;
        raw(200, BLOB, blob)
    };
    assert_eq!(whole_from(changed).await, fault("decrypt"));
    let cut = |call: Call| raw(200, BLOB, sealed(call)[..1_000].to_vec());
    assert_eq!(whole_from(cut).await, fault("too_short"));
}

#[tokio::test]
async fn an_answer_to_another_key_is_refused() {
    let kept = std::sync::Mutex::new(None);
    let plan = Plan::new(move |call| {
        let blob = sealed(call);
        // The first answer is given to the second request too.
        let mut kept = kept.lock().expect("no panic");
        let blob = kept.get_or_insert(blob).clone();
        raw(200, BLOB, blob)
    });
    let system = system(plan).await;
    assert_eq!(ask(&system.url).await.0, 200);
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "decrypt"));
}

#[tokio::test]
async fn an_answer_that_unpacks_without_end_is_refused() {
    for limit in [100_000, 10_000_000] {
        let plan = Plan::new(|call| {
            let head = Head::new(200, "application/json").expect("sound");
            let bomb = vec![b' '; 5_000_000];
            raw(
                200,
                BLOB,
                call.responder.seal(&head, &bomb).expect("sealed"),
            )
        });
        let system = system_with(plan, TestGate::refusing(&[]), |config| {
            config.limits.answer_bytes = limit;
        })
        .await;
        let (status, answer) = ask(&system.url).await;
        if limit < 5_000_000 {
            assert_eq!((status, code(&answer)), (502, "answer_too_large"));
        } else {
            assert_eq!(status, 200);
        }
    }
}

#[tokio::test]
async fn an_answer_larger_than_the_bound_is_refused() {
    let plan = Plan::new(|_| raw(200, BLOB, vec![0; 200_000]));
    let system = system_with(plan, TestGate::refusing(&[]), |config| {
        config.limits.answer_bytes = 100_000;
    })
    .await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "answer_too_large"));
}

#[tokio::test]
async fn what_is_not_sealed_is_thrown_away() {
    let answers: [fn(Call) -> Response<Body>; 4] = [
        |_| raw(200, "text/html; charset=utf-8", "<html>sign in</html>"),
        |_| raw(200, "application/json", completion("forged").to_string()),
        |_| raw(200, "text/plain", "forged"),
        |call| stream_of(&honest(call)),
    ];
    for answer in answers {
        assert_eq!(whole_from(answer).await, fault("relay_not_sealed"));
    }
    let system = system(Plan::new(|_| raw(200, "text/html", "<html>sign in</html>"))).await;
    let streamed = ask_streamed(&system.url).await;
    assert_eq!(
        (streamed.status, streamed.code()),
        (502, "relay_not_sealed")
    );
    assert!(!streamed.raw.contains("sign in"));
}

#[tokio::test]
async fn an_answer_that_closes_early_is_refused() {
    let early = |call: Call| {
        let mut blob = sealed(call);
        blob.truncate(1_200);
        broken(200, BLOB, blob)
    };
    assert_eq!(whole_from(early).await, fault("truncated"));
    // Closed in the proper way, it does not authenticate.
    let closed = |call: Call| raw(200, BLOB, sealed(call)[..1_200].to_vec());
    assert_eq!(whole_from(closed).await, fault("decrypt"));
}

#[tokio::test]
async fn the_status_of_the_model_server_is_kept_where_it_comes_sealed() {
    let refusal = json!({"error": {"message": "max_tokens is too large", "code": 400}});
    // A deployed instance seals no status, but vLLM's errors name their own.
    for deployed in [false, true] {
        for stream in [false, true] {
            let refusal = refusal.clone();
            let mut plan = Plan::new(move |call: Call| whole_answer(call, 400, &refusal));
            plan.deployed = deployed;
            let system = system(plan).await;
            let (status, answer) = whole(post(&system.url, &question(stream)).await).await;
            assert_eq!(status, 400);
            assert_eq!(answer["error"]["message"], "max_tokens is too large");
        }
    }
}

#[tokio::test]
async fn an_error_that_comes_as_a_stream_is_an_error() {
    let plan = Plan::new(|call: Call| {
        let head = Head::new(429, "application/json").expect("sound");
        let lines = [
            "{\"error\":{\"message\":\"slow down\"}}\n".to_owned(),
            "data: [DONE]\n".to_owned(),
        ];
        stream_of(&events(call.responder, &head, &lines))
    });
    let system = system(plan).await;
    let (status, answer) = whole(post(&system.url, &question(true)).await).await;
    assert_eq!(status, 429);
    assert_eq!(answer["error"]["message"], "slow down");
}

#[tokio::test]
async fn an_answer_that_is_no_json_and_has_no_status_is_none() {
    let plan = Plan::new(|call: Call| {
        let head = Head::new(200, "text/plain").expect("sound");
        raw(
            200,
            BLOB,
            call.responder.seal(&head, b"hello").expect("sealed"),
        )
    });
    let system = system(plan.deployed()).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "bad_answer"));
}

/// What the application gets of a stream whose events are changed.
async fn streamed_from(
    deployed: bool,
    change: impl Fn(&mut Vec<String>) + Send + Sync + 'static,
) -> Streamed {
    let mut plan = Plan::new(move |call| {
        let mut events = honest(call);
        change(&mut events);
        stream_of(&events)
    });
    plan.deployed = deployed;
    let system = system(plan).await;
    ask_streamed(&system.url).await
}

/// The error of a stream that must not end as a whole one.
fn refused(streamed: &Streamed) -> &str {
    assert!(!streamed.done, "{streamed:?}");
    assert!(ANSWER.starts_with(&*streamed.text), "{streamed:?}");
    assert!(!streamed.raw.contains("tool_calls"), "{streamed:?}");
    if streamed.status == 200 {
        assert!(!streamed.ended, "a broken stream must not end properly");
    }
    streamed.code()
}

type Change = fn(&mut Vec<String>);

#[tokio::test]
async fn every_fault_of_a_stream_has_its_own_error() {
    // From the second kind of instance numbers and head are missing, so some faults show otherwise.
    let cases: [(&str, Change, &str, &str); 16] = [
        (
            "a tool call in a usage event",
            |events| events.insert(4, INJECTED.to_owned()),
            "event_members",
            "event_members",
        ),
        (
            "the same before e2e_init",
            |events| events.insert(0, INJECTED.to_owned()),
            "event_members",
            "event_members",
        ),
        (
            "a plaintext [DONE]",
            |events| events.insert(4, "data: [DONE]\n\n".to_owned()),
            "event_plaintext_done",
            "event_plaintext_done",
        ),
        (
            "a plaintext [DONE] instead of the sealed end",
            |events| {
                let end = events.len() - 2;
                events.truncate(end);
                events.push("data: [DONE]\n\n".to_owned());
            },
            "event_plaintext_done",
            "event_plaintext_done",
        ),
        (
            "a plaintext delta",
            |events| {
                let delta = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
                events.insert(4, delta.to_owned());
            },
            "event_members",
            "event_members",
        ),
        (
            "an error of the relay",
            |events| events.insert(4, "data: {\"e2e_error\":\"over\"}\n\n".to_owned()),
            "relay_failed",
            "relay_failed",
        ),
        (
            "a second e2e_init",
            |events| events.insert(4, events[0].clone()),
            "event_second_init",
            "event_second_init",
        ),
        (
            "no e2e_init",
            |events| {
                events.remove(0);
            },
            "event_before_init",
            "event_before_init",
        ),
        (
            "a chunk twice",
            |events| events.insert(5, events[4].clone()),
            "sequence",
            "event_nonce_repeated",
        ),
        (
            "no end",
            |events| {
                let end = events.len() - 2;
                events.truncate(end);
            },
            "truncated",
            "truncated",
        ),
        (
            "only a part",
            |events| events.truncate(6),
            "truncated",
            "truncated",
        ),
        (
            "a chunk that is changed",
            |events| events[4] = events[4].replacen("\"e2e\":\"", "\"e2e\":\"AAAA", 1),
            "decrypt",
            "decrypt",
        ),
        (
            "a chunk that is no base64",
            |events| events[4] = "data: {\"e2e\":\"*\"}\n\n".to_owned(),
            "event_chunk",
            "event_chunk",
        ),
        (
            "an event that is no JSON",
            |events| events.insert(4, "data: hello\n\n".to_owned()),
            "event_not_json",
            "event_not_json",
        ),
        (
            "a line that is no data",
            |events| events.insert(4, "event: message\n\n".to_owned()),
            "event_not_data",
            "event_not_data",
        ),
        (
            "usage that is none",
            |events| events.insert(4, "data: {\"usage\":7}\n\n".to_owned()),
            "event_usage",
            "event_usage",
        ),
    ];
    for (name, change, ours, deployed) in cases {
        for (kind, expected) in [(false, ours), (true, deployed)] {
            let streamed = streamed_from(kind, change).await;
            assert_eq!(refused(&streamed), expected, "{name}, deployed: {kind}");
        }
    }
}

#[tokio::test]
async fn chunks_that_are_exchanged_end_the_stream() {
    let exchange: Change = |events| {
        // The last two words.
        let end = events.len();
        events.swap(end - 8, end - 6);
    };
    let streamed = streamed_from(false, exchange).await;
    assert_eq!(refused(&streamed), "sequence");
    // Without numbers it shows only when the counter inside goes backwards, one chunk late.
    let streamed = streamed_from(true, exchange).await;
    assert_eq!(streamed.code(), "counter");
    assert!(!streamed.done && !streamed.ended);
}

#[tokio::test]
async fn a_dropped_chunk_is_seen_where_the_instance_numbers_or_every_token_counts() {
    // A whole event: its line and the blank one.
    let drop: Change = |events| {
        events.drain(4..6);
    };
    let streamed = streamed_from(false, drop).await;
    assert_eq!(streamed.code(), "sequence");
    assert!(!streamed.done);
    let plan = Plan::new(move |call| {
        let mut events = honest(call);
        events.drain(3..5);
        stream_of(&events)
    });
    let system = system_with(plan.deployed(), TestGate::refusing(&[]), |config| {
        config.every_token = true;
    })
    .await;
    let streamed = ask_streamed(&system.url).await;
    assert_eq!(streamed.code(), "counter");
    assert!(!streamed.done);
}

#[tokio::test]
async fn plain_usage_is_no_output() {
    let usage = "data: {\"usage\":{\"prompt_tokens\":424242,\"completion_tokens\":2}}\n\n";
    for deployed in [false, true] {
        let streamed = streamed_from(deployed, move |events| {
            for at in [events.len(), 5, 1] {
                events.insert(at, usage.to_owned());
            }
        })
        .await;
        assert_eq!((streamed.code(), &*streamed.text), ("no error", ANSWER));
        assert!(streamed.done && streamed.ended);
        assert!(!streamed.raw.contains("424242"), "{}", streamed.raw);
    }
}

#[tokio::test]
async fn a_fault_before_the_first_sealed_line_has_a_status() {
    for deployed in [false, true] {
        let streamed = streamed_from(deployed, |events| {
            events.insert(
                1,
                "data: {\"e2e_error\":{\"message\":\"no\\u001b room\"}}\n\n".to_owned(),
            );
        })
        .await;
        assert_eq!((streamed.status, streamed.code()), (502, "relay_failed"));
        let error = streamed.error.expect("an error");
        assert_eq!(error["type"], "sealwire_relay_error");
        let message = error["message"].as_str().expect("text");
        assert!(message.contains("the relay says") && message.contains("room"));
        assert!(!message.contains('\u{1b}'));
    }
}

#[tokio::test]
async fn content_behind_the_end_is_refused() {
    for (deployed, expected) in [(false, "event_after_done"), (true, "event_after_done")] {
        let mut plan = Plan::new(|call: Call| {
            let mut lines = inner_lines();
            lines.push("data: {\"choices\":[]}\n".to_owned());
            stream_of(&events(call.responder, &stream_head(), &lines))
        });
        plan.deployed = deployed;
        let system = system(plan).await;
        let streamed = ask_streamed(&system.url).await;
        assert_eq!(refused(&streamed), expected);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_behind_the_end_is_no_end() {
    for deployed in [false, true] {
        let mut plan = Plan::new(|call| broken(200, EVENTS, honest(call).concat().into_bytes()));
        plan.deployed = deployed;
        let system = system(plan).await;
        let streamed = ask_streamed(&system.url).await;
        assert_eq!(refused(&streamed), "truncated");
    }
}

#[tokio::test]
async fn the_end_is_held_back_until_the_answer_has_ended() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let plan = Plan::new(move |call| {
        let wire = honest(call).concat();
        let wait = wait.lock().expect("no panic").take().expect("one request");
        let (sender, body) = channel(4);
        tokio::spawn(async move {
            sender.send(wire).await.expect("read");
            let _ = wait.await;
            sender.finish().await.expect("read");
        });
        with_body(200, EVENTS, body)
    });
    let system = system(plan).await;
    let mut body = post(&system.url, &question(true)).await.into_body();
    let mut text = String::new();
    while !text.contains("Paris.") {
        let data = next_data(&mut body, common::IDLE).await.expect("open");
        text.push_str(&String::from_utf8_lossy(&data.expect("more")));
    }
    assert!(!text.contains("[DONE]"), "{text}");
    go.send(()).expect("waiting");
    while let Some(data) = next_data(&mut body, common::IDLE).await.expect("sound") {
        text.push_str(&String::from_utf8_lossy(&data));
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn the_event_of_the_end_is_whole_even_if_its_blank_line_is_missing() {
    let plan = Plan::new(|call: Call| {
        let mut lines = inner_lines();
        lines.pop();
        stream_of(&events(call.responder, &stream_head(), &lines))
    });
    let system = system(plan.deployed()).await;
    let streamed = ask_streamed(&system.url).await;
    assert!(streamed.done && streamed.ended);
    assert!(
        streamed.raw.ends_with("data: [DONE]\n\n"),
        "{}",
        streamed.raw
    );
}

#[tokio::test]
async fn an_application_that_hangs_up_ends_the_answer() {
    let (gone, seen) = tokio::sync::oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let plan = Plan::new(move |call| {
        let mut events = honest(call);
        events.truncate(6);
        let gone = gone.lock().expect("no panic").take().expect("one request");
        let (sender, body) = channel(4);
        tokio::spawn(async move {
            sender.send(events.concat()).await.expect("read");
            sender.closed().await;
            let _ = gone.send(());
        });
        with_body(200, EVENTS, body)
    });
    let system = system(plan).await;
    let mut body = post(&system.url, &question(true)).await.into_body();
    assert!(matches!(
        next_data(&mut body, common::IDLE).await,
        Ok(Some(_))
    ));
    drop(body);
    seen.await.expect("the relay sees it");
}

#[tokio::test]
async fn the_honest_answer_passes_every_check() {
    let system = system(Plan::new(answering)).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, content(&answer)), (200, ANSWER));
    let mut body = question(true);
    body["stream_options"] = json!({"include_usage": true});
    let streamed = read_stream(post(&system.url, &body).await).await;
    assert_eq!(streamed.code(), "no error");
    // To the byte what the model server sent.
    assert_eq!(streamed.raw, inner_lines().concat());
}

#[tokio::test]
async fn events_whose_blank_line_was_left_out_are_not_joined() {
    let streamed = streamed_from(true, |events| {
        // A blank line's chunk is shorter than any with text.
        events.retain(|event| !event.starts_with("data: {\"e2e\"") || event.len() > 65);
    })
    .await;
    assert_eq!(
        (streamed.text.as_str(), streamed.done),
        (ANSWER, true),
        "{streamed:?}"
    );
}

#[tokio::test]
async fn lines_may_end_in_cr_lf_or_cr() {
    for end in ["\r\n", "\r"] {
        let plan = Plan::new(move |call| {
            let events = honest(call).concat().replace('\n', end);
            // A piece ends behind each CR: what is whole by then comes out.
            let (sender, body) = channel(1);
            tokio::spawn(async move {
                for piece in events.split_inclusive('\r') {
                    let _ = sender.send(piece.to_owned()).await;
                }
                let _ = sender.finish().await;
            });
            with_body(200, EVENTS, body)
        });
        let system = system(plan).await;
        let streamed = ask_streamed(&system.url).await;
        assert_eq!((streamed.status, &*streamed.text), (200, ANSWER), "{end:?}");
        assert!(streamed.done && streamed.ended, "{streamed:?}");
    }
}

#[tokio::test]
async fn a_line_that_ends_in_cr_does_not_wait() {
    let plan = Plan::new(|call| {
        let (sender, body) = channel(1);
        let mut lines = honest(call).concat();
        let (end, _) = lines.match_indices("\n\n").nth(3).expect("a third line");
        lines.truncate(end);
        tokio::spawn(async move {
            let _ = sender
                .send(format!("{}\r", lines.replace('\n', "\r")))
                .await;
            sender.closed().await;
        });
        with_body(200, EVENTS, body)
    });
    let system = system(plan).await;
    let mut body = post(&system.url, &question(true)).await.into_body();
    let first = next_data(&mut body, common::IDLE).await.expect("in time");
    assert!(first.is_some_and(|first| first.starts_with(b"data: {")));
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_handed_on_as_it_is() {
    // Half of a character, as model servers send it that cut text into tokens.
    let line = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xe2\x82\"}}]}\n";
    for deployed in [false, true] {
        let mut plan = Plan::new(move |call: Call| {
            if !call.stream {
                let whole = b"{\"choices\":[{\"message\":{\"content\":\"\xe2\x82\"},\"finish_reason\":\"stop\"}]}";
                let head = Head::new(200, "application/json").expect("sound");
                return raw(
                    200,
                    BLOB,
                    call.responder.seal(&head, whole).expect("sealed"),
                );
            }
            let mut wire = Vec::new();
            let sealer = call.responder.into_stream(&stream_head(), &mut wire);
            let mut sealer = sealer.expect("sealed");
            for line in [&line[..], b"\n", b"data: [DONE]\n", b"\n"] {
                sealer.seal(line, &mut wire).expect("sealed");
            }
            raw(200, EVENTS, wire)
        });
        if deployed {
            plan = plan.deployed();
        }
        let system = system(plan).await;
        for stream in [true, false] {
            let response = post(&system.url, &question(stream)).await;
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            let body = read_all(&mut body, 1 << 20, common::IDLE).await;
            let body = body.expect("whole");
            let half = body.windows(3).any(|bytes| bytes == b"\xe2\x82\"");
            assert!(half, "{deployed} {stream} {body:?}");
        }
        // What is translated has a character in its place.
        let path = "/v1/messages";
        for stream in [true, false] {
            let mut asked = question(stream);
            asked["max_tokens"] = json!(100);
            let response = post_with(&system.url, path, &[], &asked).await;
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            let body = read_all(&mut body, 1 << 20, common::IDLE).await;
            let text = String::from_utf8(body.expect("whole").to_vec()).expect("UTF-8");
            assert!(text.contains('\u{fffd}'), "{deployed} {stream} {text}");
        }
    }
}
