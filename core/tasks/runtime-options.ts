/** The options that a task's shim gets. */
import type { Any } from '#api/gen/google/protobuf/any.ts'

/**
 * Those of the request, when they say anything, else those of the container's record (containerd's rule). Clients send
 * an empty message along where they have no wish of their own.
 */
export function runtimeOptions(
  request: { readonly options?: Any | undefined },
  container: { readonly runtime: { readonly options?: Any | undefined } },
): Any | undefined {
  const asked = request.options
  return asked !== undefined && asked.value.length > 0 ? asked : (container.runtime.options ?? asked)
}

/** A container that has no wish of its own gets what its runtime was registered with. */
export function withDefaults<
  C extends { readonly runtime: { readonly name: string; readonly options?: Any | undefined } },
>(container: C, defaults: Any | undefined): C {
  const { name, options } = container.runtime
  if (defaults === undefined || (options !== undefined && options.value.length > 0)) return container
  return { ...container, runtime: { name, options: defaults } }
}
