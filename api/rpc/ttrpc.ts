/**
 * ttrpc: containerd's gRPC without HTTP/2, for shims. Own code, since no kept npm library speaks it. The client calls
 * shims of other makers (`containerd-shim-runc-v2`), the server takes the events of every shim.
 * Implementations and clients have the shapes of `server.ts` and `client.ts`; only unary calls exist.
 */
export { connectTtrpc, createTtrpcClient, type TtrpcChannel, type TtrpcChannelOptions } from './ttrpc-client.ts'
export { createTtrpcServer, type TtrpcServer } from './ttrpc-server.ts'
