// What Chromium lets a page do with a relay: nothing of sealwire in the page, so it shows the relay's part alone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MODEL, Parts } from './harness.mjs';

const parts = new Parts();
let allowed, other, browser, system, closed;

before(async () => {
  [allowed, other] = [await parts.pages(), await parts.pages()];
  system = await parts.system([allowed]);
  closed = await parts.relay(system.instance, []);
  browser = await parts.browser();
});
after(() => parts.stop());

async function open(origin) {
  const page = await browser.newPage();
  await page.goto(origin);
  await page.waitForFunction(() => window.ready);
  return page;
}

/// A sealed request's fields with a body that is none: it needs a preflight and gets a problem document.
const POST = {
  method: 'POST',
  headers: {
    'content-type': 'application/vnd.sealwire.request',
    'cache-control': 'no-store, no-transform',
    'sealwire-context': 'AA',
    authorization: 'Bearer a-key',
  },
  body: 'HELLO',
};

async function tries(page, relay) {
  const ask = (path, options) => page.evaluate(([url, options]) => window.request(url, options), [relay + path, options]);
  return [
    await ask(`/sealwire/v1/bundles?label=${MODEL}&single_use=true`),
    await ask('/v1/models'),
    await ask('/sealwire/v1/requests', POST),
  ];
}

test('a page of a named origin reads answers and errors', async () => {
  const page = await open(allowed);
  const [bundles, models, refusal] = await tries(page, system.tee.url);
  assert.equal(bundles.status, 200);
  assert.equal(typeof JSON.parse(bundles.text).bundles[0].bundle, 'string');
  assert.deepEqual(JSON.parse(models.text).data.map(({ id }) => id), [MODEL]);
  assert.equal(refusal.status, 400);
  assert.equal(refusal.type, 'application/problem+json');
  assert.equal(JSON.parse(refusal.text).code, 'refused');
  const up = system.tee.up();
  assert.match(up, /OPTIONS \/sealwire\/v1\/requests /);
  assert.match(up, /POST \/sealwire\/v1\/requests /);
  await page.close();
});

test('a page of another origin reads nothing, and its request is not sent', async () => {
  const tee = await parts.tee(system.relay);
  const page = await open(other);
  const failed = { failed: 'TypeError' };
  assert.deepEqual(await tries(page, tee.url), [failed, failed, failed]);
  assert.match(tee.up(), /OPTIONS \/sealwire\/v1\/requests /);
  assert.doesNotMatch(tee.up(), /POST \/sealwire\/v1\/requests /);
  assert.doesNotMatch(tee.down().toLowerCase(), /access-control-/);
  await page.close();
});

test('a relay without a list serves no page', async () => {
  const page = await open(allowed);
  const failed = { failed: 'TypeError' };
  assert.deepEqual(await tries(page, closed.tee.url), [failed, failed, failed]);
  assert.doesNotMatch(closed.tee.up(), /POST \/sealwire\/v1\/requests /);
  assert.doesNotMatch(closed.tee.down().toLowerCase(), /access-control-|vary/);
  await page.close();
});
