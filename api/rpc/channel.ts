/** One HTTP/2 connection to a gRPC server: opened by the first call, opened anew after it broke, closed by its owner. */
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { createConnection, type Socket } from 'node:net'
import { unavailable } from '../errors/errors.ts'
import type { CallOptions } from './definition.ts'

/** Defaults for the calls of a channel; each call may override them. */
export type ChannelOptions = Pick<CallOptions, 'namespace' | 'lease' | 'deadlineMs'> & {
  /** What the peer is, for error messages: `snapshotter overlayfs`. Default: the address. */
  peer?: string
}

/** A way to a server. Keeps the process alive only while a call is under way. */
export interface Channel extends Disposable {
  readonly address: string
  readonly peer: string
  readonly defaults: ChannelOptions
  /** The open connection, or a new one. */
  session(): ClientHttp2Session
  /** Ends calls under way and the connection. */
  close(): void
}

/** `address`: a unix socket's path (`unix:` optional), or `host:port`. Nothing is opened yet. */
export function connect(address: string, options: ChannelOptions = {}): Channel {
  let current: ClientHttp2Session | undefined
  const close = () => current?.destroy()
  return {
    address,
    peer: options.peer ?? address,
    defaults: options,
    session() {
      if (current === undefined || current.closed || current.destroyed) current = openSession(address)
      return current
    },
    close,
    [Symbol.dispose]: close,
  }
}

function openSession(address: string): ClientHttp2Session {
  const session = connectHttp2('http://localhost', {
    createConnection: () => openSocket(address),
    settings: { enablePush: false, initialWindowSize: 1024 * 1024 },
    // With Node's 10 MB a request of more, which our limit allows, would have every later call of the session refused.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
  })
  // A broken connection is told by the calls on it; without a listener it would end the process.
  session.on('error', () => {})
  session.on('goaway', () => session.close())
  session.unref()
  return session
}

function openSocket(address: string): Socket {
  if (!/^(unix:|\/|\.)/.test(address)) {
    const [, host = address, port = ''] = /^(.*):(\d+)$/.exec(address) ?? []
    if (port === '') throw unavailable(`address "${address}" is neither a socket path nor host:port`)
    return createConnection({ host: host.replace(/^\[|\]$/g, ''), port: Number(port), noDelay: true })
  }
  return createConnection({ path: address.replace(/^unix:(\/\/)?/, '') })
}
