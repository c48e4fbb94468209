export type EndpointOptions = Readonly<Record<string, string>>

/** Options as they are after a change: an empty value takes one away. */
export function mergedOptions(current: EndpointOptions | undefined, change: EndpointOptions): EndpointOptions {
  return Object.fromEntries(Object.entries({ ...current, ...change }).filter(([, value]) => value !== ''))
}
