/** CNI's result (0.3.0 to 1.1.0) as ours. */
import * as z from 'zod'
import { internal } from '#api/errors/errors.ts'
import type { PortMapping, Result } from '#sdk/network.ts'
import type { RawResult } from './runtime.ts'

const text = z.string().default('')
const count = z.number().default(0)
const texts = z.array(z.string()).nullish()

const schema = z.looseObject({
  interfaces: z
    .array(z.looseObject({ name: text, mac: text, mtu: count, sandbox: text, socketPath: text, pciID: text }))
    .nullish(),
  ips: z.array(z.looseObject({ address: text, gateway: text, interface: z.number().optional() })).nullish(),
  routes: z
    .array(
      z.looseObject({ dst: text, gw: text, mtu: count, advmss: count, priority: count, table: count, scope: count }),
    )
    .nullish(),
  dns: z.looseObject({ nameservers: texts, domain: text, search: texts, options: texts }).nullish(),
})

/** INTERNAL: a binary printed what is no result. */
export function resultOf(raw: RawResult, ports: readonly PortMapping[]): Result {
  const parsed = schema.safeParse(raw)
  if (!parsed.success) throw internal(`a CNI binary answered no result: ${parsed.error.message}`)
  const { interfaces, ips, routes, dns } = parsed.data
  return {
    interfaces: (interfaces ?? []).map(({ name, mac, mtu, sandbox, socketPath, pciID }) => {
      return { name, mac, mtu, sandbox, socketPath, pciId: pciID }
    }),
    ips: (ips ?? []).map(({ address, gateway, interface: index }) => {
      return { address, gateway, ...(index === undefined ? {} : { interface: index }) }
    }),
    routes: (routes ?? []).map(({ dst, gw, mtu, advmss, priority, table, scope }) => {
      return { dst, gw, mtu, advmss, priority, table, scope }
    }),
    ports: [...ports],
    ...(dns && hasAny(dns)
      ? {
          dns: {
            nameservers: dns.nameservers ?? [],
            domain: dns.domain,
            search: dns.search ?? [],
            options: dns.options ?? [],
          },
        }
      : {}),
  }
}

function hasAny(dns: { nameservers?: string[] | null | undefined; search?: string[] | null | undefined }): boolean {
  return (dns.nameservers ?? []).length > 0 || (dns.search ?? []).length > 0
}
