// Where the system is that `tests/clients/test_node.py` has started, and clients for it.
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const wanted = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}, or run \`cargo xtask clients\``);
  return value;
};

export const url = wanted('SEALWIRE_URL');
export const upstream = wanted('SEALWIRE_UPSTREAM');
export const key = wanted('SEALWIRE_KEY');
export const model = wanted('SEALWIRE_MODEL');

export const openai = (more = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000, ...more });
export const anthropic = (more = {}) => new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 30_000, ...more });

export const user = (content) => [{ role: 'user', content }];

export const weather = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };

/** A deep copy without members of these names, and without those that are null or undefined. */
export function without(value, ...names) {
  if (Array.isArray(value)) return value.map((item) => without(item, ...names));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([name, member]) => !names.includes(name) && member !== null && member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [name, without(member, ...names)]));
}

export const tally = async () => (await fetch(`${upstream}/tally`)).json();

/** Waits until something holds. */
export async function eventually(check) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await check()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
