/** One HTTP/2 connection to a gRPC server: opened by the first call, opened anew after it broke, closed by its owner. */
import { createConnection, type Socket } from 'node:net'
import { unavailable } from '../errors/errors.ts'
import type { CallOptions } from './definition.ts'
import { Connection } from './http2/connection.ts'

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
  session(): Connection
  /** Ends calls under way and the connection. */
  close(): void
}

/** `address`: a unix socket's path (`unix:` optional), or `host:port`. Nothing is opened yet. */
export function connect(address: string, options: ChannelOptions = {}): Channel {
  let current: Connection | undefined
  const close = () => current?.destroy()
  return {
    address,
    peer: options.peer ?? address,
    defaults: options,
    session() {
      if (current === undefined || current.isClosed) current = openSession(address)
      return current
    },
    close,
    [Symbol.dispose]: close,
  }
}

function openSession(address: string): Connection {
  const connection = new Connection(openSocket(address), { role: 'client' })
  connection.unref()
  return connection
}

function openSocket(address: string): Socket {
  if (!/^(unix:|\/|\.)/.test(address)) {
    const [, host = address, port = ''] = /^(.*):(\d+)$/.exec(address) ?? []
    if (port === '') throw unavailable(`address "${address}" is neither a socket path nor host:port`)
    return createConnection({ host: host.replace(/^\[|\]$/g, ''), port: Number(port), noDelay: true })
  }
  return createConnection({ path: address.replace(/^unix:(\/\/)?/, '') })
}
