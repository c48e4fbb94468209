/**
 * The shape of the service tables that ts-proto generates (`outputServices=generic-definitions`), and the
 * types of an implementation and a client derived from it. No transport in sight.
 */

/** Encodes and decodes one message type. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array }
  decode(bytes: Uint8Array): T
  // biome-ignore lint/suspicious/noExplicitAny: ts-proto's DeepPartial of T is not exported; Input<T> is what callers see
  fromPartial(object: any): T
}

export interface MethodDefinition {
  readonly name: string
  // biome-ignore lint/suspicious/noExplicitAny: a table holds methods of every message type
  readonly requestType: Codec<any>
  readonly requestStream: boolean
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly responseType: Codec<any>
  readonly responseStream: boolean
}

export interface ServiceDefinition {
  readonly fullName: string
  readonly methods: Readonly<Record<string, MethodDefinition>>
}

type MessageOf<C> = C extends { decode(bytes: Uint8Array): infer T } ? T : never
type Plain = Uint8Array | string | number | boolean | bigint | undefined | null

/** A message as a sender may write it: fields left out take proto3's defaults. */
export type Input<T> = T extends Plain
  ? T
  : T extends readonly (infer U)[]
    ? readonly Input<U>[]
    : { [K in keyof T]?: Input<T[K]> | undefined }

export type RequestOf<M extends MethodDefinition> = MessageOf<M['requestType']>
export type ResponseOf<M extends MethodDefinition> = MessageOf<M['responseType']>

/** What a handler knows of its call beside the request. */
export interface CallContext {
  /** Fires when the client gave up, its deadline passed, or the server shuts down. */
  readonly signal: AbortSignal
  /** Tenant namespace. FAILED_PRECONDITION when the call has none, INVALID_ARGUMENT when it is malformed. */
  readonly namespace: string
  /** The same for calls that may go without; malformed ones throw too. */
  readonly optionalNamespace: string | undefined
  /** `containerd-lease` of the call. */
  readonly lease: string | undefined
  /** First value of a request header. */
  header(name: string): string | undefined
}

/** How a client may adorn one call. */
export interface CallOptions {
  signal?: AbortSignal | undefined
  namespace?: string | undefined
  lease?: string | undefined
  /** Milliseconds until DEADLINE_EXCEEDED; told to the server too. */
  deadlineMs?: number | undefined
  headers?: Readonly<Record<string, string>> | undefined
}

type Handler<M extends MethodDefinition> = M['requestStream'] extends true
  ? M['responseStream'] extends true
    ? (requests: AsyncIterable<RequestOf<M>>, context: CallContext) => AsyncIterable<Input<ResponseOf<M>>>
    : (requests: AsyncIterable<RequestOf<M>>, context: CallContext) => Promise<Input<ResponseOf<M>>>
  : M['responseStream'] extends true
    ? (request: RequestOf<M>, context: CallContext) => AsyncIterable<Input<ResponseOf<M>>>
    : (request: RequestOf<M>, context: CallContext) => Promise<Input<ResponseOf<M>>>

/** A service as its author writes it. Methods left out answer Unimplemented. */
export type ServiceImpl<D extends ServiceDefinition> = { [K in keyof D['methods']]?: Handler<D['methods'][K]> }

type Caller<M extends MethodDefinition> = (
  request: M['requestStream'] extends true ? AsyncIterable<Input<RequestOf<M>>> : Input<RequestOf<M>>,
  options?: CallOptions,
) => M['responseStream'] extends true ? AsyncIterable<ResponseOf<M>> : Promise<ResponseOf<M>>

/** A service as its users see it. */
export type Client<D extends ServiceDefinition> = { [K in keyof D['methods']]: Caller<D['methods'][K]> }

/** Header names of containerd's conventions. */
export const namespaceHeader = 'containerd-namespace'
export const leaseHeader = 'containerd-lease'

/** Bytes a message may have, each way (containerd's default). */
export const defaultMaxMessageBytes = 16 * 1024 * 1024
