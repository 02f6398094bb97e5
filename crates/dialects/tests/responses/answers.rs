//! What the model says, in the API's events and objects.

use super::*;

#[test]
fn events_of_reasoning_text_and_calls_come_in_the_apis_order() {
    let request = json!({"input":"x","stream":true,"tools":[{"type":"function","name":"f"},{"type":"custom","name":"c"}]});
    let events = streamed(
        &request,
        &[
            chunk(json!({"role":"assistant","content":""})),
            chunk(json!({"reasoning_content":"let me"})),
            chunk(json!({"reasoning_content":" see"})),
            text("I look"),
            text(" it up"),
            call(
                json!({"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}),
            ),
            call(json!({"index":0,"function":{"arguments":"{\"q\":"}})),
            call(json!({"index":0,"function":{"arguments":"1}"}})),
            call(
                json!({"index":1,"id":"call_2","type":"function","function":{"name":"c","arguments":"{\"input\": \"a\\"}}),
            ),
            call(json!({"index":1,"function":{"arguments":"nb\"}"}})),
            stop("tool_calls"),
            usage(),
        ],
    );
    assert_eq!(
        kinds(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "output_item.done",
            "completed",
        ]
    );
    let response = last(&events);
    assert_eq!(
        response["output"],
        json!([
            {"type":"reasoning","id":"rs_abababababababababababababababab0000","summary":[],
             "content":[{"type":"reasoning_text","text":"let me see"}],"status":"completed"},
            {"type":"message","id":"msg_abababababababababababababababab0001","status":"completed","role":"assistant",
             "content":[{"type":"output_text","text":"I look it up","annotations":[],"logprobs":[]}]},
            {"type":"function_call","id":"fc_abababababababababababababababab0002","call_id":"call_1","name":"f",
             "arguments":"{\"q\":1}","status":"completed"},
            {"type":"custom_tool_call","id":"ctc_abababababababababababababababab0003","call_id":"call_2","name":"c",
             "input":"a\nb","status":"completed"},
        ])
    );
    assert_eq!(
        response["usage"],
        json!({"input_tokens":30,"input_tokens_details":{"cached_tokens":16,"cache_write_tokens":0},
            "output_tokens":12,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":42})
    );
    assert_eq!(response["status"], "completed");
    let started = &events[0]["response"];
    assert_eq!(
        (&started["status"], &started["output"], &started["usage"]),
        (&json!("in_progress"), &json!([]), &Value::Null)
    );
}

#[test]
fn streamed_items_are_those_of_the_final_response() {
    let events = streamed(
        &json!({"input":"x","tools":[{"type":"function","name":"f"}]}),
        &[
            chunk(json!({"reasoning":"why"})),
            text("so"),
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})),
            call(json!({"index":1,"id":"b","function":{"name":"f","arguments":"{}"}})),
            stop("tool_calls"),
        ],
    );
    let done: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| &event["item"])
        .collect();
    assert_eq!(json!(done), last(&events)["output"]);
    for event in &events {
        let (Some(id), Some(index)) = (event["item_id"].as_str(), event["output_index"].as_u64())
        else {
            continue;
        };
        let index = usize::try_from(index).expect("an index");
        assert_eq!(last(&events)["output"][index]["id"], id);
    }
}

#[test]
fn a_response_has_every_member_that_strict_clients_require() {
    let response = whole(
        &json!({"input":"x"}),
        &json!({"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}),
    );
    for name in [
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
    ] {
        assert!(response.get(name).is_some(), "{name}");
    }
    assert_eq!(response["object"], "response");
    assert_eq!(response["model"], "default/model");
    assert_eq!(response["created_at"], 1_800_000_000);
    assert_eq!(response["text"], json!({"format":{"type":"text"}}));
    assert_eq!(response["reasoning"], json!({"effort":null,"summary":null}));
    assert_eq!(response["metadata"], json!({}));
}

#[test]
fn what_identifies_somebody_is_repeated_to_the_application_only() {
    let request = json!({"input":"x","user":"u-1","safety_identifier":"s-1","prompt_cache_key":"k-1",
        "metadata":{"ticket":"m-1"},"client_metadata":{"path":"c-1"},"store":true,"truncation":"auto",
        "service_tier":"flex","prompt_cache_retention":"24h","include":[]});
    let chat = chat(&request);
    assert_eq!(
        chat,
        json!({"model":"default/model","stream":false,"messages":[{"role":"user","content":"x"}]})
    );
    let response = whole(
        &request,
        &json!({"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}),
    );
    assert_eq!(response["user"], "u-1");
    assert_eq!(response["safety_identifier"], "s-1");
    assert_eq!(response["prompt_cache_key"], "k-1");
    assert_eq!(response["metadata"], json!({"ticket":"m-1"}));
    assert_eq!(response["store"], true);
    assert_eq!(response["truncation"], "auto");
    assert_eq!(response["service_tier"], "default");
    assert!(response.get("client_metadata").is_none());
}

#[test]
fn echoed_functions_have_all_members_and_other_tools_stay_as_they_came() {
    let tools =
        json!([{"type":"function","name":"f"},{"type":"web_search","external_web_access":false}]);
    let response = whole(
        &json!({"input":"x","tools":tools,"tool_choice":{"type":"function","name":"f"}}),
        &json!({"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}),
    );
    assert_eq!(
        response["tools"],
        json!([{"type":"function","name":"f","description":null,"parameters":null,"strict":null},
            {"type":"web_search","external_web_access":false}])
    );
    assert_eq!(
        response["tool_choice"],
        json!({"type":"function","name":"f"})
    );
}

#[test]
fn a_summary_is_written_where_one_was_asked_for() {
    let request = json!({"input":"x","reasoning":{"effort":"high","summary":"auto"}});
    let events = streamed(
        &request,
        &[
            chunk(json!({"reasoning":"let"})),
            chunk(json!({"reasoning":" me"})),
            text("so"),
            stop("stop"),
        ],
    );
    assert_eq!(
        kinds(&events)[2..8],
        [
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done"
        ]
    );
    assert_eq!(events[4]["summary_index"], 0);
    let item = &last(&events)["output"][0];
    assert_eq!(
        item["summary"],
        json!([{"type":"summary_text","text":"let me"}])
    );
    assert_eq!(item["content"], json!([]));
}

#[test]
fn encrypted_content_is_given_where_it_was_asked_for_and_comes_back() {
    let request = json!({"input":"x","include":["reasoning.encrypted_content"]});
    let completion =
        json!({"choices":[{"message":{"reasoning":"why","content":"so"},"finish_reason":"stop"}]});
    let mut item = whole(&request, &completion)["output"][0].take();
    let blob = item["encrypted_content"].as_str().expect("a blob");
    assert!(!blob.contains("why"));
    item["content"] = json!([]);
    let messages = messages(
        &json!([{"role":"user","content":"x"}, item, {"role":"assistant","content":"so"}]),
    );
    assert_eq!(
        messages[1],
        json!({"role":"assistant","content":"so","reasoning_content":"why"})
    );
    let item = &whole(&json!({"input":"x"}), &completion)["output"][0];
    assert!(item.get("encrypted_content").is_none());
}

#[test]
fn a_leading_think_mark_becomes_reasoning() {
    let settings = Settings {
        split_think: true,
        ..settings()
    };
    let request = json!({"input":"x"});
    let completion = json!({"choices":[{"message":{"content":"<think>\nwhy\n</think>\n\nso"},"finish_reason":"stop"}]});
    let whole = whole_with(&request, &settings, &completion);
    assert_eq!(whole["output"][0]["content"][0]["text"], "why");
    assert_eq!(whole["output"][1]["content"][0]["text"], "so");
    let chunks = [
        text("<th"),
        text("ink>why"),
        text("</think"),
        text(">\n\nso"),
        stop("stop"),
    ];
    let events = streamed_with(&request, &settings, &chunks);
    assert_eq!(last(&events)["output"], whole["output"]);
}

#[test]
fn a_call_of_a_namespace_comes_back_with_name_and_namespace() {
    let request = json!({"input":"x","tools":[{"type":"namespace","name":"multi_agent_v1","tools":[
        {"type":"function","name":"wait_agent"},{"type":"custom","name":"run"}]}]});
    for called in [
        "multi_agent_v1__wait_agent",
        "wait_agent",
        "multi_agent_v1.wait_agent",
        "multi_agent_v1wait_agent",
    ] {
        let events = streamed(
            &request,
            &[
                call(json!({"index":0,"id":"call_1","function":{"name":called,"arguments":"{}"}})),
                stop("tool_calls"),
            ],
        );
        let item = &last(&events)["output"][0];
        assert_eq!(
            (&item["name"], &item["namespace"]),
            (&json!("wait_agent"), &json!("multi_agent_v1")),
            "{called}"
        );
        assert_eq!(events[2]["item"]["namespace"], "multi_agent_v1");
    }
    let events = streamed(
        &request,
        &[
            call(
                json!({"index":0,"id":"call_1","function":{"name":"multi_agent_v1__run","arguments":"{\"input\":\"ls\"}"}}),
            ),
            stop("tool_calls"),
        ],
    );
    let item = &last(&events)["output"][0];
    assert_eq!(
        (&item["type"], &item["namespace"], &item["input"]),
        (
            &json!("custom_tool_call"),
            &json!("multi_agent_v1"),
            &json!("ls")
        )
    );
}

#[test]
fn a_call_of_an_unknown_tool_is_passed_on() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            call(json!({"index":0,"id":"a","function":{"name":"made_up","arguments":"{}"}})),
            stop("stop"),
        ],
    );
    let item = &last(&events)["output"][0];
    assert_eq!(
        (&item["type"], &item["name"]),
        (&json!("function_call"), &json!("made_up"))
    );
}

#[test]
fn text_behind_a_call_is_a_message_of_its_own() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":"{\"q\":"}})),
            text("while "),
            call(json!({"index":0,"function":{"arguments":"1}"}})),
            text("waiting"),
            stop("tool_calls"),
        ],
    );
    let output = &last(&events)["output"];
    assert_eq!(output[0]["arguments"], "{\"q\":1}");
    assert_eq!(output[1]["content"][0]["text"], "while waiting");
    assert_eq!(output.as_array().map(Vec::len), Some(2));
    one_item_open_at_a_time(&events);
}

#[test]
fn calls_whose_fragments_are_mixed_come_one_after_the_other() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":"{\"q\":"}})),
            call(json!({"index":1,"id":"b","function":{"name":"g","arguments":"{\"r\":"}})),
            call(json!({"index":0,"function":{"arguments":"1}"}})),
            call(json!({"index":1,"function":{"arguments":"2}"}})),
            call(json!({"index":2,"id":"c","function":{"name":"h","arguments":"{}"}})),
            stop("tool_calls"),
        ],
    );
    let calls: Vec<(&Value, &Value, &Value)> = last(&events)["output"]
        .as_array()
        .expect("output")
        .iter()
        .map(|item| (&item["call_id"], &item["name"], &item["arguments"]))
        .collect();
    assert_eq!(
        json!(calls),
        json!([
            ["a", "f", "{\"q\":1}"],
            ["b", "g", "{\"r\":2}"],
            ["c", "h", "{}"]
        ])
    );
    one_item_open_at_a_time(&events);
}

/// Between an item's beginning and its end there is no other's.
fn one_item_open_at_a_time(events: &[Value]) {
    let mut open = None;
    for event in events {
        match event["type"].as_str() {
            Some("response.output_item.added") => {
                assert_eq!(open.replace(&event["output_index"]), None);
            }
            Some("response.output_item.done") => {
                assert_eq!(open.take(), Some(&event["output_index"]));
            }
            _ => {}
        }
    }
    assert_eq!(open, None);
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":""}})),
            call(json!({"index":1,"id":"b","function":{"name":"g"}})),
            stop("tool_calls"),
        ],
    );
    assert_eq!(last(&events)["output"][0]["arguments"], "{}");
    assert_eq!(last(&events)["output"][1]["arguments"], "{}");
    assert_eq!(
        deltas(&events, "response.function_call_arguments.delta"),
        "{}{}"
    );
}

#[test]
fn arguments_before_the_name_wait_for_it_and_a_call_without_name_is_left_out() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            call(json!({"index":0,"id":"a","function":{"arguments":"{\"q\""}})),
            call(json!({"index":0,"function":{"name":"f","arguments":":1}"}})),
            call(json!({"index":1,"id":"b","function":{"arguments":"{}"}})),
            stop("tool_calls"),
        ],
    );
    let output = last(&events)["output"].as_array().expect("output");
    assert_eq!(output.len(), 1);
    assert_eq!(
        (&output[0]["name"], &output[0]["arguments"]),
        (&json!("f"), &json!("{\"q\":1}"))
    );
}

#[test]
fn calls_without_or_with_the_same_identifier_get_one() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})),
            call(json!({"index":1,"id":"a","function":{"name":"g","arguments":"{}"}})),
            call(json!({"index":2,"function":{"name":"h","arguments":"{}"}})),
            stop("tool_calls"),
        ],
    );
    let ids: Vec<&Value> = (0..3)
        .map(|i| &last(&events)["output"][i]["call_id"])
        .collect();
    assert_eq!(
        json!(ids),
        json!([
            "a",
            "call_abababababababababababababababab0001",
            "call_abababababababababababababababab0002"
        ])
    );
}

#[test]
fn an_empty_list_of_calls_beside_content_is_text() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            chunk(json!({"content":"hel","tool_calls":[]})),
            chunk(json!({"content":"lo","tool_calls":null})),
            stop("stop"),
        ],
    );
    assert_eq!(deltas(&events, "response.output_text.delta"), "hello");
}

#[test]
fn the_last_content_may_come_with_the_reason() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            text("hel"),
            json!({"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}],
                "usage":{"prompt_tokens":1,"completion_tokens":2}}),
        ],
    );
    assert_eq!(last(&events)["output"][0]["content"][0]["text"], "hello");
    assert_eq!(last(&events)["usage"]["total_tokens"], 3);
}

#[test]
fn counts_are_those_of_the_last_event_and_never_made_up() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            json!({"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}),
            json!({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}),
            json!({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":null}}),
        ],
    );
    assert_eq!(last(&events)["usage"]["output_tokens"], 2);
    assert_eq!(
        last(&events)["usage"]["input_tokens_details"],
        json!({"cached_tokens":0,"cache_write_tokens":0})
    );
    let events = streamed(&json!({"input":"x"}), &[text("a"), stop("stop")]);
    assert_eq!(last(&events)["usage"], Value::Null);
}

#[test]
fn only_the_first_choice_counts() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            json!({"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"},
                {"index":0,"delta":{"content":"yes"}}]}),
            stop("stop"),
        ],
    );
    assert_eq!(last(&events)["output"][0]["content"][0]["text"], "yes");
    assert_eq!(last(&events)["status"], "completed");
}

#[test]
fn white_space_between_reasoning_and_calls_is_no_message() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            chunk(json!({"reasoning":"why"})),
            text("\n\n"),
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})),
            text("\n"),
            call(json!({"index":1,"id":"b","function":{"name":"f","arguments":"{}"}})),
            stop("tool_calls"),
        ],
    );
    let types: Vec<&Value> = (0..3)
        .map(|i| &last(&events)["output"][i]["type"])
        .collect();
    assert_eq!(
        json!(types),
        json!(["reasoning", "function_call", "function_call"])
    );
}

#[test]
fn white_space_that_came_to_nothing_does_not_come_back() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            chunk(json!({"reasoning":"why"})),
            text("\n\n"),
            call(json!({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})),
            text(" so"),
            stop("stop"),
        ],
    );
    assert_eq!(last(&events)["output"][2]["content"][0]["text"], " so");
}

#[test]
fn white_space_before_text_is_part_of_it() {
    let events = streamed(
        &json!({"input":"x"}),
        &[text("\n"), text(" a"), text(" "), stop("stop")],
    );
    assert_eq!(last(&events)["output"][0]["content"][0]["text"], "\n a ");
}

#[test]
fn an_empty_answer_has_an_empty_message() {
    let events = streamed(
        &json!({"input":"x"}),
        &[chunk(json!({"content":null})), stop("stop")],
    );
    assert_eq!(
        last(&events)["output"][0]["content"],
        json!([{"type":"output_text","text":"","annotations":[],"logprobs":[]}])
    );
}

#[test]
fn a_refusal_is_a_part_of_its_own() {
    let events = streamed(
        &json!({"input":"x"}),
        &[
            text("well"),
            chunk(json!({"refusal":"I can"})),
            chunk(json!({"refusal":"not"})),
            stop("stop"),
        ],
    );
    assert_eq!(
        last(&events)["output"][0]["content"],
        json!([{"type":"output_text","text":"well","annotations":[],"logprobs":[]},
            {"type":"refusal","refusal":"I cannot"}])
    );
    assert_eq!(
        kinds(&events)[2..],
        [
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "content_part.added",
            "refusal.delta",
            "refusal.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
}

#[test]
fn log_probabilities_are_given_where_they_were_asked_for() {
    let token = json!({"token":"hi","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"ho","logprob":-1.5,"bytes":[104,111]}]});
    let chunks = [
        json!({"choices":[{"index":0,"delta":{"content":"hi"},"logprobs":{"content":[token]}}]}),
        stop("stop"),
    ];
    let request = json!({"input":"x","include":["message.output_text.logprobs"],"top_logprobs":1});
    let chat = chat(&request);
    assert_eq!(
        (&chat["logprobs"], &chat["top_logprobs"]),
        (&json!(true), &json!(1))
    );
    let events = streamed(&request, &chunks);
    let expected = json!([{"token":"hi","logprob":-0.5,"bytes":[],"top_logprobs":[{"token":"ho","logprob":-1.5,"bytes":[104,111]}]}]);
    assert_eq!(events[4]["logprobs"], expected);
    assert_eq!(
        last(&events)["output"][0]["content"][0]["logprobs"],
        expected
    );

    let events = streamed(&json!({"input":"x","top_logprobs":1}), &chunks);
    assert_eq!(events[4]["logprobs"], json!([]));
}

#[test]
fn text_in_custom_arguments_is_streamed_as_it_comes() {
    let request = json!({"input":"x","tools":[{"type":"custom","name":"apply_patch"}]});
    let events = streamed(
        &request,
        &[
            call(json!({"index":0,"id":"a","function":{"name":"apply_patch","arguments":""}})),
            call(json!({"index":0,"function":{"arguments":"{\"inp"}})),
            call(json!({"index":0,"function":{"arguments":"ut\": \"*** Begin\\"}})),
            call(json!({"index":0,"function":{"arguments":"n+\\u00"}})),
            call(json!({"index":0,"function":{"arguments":"e9\\\"\"}"}})),
            stop("tool_calls"),
        ],
    );
    let pieces: Vec<&str> = events
        .iter()
        .filter(|event| event["type"] == "response.custom_tool_call_input.delta")
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(pieces, ["*** Begin", "\n+", "é\""]);
    assert_eq!(last(&events)["output"][0]["input"], "*** Begin\n+é\"");
}

#[test]
fn keep_alives_are_data_events_with_the_next_number() {
    let translated = translated(&json!({"input":"x"}));
    let mut stream = translated.answer.stream();
    let mut out = Vec::new();
    stream.begin(&mut out);
    stream.keep_alive(&mut out);
    stream
        .event(&text("hi").to_string(), &mut out)
        .expect("an event");
    stream.keep_alive(&mut out);
    stream
        .event(&stop("stop").to_string(), &mut out)
        .expect("an event");
    stream.end(&mut out);
    let length = out.len();
    stream.keep_alive(&mut out);
    assert_eq!(out.len(), length, "nothing follows the last event");
    let events = events(&out);
    assert_eq!(kinds(&events)[2], "in_progress");
    assert_eq!(kinds(&events)[6], "in_progress");
    assert_eq!(events[2]["response"], events[1]["response"]);
    assert_eq!(last(&events)["output"][0]["content"][0]["text"], "hi");
}
