// Processes, a tee, page servers and Chromium for the browser tests. Everything is on loopback.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, existsSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PACKAGE = path.resolve(HERE, '../../clients/typescript');
const START_TIME = 20_000;

export const MODEL = 'demo';
export const IN_CI = !['', 'false', undefined].includes(process.env.CI);

/// Everything that a test has started, ended in reverse order.
export class Parts {
  #stops = [];
  #home;

  /// Away from the settings and the state of whoever runs the tests.
  #env() {
    if (!this.#home) {
      const home = mkdtempSync(path.join(tmpdir(), 'sealwire-home-'));
      this.#home = home;
      this.add(async () => rmSync(home, { recursive: true, force: true }));
    }
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('SEALWIRE_'));
    return { ...Object.fromEntries(own), XDG_CONFIG_HOME: this.#home, XDG_STATE_HOME: this.#home };
  }

  add(stop) {
    this.#stops.push(stop);
  }

  async stop() {
    for (const stop of this.#stops.reverse()) await stop();
    this.#stops = [];
  }

  /// `sealwire SUBCOMMAND`; gives a function that waits for the rest of a printed line that begins with a word.
  run(subcommand, ...args) {
    const binary = process.env.SEALWIRE_BIN;
    if (!binary) throw new Error('set SEALWIRE_BIN to the built binary, or run `cargo xtask browser`');
    const child = spawn(binary, [subcommand, '--listen', '127.0.0.1:0', ...args], { stdio: ['ignore', 'pipe', 'inherit'], env: this.#env() });
    let printed = '';
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.once('error', (error) => child.emit('exit', error));
    child.stdout.setEncoding('utf8').on('data', (data) => {
      printed += data;
      child.emit('printed');
    });
    this.add(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    return async (word) => {
      const deadline = Date.now() + START_TIME;
      for (;;) {
        const line = printed.split('\n').slice(0, -1).find((text) => text.startsWith(`${word} `));
        if (line) return line.slice(word.length + 1).trim();
        if (child.exitCode !== null || Date.now() > deadline) throw new Error(`sealwire ${subcommand} printed no ${word} line: ${printed}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
  }

  /// Forwards TCP connections and keeps every byte: what stands before the relay sees what the relay sees.
  async tee(target) {
    const { hostname, port } = new URL(target);
    const seen = { up: [], down: [] };
    const sockets = new Set();
    const server = createTcpServer((near) => {
      const far = connect(Number(port), hostname);
      for (const [from, to, kept] of [[near, far, seen.up], [far, near, seen.down]]) {
        sockets.add(from);
        from.setNoDelay(true);
        from.on('data', (data) => kept.push(data));
        from.on('error', () => to.destroy());
        from.on('close', () => sockets.delete(from));
        from.pipe(to);
      }
    });
    const url = await listen(server);
    this.add(() => close(server, sockets));
    return { url, up: () => Buffer.concat(seen.up).toString('latin1'), down: () => Buffer.concat(seen.down).toString('latin1') };
  }

  /// Model, instance, relay, and the tee before the relay.
  async system(corsOrigins, { tokenDelay = 1 } = {}) {
    const model = await this.run('demo-model', '--model', MODEL, '--token-delay-ms', String(tokenDelay))('listening');
    const instance = this.run('instance', '--upstream', model, '--model', MODEL, '--evidence', 'none');
    const identity = Buffer.from(await instance('identity'), 'base64url');
    const relay = await this.relay(await instance('listening'), corsOrigins);
    return { model, identity, instance: await instance('listening'), ...relay };
  }

  /// A relay before an instance, and the tee before it.
  async relay(instance, corsOrigins) {
    const url = await this.run('relay', '--instance', instance, ...corsOrigins.flatMap((origin) => ['--cors-origin', origin]))('listening');
    const deadline = Date.now() + START_TIME;
    for (;;) {
      const models = await (await fetch(`${url}/v1/models`)).json();
      if (models.data.some(({ id }) => id === MODEL)) break;
      if (Date.now() > deadline) throw new Error('the relay does not find its instance');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { relay: url, tee: await this.tee(url) };
  }

  /// Serves the page, and the package with what it imports. Each call is another origin.
  async pages() {
    const sockets = new Set();
    const server = createHttpServer((request, response) => {
      const file = serve(new URL(request.url, 'http://page').pathname);
      response.writeHead(file ? 200 : 404, { 'content-type': file?.type ?? 'text/plain', 'cache-control': 'no-store' });
      response.end(file?.content ?? 'not found');
    });
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    const url = await listen(server);
    this.add(() => close(server, sockets));
    return url;
  }

  /// Chromium with a profile of its own.
  async browser() {
    const profile = mkdtempSync(path.join(tmpdir(), 'sealwire-browser-'));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      headless: true,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    this.add(async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    });
    return context;
  }
}

async function listen(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

async function close(server, sockets) {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of sockets) socket.destroy();
  await closed;
}

/// Why the package is not there, if it is not.
export function missingPackage() {
  if (!existsSync(path.join(PACKAGE, 'package.json'))) return 'no TypeScript package: clients/typescript/package.json is not there';
  const entry = entries(PACKAGE, '/package').find(([name]) => name === packageName(PACKAGE));
  if (!entry || !existsSync(onDisk(entry[1]))) return 'the TypeScript package is not built: npm ci and npm run build in clients/typescript';
  return undefined;
}

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.json': 'application/json', '.map': 'application/json' };

function serve(pathname) {
  if (pathname === '/') return { type: TYPES['.html'], content: page() };
  const file = onDisk(pathname);
  if (!file || !existsSync(file)) return undefined;
  const type = TYPES[path.extname(file)];
  return type && { type, content: readFileSync(file) };
}

/// `/package/..` is the package's folder. Nothing outside of it is served.
function onDisk(pathname) {
  if (!pathname.startsWith('/package/')) return undefined;
  const file = path.resolve(PACKAGE, `.${pathname.slice('/package'.length)}`);
  return file.startsWith(PACKAGE + path.sep) ? file : undefined;
}

function page() {
  const map = JSON.stringify(importMap());
  return readFileSync(path.join(HERE, 'page.html'), 'utf8').replace('IMPORT_MAP', () => map);
}

function importMap() {
  if (missingPackage()) return { imports: {} };
  const imports = Object.fromEntries(entries(PACKAGE, '/package'));
  const scopes = {};
  addDependencies(PACKAGE, '/package', imports, scopes);
  return { imports, scopes };
}

/// The packages of `@noble` below a folder. One that brings packages of its own sees these first.
function addDependencies(folder, url, imports, scopes) {
  const below = path.join(folder, 'node_modules/@noble');
  if (!existsSync(below)) return;
  for (const name of readdirSync(below)) {
    const [from, to] = [path.join(below, name), `${url}/node_modules/@noble/${name}`];
    for (const [specifier, target] of entries(from, to)) imports[specifier] = target;
    const own = {};
    addDependencies(from, to, own, scopes);
    if (Object.keys(own).length) scopes[`${to}/`] = own;
  }
}

function packageName(folder) {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).name;
}

/// What a package exports to browsers, as entries of an import map.
function entries(folder, url) {
  const { name, exports, module, main } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const byPath = typeof exports === 'object' && Object.keys(exports).some((key) => key.startsWith('.')) ? exports : { '.': exports ?? module ?? main };
  return Object.entries(byPath)
    .map(([key, target]) => [name + key.slice(1), forBrowsers(target)])
    .filter(([specifier, target]) => target && !specifier.includes('*'))
    .map(([specifier, target]) => [specifier, `${url}/${target.replace(/^\.\//, '')}`]);
}

/// The first condition that holds in a browser's module, as the package lists them.
function forBrowsers(target) {
  if (typeof target === 'string') return target;
  if (Array.isArray(target)) return target.map(forBrowsers).find(Boolean);
  for (const [condition, next] of Object.entries(target ?? {})) {
    if (!['browser', 'import', 'module', 'default'].includes(condition)) continue;
    const found = forBrowsers(next);
    if (found) return found;
  }
  return undefined;
}
