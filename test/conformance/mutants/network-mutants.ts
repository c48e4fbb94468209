/** Network plugins that are right but for one thing. */
import { alreadyExists, isGantryError, notFound } from '#api/errors/errors.ts'
import type { NetworkPlugin } from '#sdk/network.ts'

export type NetworkMutants = Readonly<Record<string, (right: NetworkPlugin, opened: number) => Partial<NetworkPlugin>>>

export const networkMutants: NetworkMutants = {
  'a network cannot be made twice': p => {
    const made = new Set<string>()
    return {
      createNetwork: async network => {
        if (made.has(network.id)) throw alreadyExists(network.id)
        made.add(network.id)
        return await p.createNetwork(network)
      },
    }
  },
  'a network is remade differently': p => ({
    createNetwork: async network => {
      try {
        return await p.createNetwork(network)
      } catch (error) {
        if (isGantryError(error, 'ALREADY_EXISTS')) return network
        throw error
      }
    },
  }),
  'a network goes with its containers': p => ({
    removeNetwork: async id => {
      await p.gc(id, [])
      await p.removeNetwork(id)
    },
  }),
  'a network goes once': p => ({
    removeNetwork: async id => {
      if (!(await p.listNetworks()).some(network => network.id === id)) throw notFound(id)
      await p.removeNetwork(id)
    },
  }),
  'a network stays': () => ({ removeNetwork: async () => {} }),
  'networks are not listed': () => ({ listNetworks: async () => [] }),
  'add works once': p => {
    const added = new Set<string>()
    return {
      add: async request => {
        if (added.has(request.containerId)) throw alreadyExists(request.containerId)
        added.add(request.containerId)
        return await p.add(request)
      },
    }
  },
  'add answers no interface': p => ({ add: async request => ({ ...(await p.add(request)), interfaces: [] }) }),
  'add does not mind a missing network': p => ({
    add: async request => {
      try {
        return await p.add(request)
      } catch (error) {
        if (isGantryError(error, 'NOT_FOUND'))
          return await p
            .add({ ...request, networkId: (await p.listNetworks())[0]?.id ?? '' })
            .catch(() => ({ interfaces: [], ips: [], routes: [], dns: undefined }) as never)
        throw error
      }
    },
  }),
  'del minds what is not there': p => ({
    del: async request => {
      await p.check({ ...request, previous: undefined } as never)
      await p.del(request)
    },
  }),
  'del does nothing': () => ({ del: async () => {} }),
  'check is always content': () => ({ check: async () => {} }),
  'gc removes nothing': () => ({ gc: async () => [] }),
  'gc removes everything': p => ({ gc: id => p.gc(id, []) }),
  'gc does not say what it removed': p => ({ gc: async (id, valid) => (await p.gc(id, valid)).slice(0, 0) }),
  'a restart forgets networks': (p, opened) =>
    opened === 0 ? {} : { listNetworks: async () => (await p.listNetworks()).slice(0, 0) },
}
