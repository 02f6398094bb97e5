"""The `openai` package over Completions, Embeddings and Models."""

import openai
import pytest

from rig import MODEL, openai_client


def loose(system):
    """The package has one type for whole and streamed completions, and none of its reasons to finish is null."""
    return openai_client(system, _strict_response_validation=False)


def completed(stream):
    """Text and last reason of each choice."""
    texts, reasons = {}, {}
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
            reasons[choice.index] = choice.finish_reason or reasons.get(choice.index)
    return [(texts[index], reasons[index]) for index in sorted(texts)]


@pytest.mark.parametrize(
    "asked",
    [
        {"prompt": "hello"},
        {"prompt": "say one two", "n": 2},
        {"prompt": ["say one", "say two"]},
        {"prompt": "say two three", "echo": True},
        {"prompt": [1, 2, 3]},
        {"prompt": "say one two three", "max_tokens": 2},
        {"prompt": "say one two three", "stop": "two"},
    ],
    ids=lambda asked: " ".join(asked) + f" {type(asked['prompt']).__name__}",
)
def test_completions_streamed_and_whole_are_the_same(system, asked):
    whole = openai_client(system).completions.create(model=MODEL, **asked)
    streamed = completed(loose(system).completions.create(model=MODEL, stream=True, **asked))
    assert streamed == [(choice.text, choice.finish_reason) for choice in whole.choices]


def test_completion_with_shown_tokens(system):
    choice = openai_client(system).completions.create(model=MODEL, prompt="say one two", logprobs=1).choices[0]
    assert choice.logprobs.tokens == ["one ", "two"]
    assert choice.logprobs.text_offset == [0, 4]


def test_completion_usage_in_a_stream_only_if_asked_for(system):
    def chunks(**more):
        return list(loose(system).completions.create(model=MODEL, prompt="hello", stream=True, **more))

    assert not any(chunk.usage for chunk in chunks())
    assert chunks(stream_options={"include_usage": True})[-1].usage.prompt_tokens == 1


def test_embeddings(system):
    client = openai_client(system, _strict_response_validation=False)
    answer = client.embeddings.create(model=MODEL, input=["one", "two", "one"])
    first, second, third = (item.embedding for item in answer.data)
    assert len(first) == 8 and first == third != second
    assert answer.usage.prompt_tokens == 3
    assert len(client.embeddings.create(model=MODEL, input="one", dimensions=3).data[0].embedding) == 3


def test_embeddings_packed_and_as_numbers_are_the_same(system):
    """The package asks for base64 by itself and unpacks it; what it checks strictly are numbers."""
    client = openai_client(system, _strict_response_validation=False)
    packed = client.embeddings.create(model=MODEL, input="one").data[0].embedding
    plain = client.embeddings.create(model=MODEL, input="one", encoding_format="float").data[0].embedding
    assert packed == plain
    raw = client.embeddings.create(model=MODEL, input="one", encoding_format="base64").data[0].embedding
    assert isinstance(raw, str)


def test_models(system):
    client = openai_client(system)
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"


def test_an_unknown_model_is_404(small):
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client(small).embeddings.create(model="no-such-model", input="x")
    assert caught.value.code == "model_not_found"
