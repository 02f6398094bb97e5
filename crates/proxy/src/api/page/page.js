'use strict';
(() => {
  // Whatever a relay or an application named reaches the page as text, never as markup.
  const at = (id) => document.getElementById(id);
  const make = (tag, text, kind) => {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const within = (element, ...children) => (element.replaceChildren(...children), element);
  const list = (value) => (Array.isArray(value) ? value : []);
  const show = (id, text) => {
    at(id).hidden = !text;
    at(id).textContent = text ?? '';
  };

  let key;
  let offset = 0;
  const now = () => Date.now() / 1000 + offset;
  const ask = async (path) => {
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    const response = await fetch(path, { headers, cache: 'no-store', redirect: 'error' });
    const body = await response.json().catch(() => null);
    if (response.ok) return body;
    throw Object.assign(new Error(body?.error?.message ?? `the proxy answered ${response.status}`), { status: response.status });
  };

  const span = (seconds) => {
    const [whole, left] = [Math.floor(seconds), (unit) => Math.floor(whole / unit)];
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${left(60)} min`;
    if (whole < 86400) return `${left(3600)} h ${Math.floor((whole % 3600) / 60)} min`;
    return `${left(86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
  };
  // Seconds that no clock will see: there is no end.
  const until = (unix) => (unix > 4e9 ? 'does not expire' : unix > now() ? `expires in ${span(unix - now())}` : 'expired');
  const size = (bytes) => (bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
  const took = (ms) => (ms === null || ms === undefined ? '\u2013' : ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(2)} s`);
  const clock = (unix) => new Date(unix * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });

  const fact = (name, value) => within(make('div'), make('dt', name), make('dd', value));

  const check = (found) => {
    const kind = { passed: 'good', failed: 'bad' }[found.outcome];
    const reason = found.reason ? ` (${found.reason})` : '';
    return within(
      make('div', null, 'check'),
      make('span', found.outcome, kind ? `pill ${kind}` : 'pill'),
      make('span', found.name + reason),
      make('span', `expected: ${found.expected}`, 'quiet'),
      make('span', `got: ${found.got}`, 'quiet'),
    );
  };

  // What stays open is told by the instance, since every look makes the cards anew.
  const opened = new Set();
  const card = ({ title, name, state, kind, note, checks }) => {
    const made = within(make('div', null, 'card'), within(make('div'), make('strong', title), make('span', state, `pill ${kind}`)));
    if (name) made.append(within(make('p'), make('code', name)));
    if (note) made.append(make('p', note, 'quiet'));
    if (!list(checks).length) return made;
    const failed = checks.filter(({ outcome }) => outcome === 'failed').length;
    const details = make('details');
    details.open = opened.has(name);
    details.addEventListener('toggle', () => (details.open ? opened.add(name) : opened.delete(name)));
    details.append(make('summary', `${checks.length} checks${failed ? `, ${failed} failed` : ''}`), ...checks.map(check));
    made.append(details);
    return made;
  };

  const judged = (title, name, found) => {
    const insecure = list(found.checks).some(({ outcome, expected }) => outcome === 'noted' && String(expected).startsWith('nothing'));
    const over = found.expires <= now();
    const [state, kind] = insecure ? ['not verified', 'bad'] : !found.accepted ? ['refused', 'bad'] : over ? ['expired', 'wait'] : ['verified', 'good'];
    const seen = `checked ${span(Math.max(0, now() - found.verified_at))} ago`;
    return card({ title, name, state, kind, note: `${seen}, ${until(found.expires)}`, checks: found.checks });
  };

  const instances = (document) => {
    const [policy, models] = [document.policy ?? {}, list(document.models)];
    if (document.profile !== 'native') {
      return models.flatMap(({ model, instances }) => list(instances).map((found) => judged(model, found.instance_id, found)));
    }
    const names = (identity) => [...new Set(models.filter((model) => model.identity === identity).map(({ model }) => model))].join(', ');
    const known = list(document.identities).map((found) => judged(names(found.identity) || 'no bundle kept', found.identity, found));
    const proven = new Set(list(document.identities).map(({ identity }) => identity));
    const blind = String(policy.trust).startsWith('insecure');
    const others = models.filter(({ identity }) => !proven.has(identity)).map(({ model, identity, valid_until: end }) =>
      card({ title: model, name: identity, state: blind ? 'not verified' : 'pinned', kind: blind ? 'bad' : 'good', note: `key ${until(end)}` }));
    const used = new Set(models.map(({ identity }) => identity));
    const idle = list(policy.identities).filter((identity) => !used.has(identity)).map((identity) =>
      card({ title: 'not asked yet', name: identity, state: 'pinned', kind: '' }));
    return [...known, ...others, ...idle];
  };

  const showAttestation = (document) => {
    const trust = String(document.policy?.trust ?? 'evidence');
    const blind = trust.startsWith('insecure');
    show('alarm', blind ? 'The relay is trusted blindly: it can read everything. Start the proxy with --policy or --pin instead of --insecure-trust-relay.' : '');
    at('policy').textContent = { identities: 'Trusted are the identities that were pinned.' }[trust]
      ?? (blind ? 'Nothing is verified.' : 'Trusted are instances that prove by evidence what the policy asks for.');
    const cards = instances(document);
    within(at('instances'), ...(cards.length ? cards : [make('p', 'None yet. Instances are verified when a request needs one.', 'quiet')]));
  };

  const cell = (name, text, kind) => {
    const made = make('td', text, kind);
    made.dataset.name = name;
    return made;
  };
  const row = (request, running) => {
    const status = make('span', running ? 'running' : request.status || 'gone', `pill ${running ? 'wait' : request.status >= 200 && request.status < 400 && !request.error ? 'good' : 'bad'}`);
    const shown = within(cell('Status', null, 'status'), status);
    if (request.error) shown.append(' ', make('span', request.error, 'quiet'));
    return within(
      make('tr'),
      cell('Time', clock(request.at)),
      cell('API', request.api),
      cell('Model', request.model, 'model'),
      shown,
      cell('In', size(request.bytes_in), 'n'),
      cell('Out', size(request.bytes_out), 'n'),
      cell('First byte', took(request.first_byte_ms), 'n'),
      cell('Total', took(request.total_ms), 'n'),
    );
  };

  const showStatus = (status) => {
    offset = status.now - Date.now() / 1000;
    at('about').textContent = `${status.version}, profile ${status.profile}, up ${span(status.uptime)}`;
    within(
      at('facts'),
      fact('Relay', list(status.relay).join(' ')),
      fact('Default model', status.default_model ?? 'none'),
      fact('Models', status.models ? list(status.models).length : 'not listed yet'),
      fact('Running now', status.running),
    );
    const rows = [...list(status.in_flight).map((request) => row(request, true)), ...list(status.requests).map((request) => row(request, false))];
    within(at('requests'), ...(rows.length ? rows : [within(make('tr'), Object.assign(make('td', 'None yet.', 'none'), { colSpan: 8 }))]));
    const aliases = Object.entries(status.aliases ?? {}).map(([name, target]) => make('li', `${name} \u2192 ${target}`));
    const models = list(status.models).map(({ id, max_model_len: most }) => make('li', most ? `${id}, ${most.toLocaleString()} tokens` : id));
    within(at('models'), ...models, ...aliases);
  };

  const showConnect = () => {
    const lines = [`OPENAI_BASE_URL=${location.origin}/v1`, `ANTHROPIC_BASE_URL=${location.origin}`, `sealwire env claude --url ${location.origin}`, `sealwire env codex --url ${location.origin}`];
    within(at('connect'), ...lines.map((line) => make('div', line)));
  };

  const look = async () => {
    try {
      showStatus(await ask('/status'));
      showAttestation(await ask('/attestation'));
      at('door').hidden = true;
      at('state').textContent = 'live';
      at('state').className = 'pill good';
    } catch (error) {
      at('door').hidden = error.status !== 401;
      at('state').textContent = error.status === 401 ? 'locked' : 'no answer';
      at('state').className = 'pill wait';
    }
  };
  const listModels = async () => {
    try {
      await ask('/v1/models');
      at('listed').textContent = '';
    } catch (error) {
      if (error.status !== 401) at('listed').textContent = error.message;
    }
  };

  at('door').addEventListener('submit', (event) => {
    event.preventDefault();
    key = at('key').value;
    at('key').value = '';
    void listModels().then(look);
  });
  const every = (milliseconds, task) => setInterval(() => document.hidden || void task(), milliseconds);
  showConnect();
  void listModels().then(look);
  void look();
  every(2000, look);
  every(60000, listModels);
  document.addEventListener('visibilitychange', () => document.hidden || void look());
})();
