// The openai package over Responses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { model, openai, user, weather, without } from './support.mjs';

const tools = [{ type: 'function', name: 'weather', description: 'd', strict: true, parameters: weather }];
const KINDS = {
  text: { input: 'Why is the sky blue?' },
  unicode: { input: 'spell naïve 日本語 🦭 text' },
  'text and two tools': { input: 'say look ; call weather {"city":"A"} ; call weather {"city":"B"}', tools },
  'custom tool': { input: 'call patch {"input":"*** a\\n\\"b\\""}', tools: [{ type: 'custom', name: 'patch' }] },
  thinking: { input: 'think first this ; say then that' },
  'thinking and tool': { input: 'think first this ; call weather {"city":"A"}', tools },
};

for (const [name, kind] of Object.entries(KINDS)) {
  test(`streamed answer accumulates to the whole one: ${name}`, async () => {
    const whole = await openai().responses.create({ model, ...kind });
    const accumulated = await openai().responses.stream({ model, ...kind }).finalResponse();
    const own = ['id', 'created_at', 'completed_at', 'parsed', 'parsed_arguments', 'output_parsed', '_request_id'];
    assert.deepEqual(without(accumulated, ...own), without(whole, ...own));
    assert.ok(whole.usage.output_tokens > 0);
  });
}

test('function tool round trip', async () => {
  const asked = user('think it may rain ; call weather {"city":"Łódź"}');
  const first = await openai().responses.create({ model, input: asked, tools });
  const call = first.output.find((item) => item.type === 'function_call');
  assert.deepEqual(JSON.parse(call.arguments), { city: 'Łódź' });
  const result = { type: 'function_call_output', call_id: call.call_id, output: 'dry' };
  const second = await openai().responses.create({ model, input: [...asked, ...first.output, result], tools });
  assert.equal(second.output_text, 'The tool said: dry (I had thought: it may rain)');
});

test('a broken stream fails the response', async () => {
  for (const prompt of ['say one ; break 500 out of memory', 'say one ; cut', 'say one ; end']) {
    const kinds = [];
    for await (const event of await openai().responses.create({ model, input: prompt, stream: true })) kinds.push(event.type);
    assert.equal(kinds.at(-1), 'response.failed', prompt);
  }
});
