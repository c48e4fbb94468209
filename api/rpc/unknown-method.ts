import * as grpc from '@grpc/grpc-js'

/**
 * Makes a server answer calls to methods it does not have in the words of Go's gRPC (`unknown method X for service Y`,
 * `unknown service Y`): containerd's clients read them to find out what a daemon can do. grpc-js has no hook for it, so
 * its look-up of handlers is wrapped; the conformance test notices if a new version looks them up otherwise.
 */
export function nameUnknownMethods(server: grpc.Server, services: ReadonlySet<string>): void {
  const known: unknown = Reflect.get(server, 'handlers')
  if (!(known instanceof Map)) return
  const find = known.get.bind(known)
  known.get = (path: string) => find(path) ?? refuse(path, services)
}

function refuse(path: string, services: ReadonlySet<string>) {
  const [, service = '', method = ''] = path.split('/')
  const details = services.has(service)
    ? `unknown method ${method} for service ${service}`
    : `unknown service ${service}`
  const status = Object.assign(new Error(details), { code: grpc.status.UNIMPLEMENTED, details })
  const nothing = () => Buffer.alloc(0)
  // As a stream it is answered at once, whatever the client sends or withholds.
  return {
    type: 'bidi',
    path,
    serialize: nothing,
    deserialize: nothing,
    func: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => void call.emit('error', status),
  }
}
