import { fileURLToPath } from 'node:url'
import { openNetworkPlugin } from '#sdk/define-network.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { networkSuite } from '#sdk/network-suite.ts'
import { bridge } from './bridge.ts'

if (inPrivateHost(fileURLToPath(import.meta.url)))
  networkSuite('bridge', {
    ownNamespace: true,
    open: root => openNetworkPlugin(bridge, { root, instance: '5017e000' }),
  })
