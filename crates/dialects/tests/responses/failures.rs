//! Answers that are not whole.

use super::*;

#[test]
fn an_answer_that_is_too_long_is_incomplete() {
    let chunks = [
        chunk(json!({"reasoning":"why"})),
        text("so it"),
        stop("length"),
    ];
    let events = streamed(&json!({"input":"x"}), &chunks);
    assert_eq!(kinds(&events).last(), Some(&"incomplete"));
    let response = last(&events);
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["completed_at"], Value::Null);
    assert_eq!(
        response["incomplete_details"],
        json!({"reason":"max_output_tokens"})
    );
    assert_eq!(response["output"][0]["status"], "completed");
    assert_eq!(response["output"][1]["status"], "incomplete");
}

#[test]
fn a_filtered_answer_is_incomplete() {
    let events = streamed(&json!({"input":"x"}), &[text("so"), stop("content_filter")]);
    assert_eq!(
        last(&events)["incomplete_details"],
        json!({"reason":"content_filter"})
    );
}

#[test]
fn a_function_call_that_was_cut_is_marked() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":"{\"q\":"}})),
            stop("length"),
        ],
    );
    let item = &last(&events)["output"][0];
    assert_eq!(
        (&item["status"], &item["arguments"]),
        (&json!("incomplete"), &json!("{\"q\":"))
    );
}

#[test]
fn free_text_of_a_call_that_was_cut_is_never_done() {
    let events = streamed(
        &json!({"input":"x","tools":[{"type":"custom","name":"run"}]}),
        &[
            call(
                json!({"index":0,"id":"a","function":{"name":"run","arguments":"{\"input\":\"rm -rf build"}}),
            ),
            stop("length"),
        ],
    );
    assert_eq!(
        kinds(&events)[2..],
        [
            "output_item.added",
            "custom_tool_call_input.delta",
            "incomplete"
        ]
    );
    let item = &last(&events)["output"][0];
    assert_eq!(
        (&item["status"], &item["input"]),
        (&json!("incomplete"), &json!("rm -rf build"))
    );
}

#[test]
fn a_cut_call_that_others_wait_for_is_not_done_either() {
    let events = streamed(
        &json!({"input":"x","tools":[{"type":"custom","name":"run"},{"type":"function","name":"f"}]}),
        &[
            call(
                json!({"index":0,"id":"a","function":{"name":"run","arguments":"{\"input\":\"rm -rf build"}}),
            ),
            call(json!({"index":1,"id":"b","function":{"name":"f","arguments":"{\"q\":"}})),
            stop("length"),
        ],
    );
    let output = &last(&events)["output"];
    assert_eq!(
        (&output[0]["status"], &output[1]["status"]),
        (&json!("incomplete"), &json!("incomplete"))
    );
    assert!(!kinds(&events).contains(&"custom_tool_call_input.done"));
}

#[test]
fn a_stream_that_never_said_why_it_stopped_fails() {
    let events = streamed(
        &json!({"input":"x","tools":[{"type":"function","name":"f"}]}),
        &[
            text("so"),
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})),
            usage(),
        ],
    );
    assert_eq!(
        kinds(&events)[7..],
        [
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "failed"
        ][..]
    );
    let response = last(&events);
    assert_eq!(response["error"]["code"], "server_error");
    assert_eq!(response["status"], "failed");
    assert_eq!(
        response["output"].as_array().map(Vec::len),
        Some(1),
        "the call is not among what was finished"
    );
}

#[test]
fn a_model_server_that_breaks_off_fails_the_response() {
    for reason in ["abort", "error"] {
        let events = streamed(&json!({"input":"x"}), &[text("so"), stop(reason)]);
        assert_eq!(kinds(&events).last(), Some(&"failed"));
        assert_eq!(last(&events)["error"]["code"], "server_error");
        assert_eq!(last(&events)["output"], json!([]));
        let completion = json!({"choices":[{"message":{"content":"so"},"finish_reason":reason}]});
        assert_eq!(
            whole(&json!({"input":"x"}), &completion)["status"],
            "failed"
        );
    }
}

#[test]
fn errors_inside_a_stream_have_codes_that_codex_acts_on() {
    let too_long = json!({"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages.","type":"BadRequestError","code":400}});
    let overloaded = json!({"error":{"message":"busy","type":"x","code":503}});
    for (data, code) in [
        (too_long, "context_length_exceeded"),
        (overloaded, "server_is_overloaded"),
        (json!([7]), "server_error"),
    ] {
        let translated = translated(&json!({"input":"x"}));
        let mut stream = translated.answer.stream();
        let mut out = Vec::new();
        stream.begin(&mut out);
        stream
            .event(&text("so").to_string(), &mut out)
            .expect("an event");
        let error = stream
            .event(&data.to_string(), &mut out)
            .expect_err("an error");
        stream.fail(&error, &mut out);
        let length = out.len();
        stream.fail(&error, &mut out);
        stream.end(&mut out);
        stream
            .event(&text("so").to_string(), &mut out)
            .expect("ignored");
        assert_eq!(out.len(), length, "nothing follows the last event");
        let events = events(&out);
        assert_eq!(kinds(&events).last(), Some(&"failed"), "{data}");
        assert_eq!(last(&events)["error"]["code"], code, "{data}");
        assert_eq!(last(&events)["error"]["message"], error.message);
    }
}

#[test]
fn a_rate_limit_says_when_to_try_again() {
    let translated = translated(&json!({"input":"x"}));
    let mut stream = translated.answer.stream();
    let mut out = Vec::new();
    stream.begin(&mut out);
    let mut error = ApiError::server_error(429, "", "too many requests.");
    error.retry_after = Some("12".into());
    stream.fail(&error, &mut out);
    assert_eq!(
        last(&events(&out))["error"],
        json!({"code":"rate_limit_exceeded","message":"too many requests. Please try again in 12s."})
    );
}

#[test]
fn a_body_that_is_no_completion_is_an_error() {
    for body in ["", "null", "{}", r#"{"choices":[]}"#, "<html>"] {
        let error = translated(&json!({"input":"x"}))
            .answer
            .whole(body.as_bytes())
            .expect_err(body);
        assert_eq!((error.status, error.code.as_str()), (502, "bad_answer"));
    }
}
