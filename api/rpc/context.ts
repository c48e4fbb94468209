/** Builds the {@link CallContext} of a call from its headers, whatever transport carried them. */
import { failedPrecondition, invalidArgument, messageOf } from '../errors/errors.ts'
import { validateIdentifier } from '../types/identifiers.ts'
import { type CallContext, leaseHeader, namespaceHeader } from './definition.ts'

/** `header` answers the first value of a lower-case name; `signal` is asked for when the handler does. */
export function callContext(signal: () => AbortSignal, header: (name: string) => string | undefined): CallContext {
  return {
    header,
    get signal() {
      return signal()
    },
    get namespace() {
      const namespace = namespaceOf(header)
      if (namespace === undefined) throw failedPrecondition('namespace is required')
      return namespace
    },
    get optionalNamespace() {
      return namespaceOf(header)
    },
    get lease() {
      return header(leaseHeader) || undefined
    },
  }
}

function namespaceOf(header: (name: string) => string | undefined): string | undefined {
  const value = header(namespaceHeader)
  if (value === undefined || value === '') return undefined
  try {
    validateIdentifier(value)
  } catch (cause) {
    throw invalidArgument(`namespace validation: ${messageOf(cause)}`, { bare: true, cause })
  }
  return value
}
