#!/usr/bin/env node
/** An instance for interoperability tests, in front of an OpenAI-compatible model server. */

import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { fromHex, toHex } from '../bytes.js';
import type { PaddingWish } from '../inner.js';
import { Instance } from '../instance.js';
import { createInstanceServer } from './instance-server.js';

const { values } = parseArgs({
  options: {
    listen: { type: 'string', default: '127.0.0.1:0' },
    label: { type: 'string', multiple: true },
    upstream: { type: 'string' },
    'identity-seed': { type: 'string' },
    suites: { type: 'string', default: '1,2' },
    padding: { type: 'string', default: 'none' },
  },
});
const { label: labels, upstream, 'identity-seed': seed } = values;
if (labels === undefined || upstream === undefined || seed === undefined) {
  process.stderr.write(
    'usage: instance-cli --label NAME --upstream URL --identity-seed HEX [--listen ADDRESS:PORT] [--suites 1,2] [--padding POLICY]\n',
  );
  process.exit(2);
}
const identitySeed = fromHex(seed);
const instance = new Instance({ identitySeed });
const server = createInstanceServer({
  instance,
  labels,
  upstream,
  suites: values.suites.split(',').map(Number),
  padding: values.padding as PaddingWish,
});
const [host = '127.0.0.1', port = '0'] = values.listen.split(/:(?=\d+$)/);
server.listen(Number(port), host, () => {
  const address = server.address() as AddressInfo;
  process.stdout.write(`listening http://${host}:${address.port} identity ${toHex(instance.identity)}\n`);
});
