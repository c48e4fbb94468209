/** Answers the core when a registry asks who a client is (containerd.types.transfer.AuthRequest). */
import type { StreamingDefinition } from '../gen/containerd/services/streaming/v1/streaming.ts'
import { AuthRequest, AuthResponse, AuthType } from '../gen/containerd/types/transfer/registry.ts'
import type { Client } from '../rpc/definition.ts'
import { anyOf, type OpenStream, openStream } from './named-stream.ts'

/** Empty members mean nothing; of several the first below counts. */
export interface RegistryCredentials {
  /** A bearer token to be sent as it is. */
  readonly registryToken?: string
  /** OAuth 2 refresh token, in place of a password. */
  readonly identityToken?: string
  readonly username?: string
  readonly password?: string
}

/** Its id goes into a transfer's resolver (`auth_stream`); dispose of it after that. `of`: undefined for nobody. */
export async function answerCredentials(
  streaming: Client<typeof StreamingDefinition>,
  of: (host: string) => RegistryCredentials | undefined,
): Promise<AsyncDisposable & { readonly id: string }> {
  const stream = await openStream(streaming, 'auth')
  void answerAll(stream, of)
  return stream
}

async function answerAll(stream: OpenStream, of: (host: string) => RegistryCredentials | undefined): Promise<void> {
  try {
    for await (const { value } of stream.received) {
      const answer = AuthResponse.fromPartial(answerFor(of(AuthRequest.decode(value).host)))
      stream.send(anyOf('containerd.types.transfer.AuthResponse', AuthResponse, answer))
    }
  } catch {
    // The transfer is over, and says why.
  }
}

function answerFor({ registryToken, identityToken, username = '', password = '' }: RegistryCredentials = {}) {
  if (registryToken) return { authType: AuthType.HEADER, secret: `Bearer ${registryToken}` }
  if (identityToken) return { authType: AuthType.REFRESH, secret: identityToken }
  return { authType: username === '' ? AuthType.NONE : AuthType.CREDENTIALS, username, secret: password }
}
