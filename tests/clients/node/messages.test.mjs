// The @anthropic-ai/sdk package.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { anthropic, model, user, weather, without } from './support.mjs';

const tools = [{ name: 'weather', description: 'd', input_schema: weather }];
const KINDS = {
  text: { messages: user('Why is the sky blue?') },
  unicode: { messages: user('spell naïve 日本語 🦭 text') },
  'text and two tools': { messages: user('say look ; call weather {"city":"A"} ; call weather {"city":"B"}'), tools },
  thinking: { messages: user('think first this ; say then that') },
  'thinking and tool': { messages: user('think first this ; call weather {"city":"A"}'), tools },
  'cut short': { messages: user('hello'), max_tokens: 3 },
  stopped: { messages: user('say one two three'), stop_sequences: ['two'] },
};

for (const [name, kind] of Object.entries(KINDS)) {
  test(`streamed answer accumulates to the whole one: ${name}`, async () => {
    const asked = { model, max_tokens: 1000, ...kind };
    const whole = await anthropic().messages.create(asked);
    const accumulated = await anthropic().messages.stream(asked).finalMessage();
    const own = ['id', 'signature', '_request_id', 'parsed_output'];
    assert.deepEqual(without(accumulated, ...own), without(whole, ...own));
    assert.ok(whole.usage.output_tokens > 0);
  });
}

test('tool runner', async () => {
  const asked = [];
  const tool = betaTool({
    name: 'weather',
    description: 'd',
    inputSchema: weather,
    run: ({ city }) => {
      asked.push(city);
      return `${city} is dry`;
    },
  });
  for (const stream of [false, true]) {
    const messages = user('think it may rain ; call weather {"city":"Paris"}');
    const runner = anthropic().beta.messages.toolRunner({ model, max_tokens: 1000, messages, tools: [tool], stream });
    const last = await runner.runUntilDone();
    assert.equal(last.content.at(-1).text, 'The tool said: Paris is dry (I had thought: it may rain)');
  }
  assert.deepEqual(asked, ['Paris', 'Paris']);
});

test('count_tokens and models', async () => {
  const counted = await anthropic().messages.countTokens({ model, messages: user('hello') });
  assert.ok(counted.input_tokens > 0);
  const names = [];
  for await (const listed of anthropic().models.list()) names.push(listed.id);
  assert.deepEqual(names, [model]);
});

test('errors are of the package\'s own classes', async () => {
  const classes = { 400: Anthropic.BadRequestError, 404: Anthropic.NotFoundError, 429: Anthropic.RateLimitError, 500: Anthropic.InternalServerError };
  for (const [status, kind] of Object.entries(classes)) {
    for (const stream of [false, true]) {
      const asked = { model, max_tokens: 10, messages: user(`fail ${status} no luck`), stream };
      await assert.rejects(anthropic().messages.create(asked), (error) => {
        assert.ok(error instanceof kind, `${status}: ${error}`);
        assert.equal(error.error.error.message, 'no luck');
        assert.match(error.requestID, /^req_/);
        return true;
      });
    }
  }
});

test('a broken stream is thrown', async () => {
  for (const prompt of ['say one ; break 500 out of memory', 'say one ; cut', 'say one ; end']) {
    const stream = anthropic().messages.stream({ model, max_tokens: 10, messages: user(prompt) });
    await assert.rejects(stream.finalMessage(), Anthropic.AnthropicError, prompt);
  }
});
