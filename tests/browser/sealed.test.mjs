// A sealed chat from a page of another origin than the relay's, with the TypeScript package as it is built.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { IN_CI, MODEL, Parts, missingPackage } from './harness.mjs';

const QUESTION = 'Why is the sky blue? My secret word is xylograph.';
const missing = missingPackage();
const skip = missing !== undefined && !IN_CI && missing;
const parts = new Parts();
let allowed, other, browser, system, closed;

before(async () => {
  if (missing !== undefined && IN_CI) throw new Error(missing);
  if (missing !== undefined) return;
  [allowed, other] = [await parts.pages(), await parts.pages()];
  system = await parts.system([allowed], { tokenDelay: 30 });
  closed = await parts.relay(system.instance, []);
  browser = await parts.browser();
});
after(() => parts.stop());

async function chat(origin, relay) {
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(origin);
  await page.waitForFunction(() => window.ready);
  const asked = { relay, label: MODEL, identity: [...system.identity], question: QUESTION };
  const result = await page.evaluate((asked) => window.chat(asked), asked);
  await page.close();
  assert.deepEqual(complaints, []);
  return result;
}

async function direct() {
  const response = await fetch(`${system.model}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: QUESTION }] }),
  });
  return (await response.json()).choices[0].message.content;
}

test('tokens appear one after the other, and the relay sees none of them', { skip }, async () => {
  const result = await chat(allowed, system.tee.url);
  assert.equal(result.failed, undefined, `${result.code}: ${result.message}`);
  const expected = await direct();
  assert.equal(result.status, 200);
  assert.equal(result.text, expected);
  assert.equal(result.rest, '');
  assert.ok(result.done, 'the answer ends with [DONE]');
  assert.ok(result.shown.length >= 5, `the page showed ${result.shown.length} states`);
  for (const text of result.shown) assert.ok(expected.startsWith(text), text);
  const [up, down] = [system.tee.up(), system.tee.down()];
  // The tee works: what travels in clear is there.
  assert.ok(up.toLowerCase().includes('sealwire-context: '), 'no sealed request went up');
  assert.ok(up.includes('single_use=true'), 'no single-use bundle was asked for');
  assert.ok(down.includes('application/vnd.sealwire.response'), 'no sealed answer came down');
  for (const word of ['xylograph', 'Why is the sky', 'scatters', 'atmosphere', '"choices"', '"messages"']) {
    assert.ok(!up.includes(word) && !down.includes(word), `the relay saw ${word}`);
  }
});

test('a page of another origin gets no answer', { skip }, async () => {
  const result = await chat(other, system.tee.url);
  assert.ok(result.failed, 'it failed');
  assert.equal(result.text, '');
});

test('without --cors-origin a page gets no answer', { skip }, async () => {
  const result = await chat(allowed, closed.tee.url);
  assert.ok(result.failed, 'it failed');
  assert.equal(result.text, '');
  assert.ok(!closed.tee.up().includes('POST /sealwire/v1/requests '), 'the request was sent');
});
