// The proxy's status page in Chromium: what it shows, and that nothing that others name runs in it or makes it ask elsewhere.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { MODEL, Parts } from './harness.mjs';

const HOSTILE = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>';
const parts = new Parts();
let browser, system, pin;

before(async () => {
  system = await parts.system([]);
  pin = Buffer.from(system.identity).toString('base64url');
  browser = await parts.browser();
});
after(() => parts.stop());

const proxy = (...args) => parts.run('proxy', ...args)('listening');

/// A page at `url`, every address that it asked for, and everything that it complained of.
async function open(url) {
  const page = await browser.newPage();
  const [asked, complaints] = [[], []];
  page.on('request', (request) => asked.push(request.url()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, asked, complaints };
}

const shown = (page, id) => page.locator(`#${id}`).innerText();
const live = (page) => page.waitForFunction(() => document.getElementById('state').textContent === 'live');
const contains = (page, id, text) => page.waitForFunction(([id, text]) => document.getElementById(id).textContent.includes(text), [id, text]);

async function ask(url, model, headers = {}) {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'What is the capital of France? My word is xylograph.' }] }),
  });
  return [response.status, await response.text()];
}

test('a finished request, its model and its instance are shown, and nothing that was said', async () => {
  const url = await proxy('--relay', system.relay, '--pin', pin, '--alias', `haiku=${MODEL}`);
  const { page, asked, complaints } = await open(url);
  await live(page);
  assert.match(await shown(page, 'requests'), /None yet/);
  const [status, answer] = await ask(url, MODEL);
  assert.equal(status, 200, answer);
  await contains(page, 'requests', MODEL);
  await contains(page, 'instances', pin);
  const [requests, instances, models] = [await shown(page, 'requests'), await shown(page, 'instances'), await shown(page, 'models')];
  assert.match(requests, /200/);
  assert.match(requests, /\d+ B/);
  assert.match(instances, /pinned/);
  assert.ok(models.includes(MODEL) && models.includes('haiku'), models);
  const text = await page.evaluate(() => document.documentElement.outerHTML);
  assert.ok(!text.includes('xylograph') && !text.includes('Paris'), 'what was said is on the page');
  assert.deepEqual(complaints, []);
  assert.ok(asked.length >= 4, asked.join(' '));
  for (const address of asked) assert.ok(address.startsWith(`${url}/`) || address.startsWith('data:'), address);
  await page.close();
});

test('a name that is markup is text', async () => {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/v1/models' ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ object: 'list', data: [{ id: HOSTILE }] }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  parts.add(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
  const url = await proxy('--relay', `http://127.0.0.1:${server.address().port}`, '--insecure-trust-relay', '--alias', `${HOSTILE.replaceAll('=', ':')}=x`);
  await ask(url, HOSTILE);
  const { page, asked } = await open(url);
  await live(page);
  await contains(page, 'models', '<script>');
  await contains(page, 'requests', '<script>');
  assert.equal(await page.evaluate(() => window.taken), undefined);
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.equal(await page.locator('#alarm').isVisible(), true);
  for (const address of asked) assert.ok(address.startsWith(`${url}/`) || address.startsWith('data:'), address);
  await page.close();
});

test('the page may run no other script and ask no other server', async () => {
  const url = await proxy('--relay', system.relay, '--pin', pin);
  const { page } = await open(url);
  await live(page);
  const tries = await page.evaluate(async (elsewhere) => {
    const answer = await fetch(`${elsewhere}/v1/models`, { mode: 'no-cors' }).then(() => 'sent', () => 'refused');
    const script = document.createElement('script');
    let inline = 'refused';
    try {
      script.textContent = 'window.taken = 1';
      document.body.append(script);
    } catch {
      inline = 'refused as a sink';
    }
    return { answer, taken: window.taken, inline };
  }, system.relay);
  assert.equal(tries.answer, 'refused');
  assert.equal(tries.taken, undefined);
  const framed = await fetch(url);
  assert.match(framed.headers.get('content-security-policy'), /frame-ancestors 'none'/);
  await page.close();
});

test('a proxy with a key shows its state to who has the key', async () => {
  const url = await proxy('--relay', system.relay, '--pin', pin, '--app-key', 'sk-app');
  assert.equal((await fetch(`${url}/`, { method: 'HEAD' })).status, 200);
  assert.equal((await fetch(`${url}/status`)).status, 401);
  const { page, complaints } = await open(url);
  await page.locator('#door').waitFor({ state: 'visible' });
  assert.equal(await page.locator('#facts > div').count(), 0);
  await page.fill('#key', 'sk-app');
  await page.click('#door button');
  await live(page);
  await contains(page, 'facts', system.relay);
  assert.equal(await page.locator('#door').isVisible(), false);
  assert.deepEqual(complaints, []);
  await page.close();
});

test('it fits a phone', async () => {
  const url = await proxy('--relay', system.relay, '--pin', pin);
  await ask(url, MODEL);
  const { page } = await open(url);
  await page.setViewportSize({ width: 360, height: 740 });
  await contains(page, 'requests', MODEL);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0);
  await page.close();
});
