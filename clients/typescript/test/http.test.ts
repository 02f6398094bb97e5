import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as sw from '../src/index.js';
import { eventData, EventSplitter } from '../src/sse.js';
import { objectMembers } from '../src/json-members.js';
import { randomizer, text, untext } from './helpers.js';

describe('binary HTTP', () => {
  const head = sw.encodeResponseHead({ status: 200, fields: [['content-type', 'text/plain']] });
  const message = sw.concat(head, sw.encodeContent(text('hello ')), sw.encodeContent(text('world')), sw.encodeEnd());

  test('a response in any pieces', () => {
    for (let size = 1; size < message.length; size++) {
      const reader = new sw.MessageReader<sw.ResponseHead>('response');
      for (let at = 0; at < message.length; at += size) reader.push(message.subarray(at, at + size));
      reader.finish();
      assert.equal(reader.head?.status, 200);
      assert.equal(untext(reader.takeContent()), 'hello world');
    }
  });

  test('it may end before an empty content or empty trailers, and nowhere else', () => {
    const whole = [head.length, message.length - 1, message.length];
    for (let length = 0; length < message.length; length++) {
      const reader = new sw.MessageReader<sw.ResponseHead>('response');
      reader.push(message.subarray(0, length));
      if (whole.includes(length)) reader.finish();
      else assert.throws(() => reader.finish(), sw.MessageError, String(length));
    }
  });

  test('hostile bytes give typed errors', () => {
    const random = randomizer(5);
    for (let round = 0; round < 3_000; round++) {
      const bad = message.slice();
      for (let n = random.below(4); n >= 0; n--) bad[random.below(bad.length)] = random.below(256);
      const reader = new sw.MessageReader<sw.ResponseHead>('response', { maxHead: 200, maxContent: 100 });
      try {
        reader.push(bad);
        reader.finish();
      } catch (error) {
        assert.ok(error instanceof sw.MessageFault);
      }
    }
  });
});

describe('usage in a request', () => {
  const cases: [string, string][] = [
    ['{"model":"m","stream":true}', '{"stream_options":{"include_usage":true},"model":"m","stream":true}'],
    [
      ' { "stream" : true , "stream_options" : { "x" : 1 } } ',
      ' { "stream" : true , "stream_options" : {"include_usage":true, "x" : 1 } } ',
    ],
    ['{"stream":true,"stream_options":{"include_usage":false}}', '{"stream":true,"stream_options":{"include_usage":true}}'],
    ['{"stream":true,"stream_options":null}', '{"stream":true,"stream_options":{"include_usage":true}}'],
    ['{"stream":true,"stream_options":{}}', '{"stream":true,"stream_options":{"include_usage":true}}'],
  ];
  for (const [before, after] of cases) {
    test(before, () => assert.deepEqual([untext(sw.withUsage(text(before)).content), sw.withUsage(text(before)).added], [after, true]));
  }
  for (const same of ['{"stream":false}', '{"stream":true,"stream_options":{"include_usage":true}}', '{"stream":"true"}']) {
    test(same, () => assert.deepEqual([untext(sw.withUsage(text(same)).content), sw.withUsage(text(same)).added], [same, false]));
  }

  test('members of an object with their places', () => {
    const json = '{ "a\\u0062" : [1, {"x": "]}\\""}, 2] , "c":-1.5e3,"d":{},"e":"" ,"f":null}';
    const members = objectMembers(json) ?? [];
    assert.deepEqual(
      members.map((m) => m.name),
      ['ab', 'c', 'd', 'e', 'f'],
    );
    assert.deepEqual(
      members.map((m) => json.slice(m.valueStart, m.valueEnd)),
      ['[1, {"x": "]}\\""}, 2]', '-1.5e3', '{}', '""', 'null'],
    );
    for (const none of ['', '[]', '1', '{', '{"a":1}x', 'null']) assert.equal(objectMembers(none), undefined);
  });
});

describe('events', () => {
  test('line ends of all kinds', () => {
    const stream = text('data: a\n\ndata: b\r\n\r\ndata: c\r\rdata:d\ndata: e\n\nrest');
    for (let size = 1; size < 20; size++) {
      const splitter = new EventSplitter();
      const data: (string | undefined)[] = [];
      for (let at = 0; at < stream.length; at += size) data.push(...splitter.push(stream.subarray(at, at + size)).map(eventData));
      assert.deepEqual(data, ['a', 'b', 'c', 'd\ne']);
      assert.equal(untext(splitter.rest), 'rest');
    }
  });

  test('[DONE] and all behind it are held until the end', () => {
    const hold = new sw.EventHold();
    assert.equal(untext(hold.push(text('data: a\n\ndata: [DO'))), 'data: a\n\n');
    assert.equal(untext(hold.push(text('NE]\n\ndata: more\n\n'))), '');
    assert.equal(untext(hold.push(text('x'))), '');
    assert.equal(untext(hold.release()), 'data: [DONE]\n\ndata: more\n\nx');
  });
});

describe('discovery and problems', () => {
  test('a query is read as it is written', () => {
    const query = { label: 'a+b/ü c&d', singleUse: true, suite: 2 };
    const url = sw.discoveryUrl('http://relay/prefix/', query);
    assert.ok(url.startsWith('http://relay/prefix/sealwire/v1/bundles?label='));
    assert.deepEqual(sw.readDiscoveryQuery(url.split('?')[1] ?? ''), query);
  });

  for (const bad of [
    '',
    'label=',
    'label',
    'label=a&label=b',
    'label=%zz',
    'label=%ff',
    'label=a&single_use=1',
    'label=a&suite=0',
    'label=a&suite=+1',
    'label=a&suite=65536',
  ]) {
    test(`refused: ${bad}`, () => assert.throws(() => sw.readDiscoveryQuery(bad), sw.RelayError));
  }

  test('a problem of an unknown code or shape is internal', () => {
    const fields: sw.Field[] = [['content-type', 'application/problem+json']];
    assert.equal(sw.readProblem(503, fields, text('{"code":"busy"}')).code, 'busy');
    assert.equal(sw.readProblem(503, fields, text('{"code":"nonsense"}')).code, 'internal');
    assert.equal(sw.readProblem(503, [['content-type', 'text/html']], text('{"code":"busy"}')).code, 'internal');
    assert.equal(sw.readProblem(200, fields, text('[')).code, 'internal');
  });
});
