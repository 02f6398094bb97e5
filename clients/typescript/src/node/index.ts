/** What needs Node: a full-duplex transport, and an instance as an HTTP server. */
export * from './instance-server.js';
export * from './transport.js';
