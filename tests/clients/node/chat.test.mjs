// The openai package over Chat Completions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { eventually, model, openai, tally, user, weather, without } from './support.mjs';

const tools = [{ type: 'function', function: { name: 'weather', parameters: weather } }];
const KINDS = {
  text: { messages: user('Why is the sky blue?') },
  unicode: { messages: user('spell naïve 日本語 🦭 text') },
  'one tool': { messages: user('call weather {"city":"Łódź"}'), tools },
  'text and two tools': { messages: user('say look ; call weather {"city":"A"} ; call weather {"city":"B"}'), tools },
  several: { messages: user('hello'), n: 2 },
  'shown tokens': { messages: user('say one two'), logprobs: true, top_logprobs: 1 },
};

for (const [name, kind] of Object.entries(KINDS)) {
  test(`streamed answer accumulates to the whole one: ${name}`, async () => {
    const whole = await openai().chat.completions.create({ model, ...kind });
    const accumulated = await openai().chat.completions.stream({ model, ...kind, stream_options: { include_usage: true } }).finalChatCompletion();
    const own = ['created', 'parsed', 'parsed_arguments', 'stop_reason'];
    const ours = without(accumulated, ...own);
    // The helper keeps the usage beside the completion.
    const { usage, ...rest } = without(whole, ...own);
    delete ours.usage;
    assert.deepEqual(ours, rest);
    assert.ok(usage.completion_tokens > 0);
  });
}

test('usage of a stream', async () => {
  const stream = openai().chat.completions.stream({ model, messages: user('say one two'), stream_options: { include_usage: true } });
  assert.equal((await stream.totalUsage()).completion_tokens, 2);
});

test('tools runner', async () => {
  const asked = [];
  const runner = openai().chat.completions.runTools({
    model,
    messages: user('call weather {"city":"Paris"} ; call weather {"city":"Rome"}'),
    tools: [
      {
        type: 'function',
        function: {
          name: 'weather',
          parameters: weather,
          parse: JSON.parse,
          function: ({ city }) => {
            asked.push(city);
            return `${city} is dry`;
          },
        },
      },
    ],
  });
  assert.equal(await runner.finalContent(), 'The tool said: Paris is dry | Rome is dry');
  assert.deepEqual(asked, ['Paris', 'Rome']);
});

test('tools runner, streamed', async () => {
  const runner = openai().chat.completions.runTools({
    model,
    stream: true,
    messages: user('say look ; call weather {"city":"Paris"}'),
    tools: [{ type: 'function', function: { name: 'weather', parameters: weather, parse: JSON.parse, function: () => 'dry' } }],
  });
  assert.equal(await runner.finalContent(), 'The tool said: dry');
});

test('parsed answer', async () => {
  const Plan = z.object({ steps: z.array(z.object({ done: z.boolean() })), total: z.number() });
  const asked = { model, messages: user('hello'), response_format: zodResponseFormat(Plan, 'plan') };
  const whole = await openai().chat.completions.parse(asked);
  assert.deepEqual(whole.choices[0].message.parsed, { steps: [{ done: true }], total: 1 });
  const streamed = await openai().chat.completions.stream(asked).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, whole.choices[0].message.parsed);
});

test('errors are of the package\'s own classes', async () => {
  const classes = { 400: OpenAI.BadRequestError, 404: OpenAI.NotFoundError, 429: OpenAI.RateLimitError, 500: OpenAI.InternalServerError };
  for (const [status, kind] of Object.entries(classes)) {
    for (const stream of [false, true]) {
      await assert.rejects(openai().chat.completions.create({ model, messages: user(`fail ${status} no luck`), stream }), (error) => {
        assert.ok(error instanceof kind, `${status}: ${error}`);
        assert.equal(error.error.message, 'no luck');
        assert.match(error.requestID, /^req_/);
        return true;
      });
    }
  }
});

test('an error in mid stream is thrown', async () => {
  let text = '';
  const stream = await openai().chat.completions.create({ model, messages: user('say one ; break 500 out of memory'), stream: true });
  await assert.rejects(async () => {
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  }, /out of memory/);
  assert.equal(text, 'one');
});

test('a stream that is given up stops the model', async () => {
  const before = (await tally()).given_up;
  const stream = await openai().chat.completions.create({ model, messages: user('say one ; wait 50 ; say late'), stream: true });
  for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
  assert.ok(await eventually(async () => (await tally()).given_up > before));
});

test('embeddings, packed and as numbers', async () => {
  const plain = await openai().embeddings.create({ model, input: ['one', 'two'], encoding_format: 'float' });
  const packed = await openai().embeddings.create({ model, input: ['one', 'two'] });
  assert.deepEqual(packed.data, plain.data);
});

test('models', async () => {
  const names = [];
  for await (const listed of openai().models.list()) names.push(listed.id);
  assert.deepEqual(names, [model]);
  assert.equal((await openai().models.retrieve(model)).object, 'model');
});
